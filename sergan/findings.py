"""The part of a report that says what was found: results, curves over the amount, choices, quality.

Each function takes a run folder and gives HTML, empty where the run has nothing of the kind.
"""

import html
from collections.abc import Mapping, Sequence

import pandas as pd

from sergan import (
    bao,
    cells,
    clip_findings,
    comparison,
    figures,
    metrics,
    page,
    published,
    sweep,
    sweep_figures,
)
from sergan.run_folder import Run

_CHOSEN = "chosen on inner folds of the training speakers, anew for each fold: these rows are what counts. "
_CHOSEN_ACROSS = "chosen on the target's development rows, which are not tested: these rows are what counts. "
_OWN_CORPUS = (
    "With corpus normalisation each corpus is z-normed by its own rows, the tested ones included, without "
    "their labels. "
)
_DIAMOND = (
    "The diamond is what counts: the UAR with {} chosen on inner folds, drawn at the mean amount; it need "
    "not lie on the curve, whose settings are fixed."
)
_CURVE = (
    "A set is as large as the real training set. The curves are at fixed settings and seen on the test "
    "folds: they show what amounts do, and no point of them may be chosen."
)
_SHORT = 8  # letters of a classifier's name that leave room for the columns beside it
_SEEN = "At fixed settings, seen on the test folds: not to be chosen from."
_LARGEST = " Two arms are compared at the largest number of sets that both have."
_POINTS = (
    "These points are seen on the test folds: they show what the settings do, and no point of them may be "
    "chosen."
)


def answer(run: Run) -> str:
    """The answer in a sentence or a paragraph."""
    text = comparison.answer(sweep.first(run, run.need("results")), run.contrasts, sweep.chosen(run))
    return f'<p class="answer">{html.escape(text + sweep.counting_note(run))}</p>'


def results(run: Run) -> str:
    """The rows that count, with what the papers have beside them."""
    everything = run.need("results")
    rows, chosen = comparison.counted(everything), comparison.has_choice(everything)
    caption = f"{clip_findings.PROTOCOLS[run.protocol]} " if run.kind == "recordings" else ""
    caption += f"{int(everything['classes'].max())} classes, mean over {_seeds(rows)}. "
    if chosen:
        caption += f"{sweep.chosen(run).capitalize()} were {_CHOSEN_ACROSS if run.target else _CHOSEN}"
    caption += _OWN_CORPUS if "corpus" in set(everything["normalisation"]) else ""
    caption += (
        "Brackets: 95 % intervals, bootstrap over speakers. Difference to real in points, in bold where its "
        "interval excludes 0; p from swapping the arms speaker by speaker, Holm-corrected over the table."
    )
    caption += "" if chosen else " Sets: synthetic rows in multiples of the real training set."
    points = None if chosen else run.points
    caption += f" {_POINTS}" if points is not None else ""
    beside = _beside(run) if chosen else {}
    if run.predictions is not None:
        rows = comparison.with_gaps(rows, run.predictions)
    table = cells.results(rows, beside, cells.lost(run.holes, rows), points)
    long = points is not None or rows["classifier"].str.len().max() > _SHORT
    style = "wrap" if chosen else "dense" if long else ""
    parts = [_intervals(run), page.table(*table, caption, cells.firsts(table, 2), style)]
    if (pairs := _contrasts(run)) is not None and len(pairs):
        note = f"{clip_findings.protocol(run)}Arms against each other, paired over speakers, in points; bold "
        note += "where the interval excludes 0."
        note += "" if chosen or comparison.curve(everything).empty else _LARGEST
        note += sweep.counting_note(run)
        table = cells.contrasts(comparison.in_order(pairs.assign(arm=pairs["b"])))
        parts.append(page.table(*table, note, cells.firsts(table, 2)))
    if chosen and len(left := comparison.uncounted(sweep.first(run, everything))):
        note = "Synthetic rows alone, and real beside them: at fixed settings, for which nothing was chosen."
        note += sweep.note(run)
        table = cells.results(left)
        parts.append(page.table(*table, note, cells.firsts(table, 2)))
    return "".join(parts) + (_quoted(run) if chosen else "")


