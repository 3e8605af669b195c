"""A sweep as a report shows it: what its points are called, and each one's results, quality and members.

Only the arms that are trained have several points; everything else is at point 0.
"""

from typing import Any

import pandas as pd

from sergan import comparison
from sergan.run_folder import Run, diverged

# Those with points, as they are shown.
ARMS = tuple(f"{real}{arm}" for arm in reversed(comparison.TRAINED) for real in ("real+", ""))
MEASURES = ("target_synthetic", "coverage")  # columns of quality.csv that are shown for each point
_PLACE = ["normalisation", "kind", "point"]
_CHOSEN = {  # in words -> columns of inner.csv and choices.csv
    "sweep points": ["point"],
    "amounts": ["amount"],
    "settings": ["setting", "regularisation", "strength", "real_share"],
}


def words(points: pd.DataFrame) -> dict[int, str]:
    """Each point's values, as in "lambda_cyc 0.5, lambda_cls 2"."""
    values = points.set_index("point").to_dict("index")
    return {
        int(point): ", ".join(f"{key} {number(value)}" for key, value in row.items())  # type: ignore[call-overload]
        for point, row in values.items()
    }


def number(value: Any) -> str:
    """A swept value in words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value) or "none"
    return f"{value:g}"


def varied(points: pd.DataFrame) -> list[str]:
    """The swept keys with more than one value."""
    return [str(key) for key in points.columns.drop("point") if points[key].nunique() > 1]


def labels(frame: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """What each row (arm, point) is called by its point; empty for an arm that has none."""
    names = words(points)
    pairs = zip(frame["arm"], frame["point"], strict=True)
    return [names.get(point, f"point {point}") if arm in ARMS else "" for arm, point in pairs]


def first(run: Run, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows at the first point of a run with a sweep, all of any other run."""
    swept = run.points is not None and "point" in frame
    return frame[frame["point"] == 0] if swept else frame


def chosen(run: Run) -> str:
    """What inner folds chose, in words: "amounts and settings" where nothing is known of it."""
    tried = run.choices if run.inner is None else run.inner
    if tried is None:
        return comparison.CHOSEN
    values = tried.groupby(["classifier", "arm"]).nunique().max()
    words = [word for word, names in _CHOSEN.items() if (values.reindex(names) > 1).any()]
    listed = ", ".join(words[:-1])
    return f"{listed} and {words[-1]}" if listed else "".join(words) or comparison.CHOSEN


def note(run: Run) -> str:
    """What is said of a part with the first point only, with a space before it; empty without a sweep."""
    return "" if run.points is None else f" Only the sweep's first point: {words(run.points)[0]}."


def counting_note(run: Run) -> str:
    """`note` for a part with the rows that count; empty where each fold's point was chosen."""
    return "" if run.results is not None and comparison.has_choice(run.results) else note(run)


def beside_note(run: Run) -> str:
    """`note` for the rows of `runs.rows`, in some of which each fold's point was chosen."""
    if run.points is None or counting_note(run):
        return note(run)
    return (
        " Each fold's point was chosen on inner folds; rows with a number of sets, quality and members: only "
        f"the sweep's first point, {words(run.points)[0]}."
    )


def rows(run: Run) -> pd.DataFrame:
    """The rows of results.csv of `ARMS` by arm and point, `measured`; of several amounts the largest.

    Where points were chosen on inner folds, `inner_uar` is the best UAR there with a point, and `chosen` the
    number of outer folds that took it. Raises Missing where results.csv is not there yet.
    """
    results = run.need("results")
    found = comparison.largest(results[results["arm"].isin(ARMS)])
    found = found.sort_values("point", kind="stable")
    found = found.sort_values("arm", kind="stable", key=lambda arm_N: arm_N.map(ARMS.index))
    return _judged(run, measured(run, found))


def real(run: Run) -> pd.DataFrame:
    """The rows of `real` in results.csv."""
    results = run.need("results")
    return results[results["arm"] == "real"]


def measured(run: Run, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of results.csv with `MEASURES` as far as there are any, `members`, and how many `diverged`."""
    frame = frame.assign(kind=frame["arm"].str.removeprefix("real+"))
    for beside in (_quality(run), _members(run)):
        frame = frame.merge(beside, on=_PLACE, how="left")
    return frame


def _judged(run: Run, found: pd.DataFrame) -> pd.DataFrame:
    if run.inner is None or run.choices is None:
        return found
    keys = ["normalisation", "classifier", "arm", "point"]
    best = run.inner.groupby(keys)["inner_uar"].max()
    taken = run.choices.groupby(keys).size().rename("chosen")
    return found.join(best, on=keys).join(taken, on=keys).fillna({"chosen": 0})


def _quality(run: Run) -> pd.DataFrame:
    """Means of `MEASURES` over folds, seeds and emotions."""
    if run.quality is None:
        return pd.DataFrame(columns=_PLACE).astype({"point": int})
    frame = run.quality if "point" in run.quality else run.quality.assign(point=0)
    names = [name for name in MEASURES if name in frame and frame[name].notna().any()]
    frame = frame.assign(kind=frame["arm"].replace("", _only_kind(run)))
    return frame.groupby(_PLACE)[names].mean().reset_index()


def _members(run: Run) -> pd.DataFrame:
    """How many members of the outer folds there are, and how many of them diverged."""
    lines = [
        (line["normalisation"], line.get("arm") or _only_kind(run), line["point"], diverged(line))
        for line in run.members
        if not line.get("inner")
    ]
    frame = pd.DataFrame(lines, columns=[*_PLACE, "diverged"]).astype({"point": int, "diverged": int})
    return frame.groupby(_PLACE)["diverged"].agg(diverged="sum", members="count").reset_index()


def _only_kind(run: Run) -> str:
    """The kind of CycleGANs in a run whose files name none."""
    return run.record.get("config", {}).get("gan", {}).get("loss", "")
