"""The demonstration of the leak shows one."""

from experiments import leaks


def test_copies_before_a_random_split_look_like_success_and_before_a_split_by_speaker_do_not():
    found = leaks.table(seeds=1, variants=((0, ""), (3, "before"))).set_index(["split", "copies", "made"]).uar
    assert found["random 5-fold", 3, "before the split"] > 0.96
    assert found["random 5-fold", 0, ""] < 0.92
    assert (
        abs(found["leave one speaker out", 3, "before the split"] - found["leave one speaker out", 0, ""])
        < 0.03
    )
