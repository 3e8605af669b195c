"""The demonstration of the leak shows one."""

import numpy as np

from experiments import leaks


def test_copies_after_a_split_are_of_training_rows_alone(monkeypatch):
    """Rows of nothing but noise: only a copy of a tested row could be told."""
    rng = np.random.default_rng(0)
    x_UxD, label_U = rng.normal(size=(100, 400)).astype(np.float32), np.arange(100) % 2
    seen = {
        when: leaks._uar("random 5-fold", x_UxD, label_U, label_U, 3 * bool(when), when, 0.1, 1e-2, 0)
        for when in ("", "after", "before")
    }
    assert seen["before"] > 0.95 and max(seen[""], seen["after"]) < 0.65


def test_copies_before_a_random_split_look_like_success_and_before_a_split_by_speaker_do_not():
    found = leaks.table(seeds=1, variants=((0, ""), (3, "before"))).set_index(["split", "copies", "made"]).uar
    assert found["random 5-fold", 3, "before the split"] > 0.96
    assert found["random 5-fold", 0, ""] < 0.92
    assert (
        abs(found["leave one speaker out", 3, "before the split"] - found["leave one speaker out", 0, ""])
        < 0.03
    )