def repeats(run: Run) -> str:
    """Bao et al.'s numbers for the same corpora beside ours; none for other corpora."""
    frame = bao.beside(run)
    if frame.empty:
        return ""
    caption = (
        "Mean ± standard deviation over repeats (the paper's five, our seeds), which says nothing of other "
        "speakers; brackets: 95 % intervals, bootstrap over speakers. UAR of the DNN, where a sweep has "
        f"points at each one's largest amount. {bao.SOURCE}."
    )
    return page.table(*cells.bao(frame), caption, style="wrap")


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
        f"excludes 0. Diverged: members of the outer folds that were frozen. {_POINTS}"
    )
    parts = [page.show(pictures, run.folder / "figures")]
    for normalisation, part in rows.groupby("normalisation", sort=False):
        table = cells.swept(part, real[real["normalisation"] == normalisation], run.points)
        where = f"Normalisation {normalisation}. "
        parts.append(page.table(*table, where + caption, cells.firsts(table, 1), "dense"))
        caption = "As above."
    return "".join(parts)


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
    table = cells.optimism(comparison.optimism(run.results), _beside(run))
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
    names = None if run.points is None else sweep.words(run.points)
    table = cells.choices(comparison.choices_made(run.choices, names))
    caption = (
        "What the inner folds chose; where outer folds differ, their number in brackets. Sets: synthetic "
        "rows in multiples of the real training set; real share: the real rows' part of the whole weight."
    )
    return page.table(*table, caption, cells.firsts(table, 2), "wrap")


def holes(run: Run) -> str:
    """What could not run, with the reason."""
    if not run.holes:
        return ""
    caption = "What could not run, so that its arm does not have it; the rest of the arm did run."
    if run.kind == "features":
        caption += " Two speakers held out together are an inner fold, which only the choice misses."
    return page.table(*cells.holes(run.holes), caption, style="wrap")


def quality(run: Run) -> str:
    """How good the synthetic rows are, by every measure there is, and by emotion how near their means are."""
    frame = run.need("quality")
    names, several = cells.measures(frame), frame["arm"].nunique() > 1
    at_first, note = sweep.first(run, frame), sweep.note(run)
    folds = f"mean over {frame['fold'].nunique()} folds"
    parts = []
    if several or set(names) - {"target_synthetic", "target_source"}:
        table = cells.quality(frame, run.points)
        caption = clip_findings.protocol(run)
        caption += f"Real and synthetic rows: {folds}, all emotions and {_measured_seeds(frame)}. "
        caption += "↑ higher, ↓ lower is better."
        caption += f" {clip_findings.ROWS}" if run.kind == "recordings" else ""
        parts.append(page.table(*table, caption, cells.firsts(table, 1), "dense"))
        meanings = (cells.MEASURES[name] for name in names)
        lines = (f"<li><b>{m.heading}</b>: {html.escape(m.meaning)}.</li>" for m in meanings)
        parts.append(f'<ul class="soft">{"".join(lines)}</ul>\n')
    if "target_synthetic" in names:
        begins = "; target to source is where the transfer starts" if "target_source" in names else ""
        caption = (
            f"{clip_findings.protocol(run)}Mean over features of the absolute difference of means, on "
            f"features min-max scaled to [0, 1]; {folds}. The nearer target to synthetic is to 0, the nearer "
            f"the synthetic rows are to the real ones of that emotion{begins}.{note}"
        )
        groups = [at_first]
        if several:
            groups = [part for _, part in at_first.groupby("normalisation", sort=False)]
        for part in groups:
            where = f"Normalisation {part['normalisation'].iloc[0]}. " if several else ""
            table = cells.transfer(part, "arm" if several else "normalisation")
            parts.append(page.table(*table, where + caption, [len(table.rows) - 1]))
            caption = "As above."
    return "".join(parts)


