"""Rows on demand: how many, of which members, and of whose speech."""

import collections

import numpy as np
import pytest
from etils import epath

from configs.emodb_wdiv import get_config
from experiments import study, synthesise
from experiments.speech import Rows
from sergan.errors import UserError

RUN = epath.Path("run")


@pytest.fixture
def at(toy):
    """arm -> a study of it on the toy corpus, whose clips' rows are the source."""

    def make(arm):
        config = get_config("debug")
        config.corpus.classes = ()
        config.arms, config.normalisations = (arm,), ("train",)
        source = toy.unlabelled()
        return study.assemble(config, Rows(toy, source, None))

    return make


@pytest.fixture
def trained(monkeypatch):
    """Generators that give rows of zeros, and a set to which the places of diverged members are added."""
    lost = set()

    class Generators(synthesise.Generators):
        def __init__(self, study, run):
            self._lines = {
                member.index: {"status": "diverged@3" if member.index in lost else "done", "member": member}
                for member in study.members
            }

        def transfer(self, member, x_SxD, rows_N):
            return np.zeros((2, len(rows_N), x_SxD.shape[1]), np.float32)

    monkeypatch.setattr(synthesise, "Generators", Generators)
    return lost


def of_members(rows):
    return collections.Counter(rows.member)


def test_rows_are_spread_over_the_members(at, trained):
    rows = synthesise.synthesise_more(at("wdiv"), RUN, 10, at("wdiv").source)
    assert rows.groupby("target_emotion").size().tolist() == [10, 10]
    assert of_members(rows) == {0: 6, 1: 6, 2: 4, 3: 4}  # of both emotions
    assert not rows.duplicated(["member", "source_id", "target_emotion"]).any()


def test_a_member_that_diverged_makes_none(at, trained):
    trained.add(1)
    rows = synthesise.synthesise_more(at("wdiv"), RUN, 9, at("wdiv").source)
    assert of_members(rows) == {0: 6, 2: 6, 3: 6}


def test_a_run_has_no_files_of_members_that_diverged(at, trained, tmp_path):
    trained.update((1, 2))
    synthesise.synthesise(at("wdiv"), epath.Path(tmp_path))
    names = [path.stem for path in sorted((tmp_path / "synthetic" / "train").iterdir())]
    assert names == [f"wdiv_fold_{fold:02d}_seed_0_point_0" for fold in (0, 3)]


def test_rows_are_refused_where_all_members_diverged(at, trained):
    trained.update(range(4))
    with pytest.raises(UserError, match="run: all 4 members diverged; begin anew"):
        synthesise.synthesise_more(at("wdiv"), RUN, 9, at("wdiv").source)


def test_no_speech_of_the_held_out_speaker_is_used(at, trained):
    asked = at("wdiv")
    fewest = len(asked.source.ids_U) - 16  # a speaker has 16 rows
    rows = synthesise.synthesise_more(asked, RUN, 4 * fewest, asked.source)
    for fold, part in rows.groupby("fold"):
        assert not set(part.source_speaker) & set(asked.fold(fold).held_out)
    with pytest.raises(UserError, match=f"between 1 and {4 * fewest} rows can be made from 4 members"):
        synthesise.synthesise_more(asked, RUN, 4 * fewest + 1, asked.source)


def test_rows_from_noise_may_be_more_than_those_of_the_source(at, trained):
    asked = at("adan")
    wanted = 4 * len(asked.source.ids_U) + 3
    rows = synthesise.synthesise_more(asked, RUN, wanted, asked.source)
    assert rows.groupby("target_emotion").size().tolist() == [wanted, wanted]
    assert set(rows.source_speaker) == {""} and rows.id.is_unique
