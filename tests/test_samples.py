"""Which files of synthetic rows are shown beside each other."""

from etils import epath

from sergan import samples
from sergan.run_folder import RowsFile


def file(arm, fold, seed=0):
    return RowsFile("train", arm, fold, seed, epath.Path(f"{arm}_{fold}_{seed}"))


def arms_and_folds(files):
    return [(one.arm, one.fold, one.seed) for one in samples.side_by_side(files)]


def test_gan_and_wdiv_of_the_first_fold_and_seed_that_both_have():
    files = [file("coral", 0), file("wdiv", 0), file("gan", 1, 1), file("wdiv", 1), file("wdiv", 1, 1)]
    assert arms_and_folds([*files, file("gan", 2), file("wdiv", 2)]) == [("gan", 1, 1), ("wdiv", 1, 1)]


def test_one_arm_is_shown_alone():
    assert arms_and_folds([file("wdiv", 3), file("wdiv", 4)]) == [("wdiv", 3, 0)]
    assert arms_and_folds([file("", 3)]) == [("", 3, 0)]
    assert arms_and_folds([file("gan", 1), file("wdiv", 2)]) == [("gan", 1, 0)]  # no fold in common


def test_other_arms_are_shown_up_to_three():
    files = [file(arm, 0) for arm in ("coral", "gan", "moments", "noise")]
    assert arms_and_folds(files) == [("coral", 0, 0), ("gan", 0, 0), ("moments", 0, 0)]
