"""The report of a small run folder with real rows: every section, whole and unfinished."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from etils import epath
from PIL import Image

from experiments.checks import PROTOCOLS
from sergan import comparison, data, folds, metrics, report, samples
from sergan.corpora import emodb, table_files, tables
from sergan.run_folder import Run
from sergan.sections import head, training

CLASSES = ("anger", "fear", "happiness", "neutral", "sadness")
SECTIONS = (
    "The answer",
    "Results",
    "Quality of the synthetic rows",
    "Speakers",
    "Confusions",
    "Real and synthetic rows",
    "Features",
    "Training of the CycleGANs",
    "Members that diverged",
    "What was run",
)
HOSTILE = "<script>alert('x')</script>"


def make_run(folder, features=40, steps=600):
    """A run folder as DESIGN names its files: embedded EMO-DB and speech rows, moments as the transfer."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    corpus, source = data.load("emodb", "IS10"), data.load("speech", "IS10")
    columns = np.linspace(0, len(corpus.names_D) - 1, features).astype(int)
    corpus, source = (narrow(table, columns) for table in (corpus, source))
    corpus = corpus.select(np.flatnonzero(np.isin(corpus.emotions_U, CLASSES)))
    source = source.select(slice(0, 150))
    table_files.write(corpus, folder / "features.parquet")
    table_files.write(source, folder / "source.parquet")
    splits = folds.loso(corpus, CLASSES)
    write_json(folder / "config.json", record())
    members = [
        {
            "member": i * len(splits) + fold.index,
            "normalisation": normalisation,
            "fold": fold.index,
            "held_out": " ".join(fold.held_out),
            "seed": 0,
            "point": 0,
            "hypers": {"lambda_cyc": 5.0},
            "status": "diverged@123" if (i, fold.index) == (0, 3) else "done",
        }
        for i, normalisation in enumerate(("train", "speaker"))
        for fold in splits
    ]
    write_lines(folder / "members.jsonl", members)
    write_lines(folder / "metrics.jsonl", losses(members, steps, rng))
    synthetic(folder, corpus, source, splits, members)
    predictions(corpus, splits, rng).to_csv(folder / "predictions.csv", index=False)
    metrics.results(Run(epath.Path(folder)).predictions).to_csv(folder / "results.csv", index=False)
    quality = pd.DataFrame(
        [
            {"normalisation": line["normalisation"], "fold": line["fold"], "seed": 0, "emotion": emotion}
            for line in members
            for emotion in CLASSES
        ]
    )
    quality["target_synthetic"] = 0.010 + 0.001 * quality["fold"] * (quality["normalisation"] == "speaker")
    quality["target_source"] = 0.122
    quality.to_csv(folder / "quality.csv", index=False)
    return folder


def narrow(table, columns):
    names = tuple(table.names_D[i] for i in columns)
    return tables.FeatureTable(
        table.x_UxD[:, columns], table.ids_U, table.speakers_U, table.emotions_U, names, table.extractor
    )


def record():
    return {
        "config": {
            "corpus": {"name": HOSTILE, "classes": list(CLASSES)},
            "source": "speech",
            "gan": {"loss": "wdiv", "generator": [64, 64]},
            "hypers": {"lambda_cyc": 5.0},
        },
        "overrides": {"gan.seeds": 1},
        "command": "python launch.py --config=configs/emodb_wdiv.py --config.gan.seeds=1",
        "versions": {"python": "3.11.9", "jax": "0.10.0"},
        "machine": "x86_64, Linux, 2 cores",
        "devices": ["CpuDevice(id=0)"],
        "commit": "0123456789ab",
        "started": "2026-01-01T10:00:00+00:00",
        "ended": "2026-01-01T10:11:00+00:00",
        "stages": {"features": 0.4, "train": 512.3, "synthesise": 31.0, "classify": 95.0, "report": 9.0},
    }


def losses(members, steps, rng):
    for step in range(100, steps + 1, 100):
        early = step <= 200
        for line in members:
            for emotion in CLASSES:
                fall = np.exp(-step / 800) * (1 + 0.1 * rng.normal())
                values = {"cycle": 3 * fall, "grad_gen": 20 * fall, "class": float("nan") if early else fall}
                if not early:
                    values |= {"critic_T": -fall, "critic_S": -2 * fall, "wasserstein_T": fall, "gen_T": fall}
                if not early:
                    values |= {"penalty_T": 0.2 * fall, "grad_critic": 5 * fall, "cycle_ratio": 2 * fall}
                phase = {"step": step, "seconds": step / 10, "phase": "pretrain" if early else "train"}
                yield phase | {"member": line["member"], "emotion": emotion} | values


