"""The data card of exported rows: everything it promises, for finished and unfinished runs."""

import pandas as pd
import pytest
from etils import epath

from sergan import card
from sergan.run_folder import Run
from tests.test_report import CLASSES, make_run, record, write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("card") / "run")


def rows(per_class=3, origin="speechocean762"):
    """Provenance of rows of two folds."""
    frame = pd.DataFrame({"target_emotion": sorted(CLASSES * per_class)})
    frame["fold"] = [0, 4] * (len(frame) // 2) + [0] * (len(frame) % 2)
    return frame.assign(source_id=f"{origin}/0001", arm="wdiv", normalisation="train")


def test_what_they_are_what_made_them_and_how_good_they_are(folder):
    text = card.text(Run(epath.Path(folder)), rows(), 40, "speech", "python launch.py --mode=synthesize")
    assert "15 rows of 40" in text and "`python launch.py --mode=synthesize`" in text
    assert "| anger | 3 |" in text
    assert "| 0 | emodb/03 |" in text and "| 4 | emodb/11 |" in text and "| 1 |" not in text
    assert "lambda_cyc 5.0" in text and "commit 0123456789ab" in text
    assert "| anger | 0.01 | 0.122 |" in text
    assert "target_synthetic: mean over features of the absolute difference of means" in text
    assert "Compared with real by pooled UAR" in text
    assert text.count("\n## ") == 6


def test_the_embedded_speech_has_its_licence_and_a_folder_of_that_name_has_not(folder):
    embedded = rows().assign(source_id="speech/000240010")
    said = card.licences(Run(epath.Path(folder)), embedded, "speech")
    assert any(line.startswith("speechocean762 (Zhang") for line in said)
    own = card.licences(Run(epath.Path(folder)), rows(origin="speech"), "speech")
    assert "speech: ask its owner; what you pass on is derived from it" in own


@pytest.mark.parametrize("ids", [["utt_1", "utt_2", "wav/a1.wav"], ["/home/me/1.wav", "/home/me/2.wav"]])
def test_own_speech_is_one_line_by_the_name_that_it_was_given(folder, ids):
    made = rows().assign(source_id=(ids * 15)[:15])
    said = card.licences(Run(epath.Path(folder)), made, "my_speech.csv")
    assert len(said) == 3 and said[1] == "my_speech.csv: ask its owner; what you pass on is derived from it"
    assert len(card.licences(Run(epath.Path(folder)), made, "corpus")) == 2  # the corpus's own clips


@pytest.mark.parametrize(
    ("name", "origin", "said"),
    [
        ("emodb", "speechocean762", ["EMO-DB (Burkhardt et al. 2005): CC0", "speechocean762 (Zhang"]),
        ("ravdess", "tedlium", ["CC BY-NC-SA 4.0", "CC BY-NC-ND 3.0"]),
        ("mine", "noise", ["mine: ask its owner"]),
    ],
)
def test_the_licence_of_everything_that_the_rows_come_from(tmp_path, name, origin, said):
    values = record()
    values["config"]["corpus"]["name"] = name
    values["config"] |= {"protocol": "across", "target": {"name": "iemocap"}}  # is tested on alone
    write_json(tmp_path / "config.json", values)
    lines = card.licences(Run(epath.Path(tmp_path)), rows(origin=origin), "there")
    assert len(lines) == len(said) + 1 and "openSMILE" in lines[-1]
    values["config"]["features"] = {"set": "LogMel"}
    write_json(tmp_path / "config.json", values)
    assert card.licences(Run(epath.Path(tmp_path)), rows(origin=origin), "there") == lines[:-1]
    for line, words in zip(lines, said, strict=False):
        assert words in line


def test_rows_made_from_noise_name_no_row_that_they_are_from(folder):
    made = rows(origin="noise").assign(arm="sahu_cgan")
    text = card.text(Run(epath.Path(folder)), made, 40, "speech", "python launch.py")
    assert "by the one generator (`sahu_cgan`) from noise" in text and "“speech”" not in text


def test_before_anything_was_measured_the_card_says_so(tmp_path):
    write_json(tmp_path / "config.json", record())
    text = card.text(Run(epath.Path(tmp_path)), rows(), 40, "speech", "python launch.py")
    assert "Not measured yet." in text
