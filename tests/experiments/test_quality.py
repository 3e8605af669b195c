"""Quality of synthetic rows, where it is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath

from configs.emodb_study import get_config
from experiments import quality, speech, study
from experiments.clips import quality as clips_quality
from sergan import logmel, writers
from sergan.run_folder import Missing, Run


@pytest.fixture
def made(toy):
    """Moments of a source far away, and copies; as many rows as the source has."""
    config = get_config("debug")
    config.arms = ("moments", "duplicate")
    config.corpus.classes = ()
    config.amount = 0.0
    config.choice.amounts = ()
    source = replace(toy.unlabelled(), x_UxD=toy.x_UxD - 10)
    return study.assemble(config, speech.Rows(toy, source))


def measured(made, run):
    (run / "members.jsonl").write_text("")
    quality.measure(made, epath.Path(run))
    return writers.read_frame(run / "quality.csv", ("arm", "emotion"))


def test_moments_have_the_target_s_means_and_copies_are_found(made, tmp_path):
    table = measured(made, tmp_path)
    assert len(table) == 2 * 4 * 2  # arms, folds, emotions: arms without a network have one seed
    assert table.target_source.min() > 0.3
    moments, copies = (table[table.arm == arm] for arm in ("moments", "duplicate"))
    assert moments.target_synthetic.max() < 1e-4 and moments.duplicates.max() == 0
    np.testing.assert_array_equal(copies.duplicates, 48)  # every one of them
    assert copies.agreement.min() > 0.9 and copies.frechet.max() < moments.frechet.max()


def test_what_is_measured_is_kept(made, tmp_path):
    first = measured(made, tmp_path)
    kept = sorted((tmp_path / "quality").glob("*.csv"))
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 2 and measured(made, tmp_path).equals(first)
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def poor(made, *arms):
    """Of one row of a class from each speaker SMOTE makes nothing."""
    config = made.config
    config.arms, config.amount = arms, 1.0
    few = np.arange(0, len(made.label_U), 8)
    return study.assemble(config, speech.Rows(made.corpus.select(few), made.source))


def test_an_arm_that_makes_no_rows_leaves_the_whole_numbers_of_the_others(made, tmp_path):
    measured(poor(made, "smote", "duplicate"), tmp_path)
    table = Run(epath.Path(tmp_path)).quality
    assert set(table.arm) == {"duplicate"} and set(table.fold) == {0, 1, 2, 3}


def test_rows_that_nothing_made_are_a_file_without_rows(made, tmp_path):
    measured(poor(made, "smote"), tmp_path)
    run = Run(epath.Path(tmp_path))
    assert list(run.quality) == ["normalisation", "arm", "emotion", "fold", "seed", "point"]
    with pytest.raises(Missing, match=r"quality\.csv is not there yet"):
        run.need("quality")


def test_clips_that_nothing_made_are_a_file_without_rows(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(logmel, "extract", lambda *_: [np.zeros((4, 5, 3))])
    monkeypatch.setattr(clips_quality, "_fold", lambda *_: [])
    config = SimpleNamespace(sound=SimpleNamespace(seeds=2))
    there = SimpleNamespace(config=config, clips=None, corpus=toy, arms=("time_shift",), folds=[None])
    clips_quality.measure(there, epath.Path(tmp_path))
    assert Run(epath.Path(tmp_path)).quality.empty