def synthetic(folder, corpus, source, splits, members):
    """The source's rows with each class's mean and deviation, for the first two folds."""
    for line in members:
        if line["fold"] > 1:
            continue
        x_UxD, x_SxD = (folds.normalised(t, line["normalisation"]) for t in (corpus, source))
        frames = []
        for emotion in CLASSES:
            train_R = splits[line["fold"]].train_R
            target = x_UxD[train_R[corpus.emotions_U[train_R] == emotion]]
            moved = folds.z_norm(x_SxD).apply(x_SxD) * target.std(axis=0) + target.mean(axis=0)
            words = {
                "id": [f"{emotion}/{i}" for i in source.ids_U],
                "source_id": source.ids_U,
                "source_speaker": source.speakers_U,
                "source_emotion": source.emotions_U,
                "target_emotion": emotion,
                "normalisation": line["normalisation"],
                "member": line["member"],
                "fold": line["fold"],
                "seed": 0,
                "point": 0,
                "step": 600,
            }
            rows = pd.DataFrame(moved.astype(np.float32), columns=list(source.names_D))
            frames.append(pd.concat([pd.DataFrame(words), rows], axis=1))
        path = (
            folder / "synthetic" / line["normalisation"] / f"fold_{line['fold']:02d}_seed_0_point_0.parquet"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(frames).to_parquet(path, index=False)


def predictions(corpus, splits, rng):
    """Guesses that are right at a rate of each arm, in the order in which a run writes them."""
    rates = {
        ("train", "svm"): (0.75, 0.76, 0.83),
        ("train", "dnn"): (0.78, 0.70, 0.79),
        ("speaker", "svm"): (0.92, 0.88, 0.92),
        ("speaker", "dnn"): (0.92, 0.80, 0.84),
    }
    frames = []
    fold_U = np.concatenate([np.full(len(f.test_R), f.index) for f in splits])
    rows_U = np.concatenate([f.test_R for f in splits])
    for (normalisation, classifier), shares in rates.items():
        for seed in range(2):
            luck_U, other_U = rng.random(len(rows_U)), rng.choice(CLASSES, len(rows_U))
            for arm, share in zip(("real", "wdiv", "real+wdiv"), shares, strict=True):
                truth_U = corpus.emotions_U[rows_U]
                frame = {
                    "corpus": "emodb",
                    "id": corpus.ids_U[rows_U],
                    "speaker": corpus.speakers_U[rows_U],
                    "fold": fold_U,
                    "seed": seed,
                    "point": 0,
                    "arm": arm,
                    "amount": 0.0 if arm == "real" else 5.1,
                    "classifier": classifier,
                    "normalisation": normalisation,
                    "truth": truth_U,
                    "prediction": np.where(luck_U < share, truth_U, other_U),
                } | {f"p_{emotion}": np.nan for emotion in CLASSES}
                frames.append(pd.DataFrame(frame))
    return pd.concat(frames)


def write_json(path, value):
    path.write_text(json.dumps(value))


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text of each section."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.sections, self.open = [], {}, []
        self._text, self._title = [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag == "section":
            self._text = []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "h2":
            self._title = self._text[-1]
        if tag == "section":
            self.sections[self._title] = " ".join(self._text)

    def handle_data(self, text):
        self._text.append(text)

    def images(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "a run, ünïcode")
    assert str(report.write(folder)) == str(folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def page(run):
    return Page(Path(run / "report.html"))


def test_every_section_is_there_and_has_content(page):
    assert tuple(page.sections) == SECTIONS
    assert page.open == []
    assert not any("not there yet" in text for text in page.sections.values())


def test_the_page_says_what_is_left_out(run, page):
    assert "Folds: one speaker is left out at a time." in (run / "report.html").read_text()
    assert set(head.FOLDS) == set(PROTOCOLS)


def test_a_member_of_random_folds_is_without_nobody():
    line = {"member": 1, "arm": "wavegan", "normalisation": "train", "fold": 2, "held_out": [], "seed": 0}
    name = training._member_name(line | {"point": 0, "status": "diverged@40"})
    assert name == "member 1 (wavegan, train normalisation, fold 2, seed 0, point 0): at step 40"


def test_the_numbers_on_the_page_are_those_of_the_files(run, page):
    row = pd.read_csv(run / "results.csv").query(
        "arm == 'real+wdiv' and classifier == 'svm' and normalisation == 'train'"
    )
    uar, delta = (100 * float(row[name].iloc[0]) for name in ("uar", "delta_uar"))
    assert f"{uar:.1f}" in page.sections["Results"]
    assert f"SVM, train normalisation: {delta:+.1f} points, 95 % interval" in page.sections["The answer"]
    quality = page.sections["Quality of the synthetic rows"].split()
    assert quality[-4:] == ["0.0100", "0.1220", "0.0145", "0.1220"]
    assert "emodb/03" in page.sections["Speakers"]
    lost = page.sections["Members that diverged"]
    assert "1 of 20 members diverged" in lost
    assert "member 3 (train normalisation, fold 3 without emodb/10, seed 0, point 0): at step 123" in lost


def test_what_was_run_says_how_to_run_it_again(page):
    text = page.sections["What was run"]
    for part in (
        "python launch.py --config=configs/emodb_wdiv.py --config.gan.seeds=1",
        "--mode=report --workdir='",
        "gan.generator = [64, 64]",
        "hypers.lambda_cyc = 5.0",
        "0123456789ab",
        "jax 0.10.0",
        "x86_64, Linux, 2 cores",
        "8:32",
    ):
        assert part in text


def test_what_a_user_wrote_is_escaped(run, page):
    text = Path(run / "report.html").read_text()
    assert "<script" not in text.lower()
    assert HOSTILE in page.sections["What was run"]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_names_in_tables_are_escaped_too(run, tmp_path, undrawn):
    for name, column in (("results.csv", "arm"), ("quality.csv", "emotion"), ("predictions.csv", "speaker")):
        frame = pd.read_csv(run / name)
        frame[column] = frame[column] + HOSTILE
        frame.to_csv(tmp_path / name, index=False)
    text = Path(report.write(tmp_path)).read_text()
    assert "<script" not in text.lower()
    assert text.count("&lt;script&gt;") > 20


def test_the_page_loads_nothing_from_elsewhere(run, page):
    text = Path(run / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_figures_are_described_kept_as_files_and_not_blank(run, page):
    names = {path.name for path in (run / "figures").iterdir()}
    cells = {f"confusion_{n}_{c}.png" for n in ("train", "speaker") for c in ("svm", "dnn")}
    pairs = {f"{kind}_{n}.png" for n in ("train", "speaker") for kind in ("rows", "features", "losses")}
    assert names == cells | pairs | {"uar.png"}
    images = page.images()
    assert len(images) == len(names)
    kept = {(run / "figures" / name).read_bytes() for name in names}
    for attributes in images:
        assert len(attributes["alt"]) > 40
        content = base64.b64decode(attributes["src"].partition(",")[2])
        assert content in kept
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert pixels.shape[1] > 800
        assert pixels.std() > 5


def test_the_same_run_gives_the_same_bytes(run):
    before = {path: path.read_bytes() for path in [run / "report.html", *(run / "figures").iterdir()]}
    report.write(run)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ((), ()),
        (("config.json",), ("What was run",)),
        (("config.json", "metrics.jsonl"), ("Training of the CycleGANs", "What was run")),
        (("results.csv",), ("The answer", "Results")),
        (("features.parquet", "members.jsonl"), ("Members that diverged",)),
        (("predictions.csv",), ("Speakers", "Confusions")),
    ],
)
def test_an_unfinished_run_says_what_is_missing(run, tmp_path, there, written, undrawn):
    for name in there:
        (tmp_path / name).write_bytes((run / name).read_bytes())
    if "config.json" in there:
        write_json(tmp_path / "config.json", record() | {"ended": None})
    page = Page(Path(report.write(tmp_path)))
    assert tuple(page.sections) == SECTIONS
    for title, text in page.sections.items():
        missing = re.search(r"not there|No synthetic rows are there", text) is not None
        assert missing == (title not in written), title


def test_a_line_cut_short_by_a_crash_is_left_out(run, tmp_path, undrawn):
    text = (run / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 700, "mem')
    page = Page(Path(report.write(tmp_path)))
    assert "Not finished yet: mean over 20 members" in page.sections["Training of the CycleGANs"]


def test_moments_are_those_of_the_training_rows_of_an_emotion(run):
    folder = Run(epath.Path(run))
    corpus, source = (table_files.read(run / f"{name}.parquet") for name in ("features", "source"))
    for normalisation in ("train", "speaker"):
        file = next(file for file in folder.synthetic() if file.normalisation == normalisation)
        table = samples.moments(folder, file).set_index(["rows", "feature"])
        assert set(table.index.get_level_values(0)) == {"source", "synthetic", "target"}
        x_UxD, x_SxD = (folds.normalised(t, normalisation) for t in (corpus, source))
        train_U = corpus.speakers_U != "emodb/03"
        both = np.concatenate([x_SxD, x_UxD[train_U]])
        unit_UxD = (x_UxD - both.min(axis=0)) / np.ptp(both, axis=0)
        rows = [unit_UxD[train_U & (corpus.emotions_U == emotion)] for emotion in CLASSES]
        for name, value in (("mean", np.mean), ("deviation", np.std)):
            expected = np.mean([value(x, axis=0) for x in rows], axis=0)
            found = table.loc["target"].loc[list(corpus.names_D)][name]
            np.testing.assert_allclose(found, expected, atol=1e-4)
        apart = (table.loc["target"]["mean"] - table.loc["synthetic"]["mean"]).abs().mean()
        assert apart < 0.1 * (table.loc["target"]["mean"] - table.loc["source"]["mean"]).abs().mean() + 1e-3


def test_the_picture_shows_training_rows_on_one_scale(run):
    folder = Run(epath.Path(run))
    corpus = table_files.read(run / "features.parquet")
    for normalisation in ("train", "speaker"):
        file = next(file for file in folder.synthetic() if file.normalisation == normalisation)
        x_NxD, emotion_N, _ = sample = samples.draw(folder, [file])
        real_N = sample.real_N
        assert file.fold == 0
        table = folds.normalised(corpus, normalisation)
        out_U = corpus.speakers_U == "emodb/03"
        scaled_UxD = folds.z_norm(table[~out_U]).apply(table)
        distance_NxU = np.abs(x_NxD[real_N][:, None] - scaled_UxD[None]).max(axis=2)
        assert distance_NxU[:, ~out_U].min(axis=1).max() < 1e-3  # every one is a training row
        assert distance_NxU[:, out_U].min() > 1e-2  # and none is the held-out speaker's
        for emotion in CLASSES:
            real, fake = (x_NxD[(emotion_N == emotion) & mask] for mask in (real_N, ~real_N))
            assert 40 <= len(real) <= 80 and len(fake) == 120
            assert np.abs(real.mean(axis=0) - fake.mean(axis=0)).mean() < 0.2  # moments were matched


def test_where_texts_are_left_out_too_nothing_shows_rows_of_a_tested_one(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    record_ = json.loads((run / "config.json").read_text())
    record_["config"] |= {"protocol": "speaker_text", "corpus": {"name": "emodb"}}
    write_json(tmp_path / "run" / "config.json", record_)
    folder, corpus = Run(epath.Path(tmp_path / "run")), table_files.read(run / "features.parquet")
    file = folder.synthetic()[0]
    may_U = corpus.speakers_U != "emodb/03"
    may_U &= np.array([emodb.text(clip) != "a01" for clip in corpus.ids_U])
    x_NxD, _, _ = sample = samples.draw(folder, [file])
    scaled_UxD = folds.z_norm(corpus.x_UxD[may_U]).apply(corpus.x_UxD)
    distance_NxU = np.abs(x_NxD[sample.real_N][:, None] - scaled_UxD[None]).max(axis=2)
    assert distance_NxU[:, may_U].min(axis=1).max() < 1e-3 and distance_NxU[:, ~may_U].min() > 1e-2
    target = samples.moments(folder, file).set_index(["rows", "feature"]).loc["target"]
    whole = samples.moments(Run(epath.Path(run)), file).set_index(["rows", "feature"]).loc["target"]
    assert (target["mean"] - whole["mean"]).abs().max() > 1e-3


def test_table_text_is_aligned_and_marks_clear_differences(run):
    results = pd.read_csv(run / "results.csv")
    lines = report.table_text(results).splitlines()
    assert len(lines) == 2 + len(results) + 1
    assert len({line.find(" p") + 2 for line in lines[:1]} | {len(line) for line in lines[3:5]}) == 1
    for line, row in zip(lines[2:], comparison.counted(results).to_dict("records"), strict=False):
        assert f"{100 * row['uar']:.1f}" in line
        clear = row["delta_low"] > 0 or row["delta_high"] < 0
        assert ("* " in line) == clear


def test_importing_the_report_imports_no_accelerator_library():
    code = "import sys, sergan.report; print({'jax', 'orbax', 'flax', 'sklearn'} & set(sys.modules))"
    root = Path(report.__file__).parent.parent
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
