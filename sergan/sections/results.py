"""The rows that count, what the papers have beside them, and what could not run."""

import html
from collections.abc import Mapping

import pandas as pd

from sergan import bao, cells, comparison, figures, metrics, page, published, sweep
from sergan.run_folder import Run
from sergan.sections import head, points

_CHOSEN = "chosen on inner folds of the training speakers, anew for each fold: these rows are what counts. "
_CHOSEN_ACROSS = "chosen on the target's development rows, which are not tested: these rows are what counts. "
_OWN_CORPUS = (
    "With corpus normalisation each corpus is z-normed by its own rows, the tested ones included, without "
    "their labels. "
)
_SHORT = 8  # letters of a classifier's name that leave room for the columns beside it
_LARGEST = " Two arms are compared at the largest number of sets that both have."


def answer(run: Run) -> str:
    """The answer in a sentence or a paragraph."""
    text = comparison.answer(sweep.first(run, run.need("results")), run.contrasts, sweep.chosen(run))
    return f'<p class="answer">{html.escape(text + sweep.counting_note(run))}</p>'


def results(run: Run) -> str:
    """The rows that count, with what the papers have beside them."""
    everything = run.need("results")
    rows, chosen = comparison.counted(everything), comparison.has_choice(everything)
    caption = f"{head.PROTOCOLS[run.protocol]} " if run.kind == "recordings" else ""
    caption += f"{int(everything['classes'].max())} classes, mean over {_seeds(rows)}. "
    if chosen:
        caption += f"{sweep.chosen(run).capitalize()} were {_CHOSEN_ACROSS if run.target else _CHOSEN}"
    caption += _OWN_CORPUS if "corpus" in set(everything["normalisation"]) else ""
    caption += (
        "Brackets: 95 % intervals, bootstrap over speakers. Difference to real in points, in bold where its "
        "interval excludes 0; p from swapping the arms speaker by speaker, Holm-corrected over the table."
    )
    caption += "" if chosen else " Sets: synthetic rows in multiples of the real training set."
    swept = None if chosen else run.points
    caption += f" {points.SEEN}" if swept is not None else ""
    theirs = beside(run) if chosen else {}
    if run.predictions is not None:
        rows = comparison.with_gaps(rows, run.predictions)
    table = cells.results(rows, theirs, cells.lost(run.holes, rows), swept)
    long = swept is not None or rows["classifier"].str.len().max() > _SHORT
    style = "wrap" if chosen else "dense" if long else ""
    parts = [_intervals(run), page.table(*table, caption, cells.firsts(table, 2), style)]
    if (pairs := _contrasts(run)) is not None and len(pairs):
        note = f"{head.protocol(run)}Arms against each other, paired over speakers, in points; bold "
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


def holes(run: Run) -> str:
    """What could not run, with the reason."""
    if not run.holes:
        return ""
    caption = "What could not run, so that its arm does not have it; the rest of the arm did run."
    if run.kind == "features":
        caption += " Two speakers held out together are an inner fold, which only the choice misses."
    return page.table(*cells.holes(run.holes), caption, style="wrap")


def beside(run: Run) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Published numbers of our arms, for the same corpus and emotions."""
    return published.beside(run.corpus.get("classes", ())) if _as_published(run) else {}


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


def _contrasts(run: Run) -> pd.DataFrame | None:
    """The arms against each other; of a sweep those that are known to be at its first point."""
    if run.contrasts is None or run.points is None or "point" in run.contrasts:
        return None if run.contrasts is None else sweep.first(run, run.contrasts)
    return run.contrasts[~run.contrasts.duplicated(["a", "b", *comparison.GROUP], keep=False)]


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
    notes = [note] * bool(beside(run))
    notes.append(
        f"Quoted only, with other classes or by another kind of system, not like for like. {sources}"
    )
    texts = "".join(f'<p class="soft">{html.escape(text)}</p>\n' for text in notes)
    return texts + page.table(*cells.published(apart))


def _as_published(run: Run) -> bool:
    """Whether the run has the papers' corpus and leaves out one speaker, as they do."""
    return run.corpus.get("name") == published.CORPUS and run.protocol == "speaker"