def _seeds(rows: pd.DataFrame) -> str:
    """How many seeds rows of results.csv are means over, in words, by classifier where that differs."""
    found = rows.groupby("classifier", sort=False)["seeds"]
    words = [
        f"{'up to ' * bool(low < high)}{high:.0f}" for low, high in zip(found.min(), found.max(), strict=True)
    ]
    if len(set(words)) == 1:
        return f"{words[0]} seed{'s' * (words[0] != '1')}"
    names = (metrics.classifier_name(str(name)) for name in found.groups)
    return f"seeds ({', '.join(f'{name} {n}' for name, n in zip(names, words, strict=True))})"


def _measured_seeds(quality: pd.DataFrame) -> str:
    """Which seeds the means of quality.csv are over, in words: the differences of means may have more."""
    rest = [name for name in cells.measures(quality) if name not in cells.TRANSFER]
    measured = quality[quality[rest].notna().any(axis=1)]
    alike = "seed" not in quality or not rest or set(measured["seed"]) == set(quality["seed"])
    return "seeds" if alike else "seeds (of the first seed alone but for the differences of means)"


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
            f"Bands: 95 % intervals over speakers. Grey: real.{hollow} {_POINTS}",
        )
    ]
    if measures:
        headings = {name: cells.MEASURES[name].heading for name in measures}
        what = " and ".join(heading.lower().rstrip(" ↑↓") for heading in headings.values())
        seeds = _measured_seeds(run.need("quality"))
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
            f"excludes 0; one scale of colours for each normalisation.{lost} {_POINTS}",
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


def _contrasts(run: Run) -> pd.DataFrame | None:
    """The arms against each other; of a sweep those that are known to be at its first point."""
    if run.contrasts is None or run.points is None or "point" in run.contrasts:
        return None if run.contrasts is None else sweep.first(run, run.contrasts)
    return run.contrasts[~run.contrasts.duplicated(["a", "b", *comparison.GROUP], keep=False)]


def _intervals(run: Run) -> str:
    """UAR of the rows that count, and for chosen ones the differences to real, as figures."""
    rows = comparison.counted(sweep.first(run, run.need("results")))
    pictures = [
        page.Picture(
            "uar.png",
            figures.uar_intervals(rows),
            "Pooled UAR of each arm with its 95 % interval, per classifier and normalisation; the values are "
            "in the table below.",
            sweep.counting_note(run).strip(),
        )
    ]
    if comparison.has_choice(rows) and rows["delta_low"].notna().any():
        pictures.append(
            page.Picture(
                "difference.png",
                figures.uar_intervals(rows, "delta"),
                "Difference of each arm's UAR to real with its paired 95 % interval, per classifier and "
                "normalisation; the values are in the table below.",
                "Paired differences to real, the same speakers drawn for both: such an interval may exclude "
                "0 where the two of UAR overlap.",
            )
        )
    return page.show(pictures, run.folder / "figures")


def _quoted(run: Run) -> str:
    """Where the papers' numbers come from, and those that are not like for like."""
    if not _as_published(run):
        return ""
    note = (
        f"Paper: {published.SOURCES['Shilandari 2022']}: the same arm, classifier and emotions, leave one "
        "speaker out, mean of 3 runs; no intervals, no real-only numbers, and not said on which rows the "
        "features are normalised. By the preprint they are the best over several amounts, so the best points "
        f"of the curve are nearer to them than the chosen ones. {published.preprint_note()}"
    )
    apart = published.apart(run.corpus.get("classes", ()))
    sources = " ".join(f"{name}: {published.SOURCES[name]}." for name in dict.fromkeys(apart["source"]))
    notes = [note] * bool(_beside(run))
    notes.append(
        f"Quoted only, with other classes or by another kind of system, not like for like. {sources}"
    )
    texts = "".join(f'<p class="soft">{html.escape(text)}</p>\n' for text in notes)
    return texts + page.table(*cells.published(apart))


def _beside(run: Run) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Published numbers of our arms, for the same corpus and emotions."""
    return published.beside(run.corpus.get("classes", ())) if _as_published(run) else {}


def _as_published(run: Run) -> bool:
    """Whether the run has the papers' corpus and leaves out one speaker, as they do."""
    return run.corpus.get("name") == published.CORPUS and run.protocol == "speaker"
