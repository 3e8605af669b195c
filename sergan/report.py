"""A run folder as one page that opens offline and prints: the answer, tables, figures, how to run it again.

Reads files only and needs no accelerator library; a file that is not there yet makes its section say so.
"""

import html
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from etils import epath

from sergan import cells, comparison, figures, page, runs, sweep, writers
from sergan.run_folder import Missing, Run
from sergan.sections import choices, clips, detail, head, learning, points, quality, results, rows, training

_COLUMNS = 2  # keys that differ between runs and still have a column each beside the results


def write(run: epath.PathLike) -> epath.Path:
    """Writes `figures/*.png` and `report.html` into a run folder, finished or not; returns the page's path.

    Raises:
      OSError: the folder cannot be written to.
    """
    folder = Run(epath.Path(run))
    parts = [head.opening(folder)]
    for title, section in _SECTIONS[folder.kind].items():
        try:
            content = section(folder)
        except Missing as error:  # of a run that has ended there is nothing of it
            ended = folder.record.get("ended")
            content = "" if ended else f'<p class="missing">{html.escape(str(error))}</p>'
        if content:
            parts.append(f"<section>\n<h2>{title}</h2>\n{content}\n</section>")
    path = folder.folder / "report.html"
    writers.write_text(
        path, page.PAGE.substitute(title=html.escape(head.title(folder)), body="\n".join(parts))
    )
    return path


def compare(folders: Sequence[epath.PathLike], out: epath.PathLike) -> epath.Path:
    """Writes `comparison.html` of several runs into a folder, with its figure; returns the page's path.

    Raises:
      UserError: no run is given, or one has no results.csv yet.
      OSError: the folder cannot be written to.
    """
    found, out = runs.read(folders), epath.Path(out)
    path, title = out / "comparison.html", f"{len(found)} runs compared"
    body = f"<h1>{title}</h1>\n{_compared(found, out / 'figures')}"
    writers.write_text(path, page.PAGE.substitute(title=title, body=body))
    return path


def table_text(table: pd.DataFrame, swept: pd.DataFrame | None = None, what: str = comparison.CHOSEN) -> str:
    """The rows of results.csv that count as an aligned table for a terminal, in per cent.

    Args:
      swept: points.csv of a run with a sweep, whose points are then named by their values.
      what: was chosen on inner folds, where anything was.
    """
    chosen = comparison.has_choice(table)
    counted = comparison.counted(table)
    text = page.text_table(*cells.results(counted, points=None if chosen else swept))
    how = f"; {what} chosen on inner folds" if chosen else ""
    return f"{text}\n95 % intervals over speakers; * the interval of the difference excludes 0{how}"


def _settings(run: Run) -> str:
    if not run.record:
        raise Missing("config.json is not there.")
    return page.settings(run.record, run.folder)


_Sections = dict[str, Callable[[Run], str]]
_FEATURES: _Sections = {
    "The answer": results.answer,
    "Results": results.results,
    "Beside Bao et al. 2019": results.repeats,
    "The sweep": points.points,
    "UAR against augmented sets": choices.amounts,
    "What choosing on the test folds would have claimed": choices.optimism,
    "What the inner folds chose": choices.choices,
    "What could not run": results.holes,
    "Quality of the synthetic rows": quality.quality,
    "Speakers": detail.speakers,
    "Confusions": detail.confusions,
    "Real and synthetic rows": rows.clusters,
    "Features": rows.features,
    "Training of the CycleGANs": training.losses,
    "Members that diverged": training.divergence,
    "What was run": _settings,
}
_RECORDINGS: _Sections = {
    "The answer": results.answer,
    "Results": results.results,
    "Beside Pham et al. 2021": clips.beside,
    "What could not run": results.holes,
    "Clips": clips.clips,
    "Quality of the made clips": quality.quality,
    "Speakers": detail.speakers,
    "Confusions": detail.confusions,
    "Training of the networks": learning.learning,
    "Training of the GANs": training.losses,
    "Members that diverged": training.divergence,
    "What was run": _settings,
}
_SECTIONS = {"features": _FEATURES, "recordings": _RECORDINGS}


def _compared(found: Mapping[str, Run], folder: epath.Path) -> str:
    """What differs between runs, the UAR of their arms as a figure, and the rest beside it as a table."""
    lines, differing = runs.rows(found), runs.differing(found)
    names = list(found)
    places = [[name, str(run.folder), sweep.beside_note(run).strip()] for name, run in found.items()]
    swept = any(run.points is not None for run in found.values())
    header = ["Run", "Folder", "Of a sweep"][: 2 + swept]
    parts = [page.table(header, [place[: len(header)] for place in places], len(header), style="wrap")]
    if differing:
        settings = [[key, *values] for key, values in differing.items()]
        caption = "Keys of the config that differ."
        parts.append(page.table(["Key", *names], settings, 1 + len(names), caption, style="wrap"))
    else:
        parts.append("<p>The configs are the same.</p>\n")
    labels = lines["arm"].where(lines["run"] == runs.SHARED, lines["arm"] + ", " + lines["run"])
    picture = page.Picture(
        "comparison.png",
        figures.uar_intervals(lines.assign(arm=labels)),
        "Pooled UAR of each run's arms with its 95 % interval, per classifier and normalisation; the values "
        "are in the table below.",
    )
    columns = {key: dict(zip(names, said, strict=True)) for key, said in differing.items()}
    table = cells.runs(lines, columns if len(columns) <= _COLUMNS else {})
    caption = (
        "Differences are to real of the same run, in points, in bold where the paired interval over speakers "
        "excludes 0; runs are not tested against each other. Sets: synthetic rows in multiples of the real "
        "training set; chosen: what a run varies, amounts, settings or a sweep's points, was chosen on inner "
        "folds. Diverged: members of the outer folds that were frozen. "
        "Training: of all GANs of the run."
    )
    parts += [page.show([picture], folder), page.table(*table, caption, cells.firsts(table, 3), "dense")]
    for name, run in found.items():
        if papers := clips.beside(run):
            parts.append(f"<h2>{html.escape(name)} beside the papers</h2>\n{papers}")
    return "".join(parts)
