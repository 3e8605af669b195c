"""Quality of synthetic rows, where it is known."""

from dataclasses import replace

import numpy as np
import pytest
from etils import epath

from configs.emodb_study import get_config
from experiments import quality, study
from sergan import writers


@pytest.fixture
def made(toy):
    """Moments of a source far away, and copies; as many rows as the source has."""
    config = get_config("debug")
    config.arms = ("moments", "duplicate")
    config.corpus.classes = ()
    config.amount = 0.0
    config.choice.amounts = ()
    source = replace(toy.unlabelled(), x_UxD=toy.x_UxD - 10)
    return study.assemble(config, toy, source)


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
