"""Which files of synthetic rows are shown beside each other."""

import numpy as np
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


def test_arms_in_one_picture_have_rows_of_other_source_rows():
    """A source row that is shown with two transfers would lie beside itself."""
    label_N, rows = np.repeat(["anger", "fear"], 10), np.arange(20)
    first, second, again = (set(samples._balanced(label_N, rows, 4, turn).tolist()) for turn in (0, 1, 0))
    assert first == again and len(first) == len(second) == 8 and not first & second
    assert {label_N[row] for row in second} == {"anger", "fear"}
    assert len(set(samples._balanced(label_N, rows, 20, 1).tolist())) == 20
