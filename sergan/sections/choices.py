"""What the amounts do, what the inner folds chose, and what choosing on the test folds would have claimed."""

import html

from sergan import cells, comparison, figures, page, sweep
from sergan.run_folder import Run
from sergan.sections import results

_DIAMOND = (
    "The diamond is what counts: the UAR with {} chosen on inner folds, drawn at the mean amount; it need "
    "not lie on the curve, whose settings are fixed."
)
_CURVE = (
    "A set is as large as the real training set. The curves are at fixed settings and seen on the test "
    "folds: they show what amounts do, and no point of them may be chosen."
)
_SEEN = "At fixed settings, seen on the test folds: not to be chosen from."


def amounts(run: Run) -> str:
    """UAR against the number of augmented sets, for all arms and for each; none without such a curve."""
    if run.results is None or (curve := comparison.curve(sweep.first(run, run.results))).empty:
        return ""
    chosen = run.results[run.results["amount"].isna()]
    means = {} if run.choices is None else comparison.mean_amounts(run.choices)
    arms = [arm for arm in dict.fromkeys(curve["arm"]) if arm != "real"]
    beside, alone = ([arm for arm in arms if arm.startswith("real+") == real] for real in (True, False))
    pictures = [
        page.Picture(
            f"curve_all_{name}.png",
            figures.amount_curves(curve, group, chosen, {}),
            f"UAR against the number of augmented sets for {', '.join(group)}; real is a horizontal line.",
            f"All arms that train on {what}. Grey: real with its 95 % interval. {_SEEN}",
        )
        for name, what, group in (
            ("beside", "real and synthetic rows", beside),
            ("alone", "synthetic rows alone", alone),
        )
        if len(group) > 1
    ]
    pictures += [
        page.Picture(
            f"curve_{page.file_name(arm)}.png",
            figures.amount_curves(curve, [arm], chosen, means),
            f"UAR of {arm} against the number of augmented sets with its 95 % interval, per classifier and "
            "normalisation; real is a horizontal line.",
            f"{arm} and real with their 95 % intervals over speakers. {_SEEN}",
        )
        for arm in arms
    ]
    note = html.escape(f"{_CURVE} {_DIAMOND.format(sweep.chosen(run)) if means else ''}{sweep.note(run)}")
    return f'<p class="soft">{note}</p>\n' + page.show(pictures, run.folder / "figures")


def optimism(run: Run) -> str:
    """What the best row at fixed settings would have claimed, against what was chosen on inner folds."""
    if run.results is None or not comparison.has_choice(run.results):
        return ""
    table = cells.optimism(comparison.optimism(run.results), results.beside(run))
    several = not comparison.curve(run.results).empty or run.points is None
    over = " and ".join(["amounts"] * several + ["points of the sweep"] * (run.points is not None))
    caption = (
        f"Best: the highest UAR over all {over}, picked on the very folds that it is reported on, at fixed "
        f"settings. Chosen: {sweep.chosen(run)} from inner folds. Differences to real in points. Optimism: "
        "the best row minus the chosen one."
    )
    return page.table(*table, caption, cells.firsts(table, 2), "wrap") if table.rows else ""


def choices(run: Run) -> str:
    """What the inner folds chose."""
    if run.choices is None or run.choices.empty:
        return ""
    points = [] if run.points is None else sweep.labels(run.choices, run.points)
    table = cells.choices(comparison.choices_made(run.choices, points))
    caption = (
        "What the inner folds chose; where outer folds differ, their number in brackets. Sets: synthetic "
        "rows in multiples of the real training set; real share: the real rows' part of the whole weight."
    )
    return page.table(*table, caption, cells.firsts(table, 2), "wrap")
