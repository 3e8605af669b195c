"""Exports: the rows as they are, with their card, whole or not at all."""

import audformat
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from etils import epath

from sergan import synthesis

NAMES = ("a", "b")


def rows(count=4):
    frame = pd.DataFrame({name: [f"{name} {i}" for i in range(count)] for name in synthesis.PROVENANCE})
    frame["target_emotion"] = ["anger", "fear"] * (count // 2)
    return frame.assign(a=np.arange(count, dtype=np.float32), b=np.float32(0.5))


@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_rows_in_blocks_are_those_of_one_call_and_noise_differs_between_blocks(count, monkeypatch):
    monkeypatch.setattr(synthesis, "BLOCK", 5)
    x_NxD, key = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32), jax.random.key(0)
    doubled = synthesis.in_blocks(lambda gen, key, x: jnp.stack([gen * x, x]), 2.0, key, x_NxD)
    np.testing.assert_array_equal(doubled, np.stack([2 * x_NxD, x_NxD]))
    noise = synthesis.in_blocks(lambda gen, key, x: jax.random.normal(key, (1, *x.shape)), None, key, x_NxD)
    assert noise.shape == (1, count, 3) and len(np.unique(noise)) == 3 * count


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.npz"])
def test_a_file_and_its_card(tmp_path, name):
    synthesis.write(epath.Path(tmp_path / name), rows(), NAMES, "a card")
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.card.md"}
    assert (tmp_path / f"{name}.card.md").read_text() == "a card"


def test_what_a_killed_export_left_is_no_part_of_the_next(tmp_path):
    (tmp_path / "rows.partial").mkdir()
    (tmp_path / "rows.partial" / "db.old.csv").write_text("old")
    synthesis.write(epath.Path(tmp_path / "rows"), rows(), NAMES, "a card")
    found = {path.name for path in (tmp_path / "rows").iterdir()}
    assert found == {"db.yaml", "db.rows.csv", "features.parquet", "card.md"}
    assert audformat.Database.load(str(tmp_path / "rows"))["rows"].get().source_id.tolist() == [
        f"source_id {i}" for i in range(4)
    ]


def test_rows_that_cannot_be_written_leave_no_card(tmp_path, monkeypatch):
    def full(path, frame):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthesis, "write_frame", full)
    with pytest.raises(OSError, match="No space left"):
        synthesis.write(epath.Path(tmp_path / "rows.csv"), rows(), NAMES, "a card")
    assert not list(tmp_path.iterdir())
