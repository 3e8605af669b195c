"""What each point of a sweep gives, as lines over one key or maps over two, and as a table."""

from collections.abc import Sequence

import pandas as pd

from sergan import cells, page, sweep, sweep_figures
from sergan.run_folder import Run
from sergan.sections import quality

SEEN = (
    "These points are seen on the test folds: they show what the settings do, and no point of them may be "
    "chosen."
)


def points(run: Run) -> str:
    """What each point of a sweep gives, as lines over one key or maps over two, and as a table."""
    if run.points is None:
        return ""
    rows, real, keys = sweep.rows(run), sweep.real(run), sweep.varied(run.points)
    if rows.empty:
        return '<p class="missing">No arm in results.csv has sweep points.</p>'
    there = [name for name in sweep.MEASURES if name in rows]
    pictures = _curves(run, rows, real, keys[0], there) if len(keys) == 1 else []
    if len(keys) == 2:
        pictures = _maps(run.points, rows, keys, there)
    if len(keys) == 2 and "inner_uar" in rows:
        pictures = _inner_maps(run.points, rows, keys) + pictures
    several = bool(run.need("results").groupby("arm")["amount"].nunique().max() > 1)
    caption = "Every arm at its largest number of sets. " * several + (
        "UAR in % with its 95 % interval; difference to real in points, in bold where its paired interval "
        f"excludes 0. Diverged: members of the outer folds that were frozen. {SEEN}"
    )
    parts = [page.show(pictures, run.folder / "figures")]
    for normalisation, part in rows.groupby("normalisation", sort=False):
        table = cells.swept(part, real[real["normalisation"] == normalisation], run.points)
        where = f"Normalisation {normalisation}. "
        parts.append(page.table(*table, where + caption, cells.firsts(table, 1), "dense"))
        caption = "As above."
    return "".join(parts)


def _curves(
    run: Run, rows: pd.DataFrame, real: pd.DataFrame, key: str, measures: Sequence[str]
) -> list[page.Picture]:
    """UAR and quality over the one key of a sweep."""
    points = run.need("points")
    hollow = " Hollow: points with members that diverged." * bool((rows["diverged"] > 0).any())
    arms, kinds = (", ".join(dict.fromkeys(rows[name])) for name in ("arm", "kind"))
    pictures = [
        page.Picture(
            "sweep_uar.png",
            sweep_figures.uar_curves(rows, real, points, key),
            f"UAR of {arms} against {key} with its 95 % interval, per classifier and normalisation; real is "
            "a horizontal line; the values are in the table below.",
            f"Bands: 95 % intervals over speakers. Grey: real.{hollow} {SEEN}",
        )
    ]
    if measures:
        headings = {name: cells.MEASURES[name].heading for name in measures}
        what = " and ".join(heading.lower().rstrip(" ↑↓") for heading in headings.values())
        seeds = quality.measured_seeds(run.need("quality"))
        pictures.append(
            page.Picture(
                "sweep_quality.png",
                sweep_figures.measure_curves(rows, points, key, headings),
                f"Quality of the synthetic rows of {kinds} against {key}: {what}, per normalisation.",
                f"Means over folds, emotions and {seeds}. ↑ higher, ↓ lower is better.{hollow}",
            )
        )
    return pictures


def _maps(
    points: pd.DataFrame, rows: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]
) -> list[page.Picture]:
    """UAR of each arm, and how near target and synthetic rows are, over the two keys of a sweep."""
    over = " and ".join(keys)
    lost = " div.: members that diverged." * bool((rows["diverged"] > 0).any())
    pictures = [
        page.Picture(
            f"sweep_{page.file_name(arm)}.png",
            sweep_figures.uar_maps(part, points, keys),
            f"UAR of {arm} over {over}, per classifier and normalisation; the values are in the table below.",
            f"{arm}: UAR in % and its difference to real in points, with * where the paired interval "
            f"excludes 0; one scale of colours for each normalisation.{lost} {SEEN}",
        )
        for arm, part in rows.groupby("arm", sort=False)
    ]
    name = "target_synthetic"
    if name in measures:
        measure = cells.MEASURES[name]
        pictures.append(
            page.Picture(
                "sweep_quality.png",
                sweep_figures.measure_maps(rows, points, keys, name, measure.decimals),
                f"{measure.heading.rstrip(' ↓')} over {over}, per kind of CycleGAN and normalisation.",
                f"{measure.heading}: {measure.meaning}; mean over folds, seeds and emotions.{lost}",
            )
        )
    return pictures


def _inner_maps(points: pd.DataFrame, rows: pd.DataFrame, keys: Sequence[str]) -> list[page.Picture]:
    """What the inner folds say of each arm over the two keys of a sweep."""
    return [
        page.Picture(
            f"sweep_inner_{page.file_name(arm)}.png",
            sweep_figures.inner_maps(part, points, keys),
            f"UAR of {arm} on inner folds over {' and '.join(keys)}, per classifier and normalisation; the "
            "values are in the table below.",
            f"{arm} on inner folds: UAR in %, pooled over all of them, and how many held-out speakers' folds "
            "chose the point, each on the inner folds without that speaker.",
        )
        for arm, part in rows[rows["inner_uar"].notna()].groupby("arm", sort=False)
    ]
