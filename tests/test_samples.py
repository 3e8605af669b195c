"""Which files of synthetic rows are shown beside each other."""

import numpy as np
import pandas as pd
import pytest
from etils import epath

from sergan import samples
from sergan.run_folder import Missing, RowsFile


def file(arm, fold, seed=0):
    return RowsFile("train", arm, fold, seed, epath.Path(f"{arm}_{fold}_{seed}"))


def arms_and_folds(files):
    return [(one.arm, one.fold, one.seed) for one in samples.side_by_side(files)]


def test_gan_and_wdiv_of_the_first_fold_and_seed_that_both_have():
    files = [file("coral", 0), file("wdiv", 0), file("gan", 1, 1), file("wdiv", 1), file("wdiv", 1, 1)]
    assert arms_and_folds([*files, file("gan", 2), file("wdiv", 2)]) == [("gan", 1, 1), ("wdiv", 1, 1)]


def test_rows_that_are_too_large_are_not_drawn():
    names = ("a", "b")
    values = [[1.0, 2.0], [1e30, 0.0], [np.nan, 0.0], [-3.0, 1e14], [np.inf, 1.0]]
    frame = pd.DataFrame(values, columns=names).assign(target_emotion=list("xyxyx"))
    x_NxD, emotion_N = samples._usable(file("wdiv", 0), frame, names)
    np.testing.assert_array_equal(x_NxD, np.array(values)[[0, 3]].astype(np.float32))
    assert emotion_N.tolist() == ["x", "y"]
    with pytest.raises(Missing, match="wdiv_0_0 has no row that could be drawn: their values are too large"):
        samples._usable(file("wdiv", 0), frame.iloc[1:3], names)


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
