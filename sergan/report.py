"""A run folder as one page that opens offline and prints: the answer, tables, figures, how to run it again.

Reads files only and needs no accelerator library; a file that is not there yet makes its section say so.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from sergan import figures, metrics, page, writers

_UNFINISHED = "unfinished"  # in place of the normalisation of members whose line is not written yet
_SYNTHETIC_PER_CLASS, _REAL_PER_CLASS = 120, 80


@dataclass(frozen=True)
class _Run:
    """A run folder; each part is read once, and is None (or empty) where its file is not there."""

    folder: epath.Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """config.json."""
        path = self.folder / "config.json"
        return writers.read_json(path) if path.exists() else {}

    @cached_property
    def members(self) -> list[dict[str, Any]]:
        """members.jsonl."""
        return writers.read_lines(self.folder / "members.jsonl")

    @cached_property
    def results(self) -> pd.DataFrame | None:
        """results.csv."""
        return _read_csv(self.folder / "results.csv", ("arm", "classifier", "normalisation"))

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """predictions.csv."""
        return _read_csv(self.folder / "predictions.csv", metrics.WORDS)

    @cached_property
    def quality(self) -> pd.DataFrame | None:
        """quality.csv."""
        return _read_csv(self.folder / "quality.csv", ("normalisation", "emotion"))

    @cached_property
    def losses(self) -> pd.DataFrame:
        """metrics.jsonl with each member's normalisation, without the members that diverged."""
        frame = pd.DataFrame(writers.read_lines(self.folder / "metrics.jsonl"))
        if frame.empty:
            return frame
        names = {line["member"]: line["normalisation"] for line in self.members}
        frame["normalisation"] = [names.get(member, _UNFINISHED) for member in frame["member"]]
        lost = [line["member"] for line in self.members if _diverged(line)]
        return frame[~frame["member"].isin(lost)]


class _Missing(Exception):
    """A section cannot be written yet; the message says what is not there."""


def write(run: epath.PathLike) -> epath.Path:
    """Writes `figures/*.png` and `report.html` into a run folder, finished or not; returns the page's path.

    Raises:
      OSError: the folder cannot be written to.
    """
    folder = _Run(epath.Path(run))
    parts = [_head(folder)]
    for title, section in _SECTIONS.items():
        try:
            content = section(folder)
        except _Missing as error:
            content = f'<p class="missing">{html.escape(str(error))}</p>'
        parts.append(f"<section>\n<h2>{title}</h2>\n{content}\n</section>")
    path = folder.folder / "report.html"
    writers.write_text(path, page.PAGE.substitute(title=html.escape(_title(folder)), body="\n".join(parts)))
    return path


def table_text(results: pd.DataFrame) -> str:
    """The rows of results.csv as an aligned table for a terminal, in per cent with 95 % intervals."""
    header, cells = page.result_cells(results)
    text = page.text_table(header, cells, len(header) - page.NUMBERS)
    return f"{text}\n95 % intervals over speakers; * the interval of the difference excludes 0"


def answer(results: pd.DataFrame) -> str:
    """One sentence: does the first augmented arm beat `real`, for each classifier and normalisation?

    A difference is called one only where its paired 95 % interval excludes 0.
    """
    arms = [arm for arm in results["arm"] if arm.startswith("real+")]
    if not arms:
        return "No arm with synthetic rows beside the real ones has been tested yet."
    tested = results[(results["arm"] == arms[0]) & results["delta_low"].notna()]
    rows = tested.drop_duplicates(["classifier", "normalisation"])
    if rows.empty:
        return f"{arms[0]} cannot be compared with real yet."
    found: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for row in rows.to_dict("records"):
        verdict = "better" if row["delta_low"] > 0 else "worse" if row["delta_high"] < 0 else "open"
        where = f"{row['classifier'].upper()}, {row['normalisation']} normalisation"
        found[verdict].append(f"{where}: {_interval_words(row)}")
    verbs = {"better": "beats it in", "worse": "is worse in", "open": "cannot be told apart from it in"}
    parts = [f"{verbs[k]} {len(cases)} ({'; '.join(cases)})" for k, cases in found.items() if cases]
    if not found["better"]:
        parts.insert(0, "beats it in none")
    joined = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    many = f"{len(rows)} comparisons" if len(rows) > 1 else "1 comparison"
    return f"Compared with real by pooled UAR in {many}, {arms[0]} {joined}."


def _interval_words(row: Mapping[str, Any]) -> str:
    value, low, high = (100 * row[name] for name in ("delta_uar", "delta_low", "delta_high"))
    return f"{value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"


# ---- sections ----


def _head(run: _Run) -> str:
    config = run.record.get("config", {})
    about = [f"Run folder {run.folder.name}"]
    if run.record.get("started"):
        about.append(f"started {run.record['started']}")
    about.append(f"ended {run.record['ended']}" if run.record.get("ended") else "not finished yet")
    source = config.get("source")
    what = f"Rows of the source “{source}” are transferred to each emotion by CycleGANs. " if source else ""
    return (
        f"<h1>{html.escape(_title(run))}</h1>\n"
        f'<p class="soft">{html.escape("; ".join(about))}.</p>\n'
        f'<p class="soft">{html.escape(what)}Arms: <b>real</b> trains the classifier on real rows, an arm '
        "<b>real+x</b> on real and synthetic rows, <b>x</b> on synthetic rows alone. Normalisation "
        "<b>train</b> uses the training speakers only; <b>speaker</b> uses all rows of each speaker, "
        "unlabelled, the held-out one included. UAR: unweighted average recall, pooled over the folds.</p>"
    )


def _answer(run: _Run) -> str:
    return f'<p class="answer">{html.escape(answer(_have(run.results, "results.csv")))}</p>'


def _result(run: _Run) -> str:
    results = _have(run.results, "results.csv")
    seeds, classes = (int(results[name].max()) for name in ("seeds", "classes"))
    header, rows = page.result_cells(results)
    caption = (
        f"{classes} classes, mean over {seeds} seed{'s' * (seeds != 1)}. Brackets: 95 % intervals, bootstrap "
        "over speakers. Difference to real in points, in bold where its interval excludes 0; p from swapping "
        "the arms speaker by speaker, Holm-corrected over the table. Sets: synthetic rows in multiples of "
        "the real training set."
    )
    picture = page.Picture(
        "uar.png",
        figures.uar_intervals(results),
        "Pooled UAR of each arm with its 95 % interval, per classifier and normalisation; the values are in "
        "the table below.",
    )
    firsts = results.groupby(["normalisation", "classifier"], sort=False).head(1).index
    marks = [i for i, index in enumerate(results.index) if index in firsts]
    table = page.table(header, rows, len(header) - page.NUMBERS, caption, marks)
    return page.show([picture], run.folder / "figures") + table


def _quality(run: _Run) -> str:
    quality = _have(run.quality, "quality.csv")
    names = ["target_synthetic", "target_source"]
    kinds = list(dict.fromkeys(quality["normalisation"]))
    header = [
        "Emotion",
        *(f"{n}: {word}" for n in kinds for word in ("target to synthetic", "target to source")),
    ]
    rows = []
    for emotion in [*dict.fromkeys(quality["emotion"]), None]:
        part = quality if emotion is None else quality[quality["emotion"] == emotion]
        means = part.groupby("normalisation")[names].mean().reindex(kinds).to_numpy().ravel()
        cells = [f"{value:.4f}" if np.isfinite(value) else "" for value in means]
        rows.append([emotion or "all", *(cells if emotion else map(page.Strong, cells))])
    caption = (
        "Mean over features of the absolute difference of means, on features min-max scaled to [0, 1]; mean "
        f"over {quality['fold'].nunique()} folds. The nearer target to synthetic is to 0, the nearer the "
        "synthetic rows are to the real ones of that emotion; target to source is where the transfer starts."
    )
    return page.table(header, rows, 1, caption, [len(rows) - 1])


def _speakers(run: _Run) -> str:
    parts = metrics.per_speaker(_have(run.predictions, "predictions.csv"))
    tables = []
    for normalisation, part in parts.groupby("normalisation", sort=False):
        cells = part[["classifier", "arm", "amount", "point"]].drop_duplicates()
        header = [
            "Speaker",
            "rows",
            *(f"{c.upper()} {arm}" for c, arm in cells[["classifier", "arm"]].to_numpy()),
        ]
        wide = part.pivot_table(index="speaker", columns=list(cells.columns), values="uar")
        wide = wide.reindex(columns=pd.MultiIndex.from_frame(cells))
        count = part.groupby("speaker")["rows"].max()
        rows = [
            [str(speaker), str(count[speaker]), *map(page.percent, values)]
            for speaker, values in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        caption = f"UAR in % of each held-out speaker, {normalisation} normalisation, mean over seeds."
        tables.append(page.table(header, rows, 1, caption))
    return "".join(tables)


def _confusions(run: _Run) -> str:
    predictions = _have(run.predictions, "predictions.csv")
    classes = metrics.classes_of(predictions)
    groups: dict[tuple[str, str], dict[metrics.Cell, np.ndarray]] = {}
    for cell, counts_CxC in metrics.confusions(predictions).items():
        groups.setdefault((cell.normalisation, cell.classifier), {})[cell] = counts_CxC
    pictures = [
        page.Picture(
            f"confusion_{_file_name(normalisation)}_{_file_name(classifier)}.png",
            figures.confusions(cells, classes),
            f"Confusion matrices of {classifier}, {normalisation} normalisation, one for each arm. "
            + " ".join(f"{c.arm}: {_recalls(counts, classes)}." for c, counts in cells.items()),
            f"{classifier.upper()}, {normalisation} normalisation: % of the rows of each true class, pooled "
            "over folds, mean over seeds.",
        )
        for (normalisation, classifier), cells in groups.items()
    ]
    return page.show(pictures, run.folder / "figures")


def _clusters(run: _Run) -> str:
    if not (run.folder / "features.parquet").exists():
        raise _Missing("features.parquet is not there yet: the real rows.")
    pictures = []
    for normalisation, path in _first_synthetic(run).items():
        x_NxD, emotion_N, real_N, fold = _sample(run, path, normalisation)
        pictures.append(
            page.Picture(
                f"rows_{_file_name(normalisation)}.png",
                figures.clusters(x_NxD, emotion_N, real_N),
                f"Real and synthetic rows of fold {fold} in two dimensions by PCA and by t-SNE, coloured by "
                f"emotion, {normalisation} normalisation.",
                f"Fold {fold}, {normalisation} normalisation: {int(real_N.sum())} real training rows "
                f"(filled) and {int((~real_N).sum())} synthetic ones (crosses), equally many of each "
                "emotion as far as there are, z-normed on the real training rows. The synthetic rows come "
                "from the source speech, the target emotion gives the colour. t-SNE keeps neighbourhoods, "
                "not distances.",
            )
        )
    if not pictures:
        raise _Missing("No synthetic rows are there yet.")
    return page.show(pictures, run.folder / "figures")


def _curves(run: _Run) -> str:
    if run.losses.empty:
        raise _Missing("metrics.jsonl is not there yet, or every member in it diverged.")
    pictures = []
    for normalisation, part in run.losses.groupby("normalisation", sort=False):
        names = figures.loss_names(part)
        if not names:
            continue
        whose = "Not finished yet" if normalisation == _UNFINISHED else f"Normalisation {normalisation}"
        pictures.append(
            page.Picture(
                f"losses_{_file_name(str(normalisation))}.png",
                figures.loss_curves(part, names),
                f"Curves over the training steps of {', '.join(names)}, a line for each emotion.",
                f"{whose}: mean over {part['member'].nunique()} members (line) and their range (band); "
                f"losses and gradient norms have no unit.{_pretraining(part)}",
            )
        )
    return page.show(pictures, run.folder / "figures")


def _divergence(run: _Run) -> str:
    if not run.members:
        raise _Missing("members.jsonl is not there yet: no member has finished.")
    lost = [line for line in run.members if _diverged(line)]
    if not lost:
        return f"<p>None of {len(run.members)} members diverged.</p>"
    names = "".join(f"<li>{html.escape(_member_name(line))}</li>" for line in lost)
    return (
        f"<p>{len(lost)} of {len(run.members)} members diverged; each was frozen at the step named, and its "
        f"loss curves are left out above:</p>\n<ul>{names}</ul>"
    )


def _settings(run: _Run) -> str:
    if not run.record:
        raise _Missing("config.json is not there.")
    return page.settings(run.record, run.folder)


_SECTIONS: dict[str, Callable[[_Run], str]] = {
    "The answer": _answer,
    "Results": _result,
    "Quality of the synthetic rows": _quality,
    "Speakers": _speakers,
    "Confusions": _confusions,
    "Real and synthetic rows": _clusters,
    "Training of the CycleGANs": _curves,
    "Members that diverged": _divergence,
    "What was run": _settings,
}


# ---- what the figures show ----


def _first_synthetic(run: _Run) -> dict[str, epath.Path]:
    """Normalisation -> the first file of synthetic rows of a member that did not diverge."""
    lost = {(line["normalisation"], line["fold"], line["seed"]) for line in run.members if _diverged(line)}
    found: dict[str, epath.Path] = {}
    for path in sorted((run.folder / "synthetic").glob("*/*.parquet")):
        fold, seed = map(int, re.findall(r"fold_(\d+)_seed_(\d+)", path.name)[0])
        if (path.parent.name, fold, seed) not in lost:
            found.setdefault(path.parent.name, path)
    order = [line["normalisation"] for line in run.members]
    return {name: found[name] for name in dict.fromkeys([*order, *found]) if name in found}


def _sample(
    run: _Run, path: epath.Path, normalisation: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Some real training rows and synthetic rows of one file, z-normed on the former.

    Returns x_NxD, the emotions, which rows are real, and the fold.
    """
    from sergan import folds
    from sergan.corpora import tables

    with path.open("rb") as file:
        synthetic = pd.read_parquet(file)
    table = tables.read(run.folder / "features.parquet")
    member, fold = (int(synthetic[name].iloc[0]) for name in ("member", "fold"))
    held_out = {line["held_out"] for line in run.members if line["member"] == member}
    left_out = held_out | {speaker for names in held_out for speaker in names.split()}
    x_UxD = folds.by_speaker(table) if normalisation == "speaker" else table.x_UxD
    train_R = np.flatnonzero(~np.isin(table.speakers_U, list(left_out)))
    scaler = folds.z_norm(x_UxD[train_R])
    fake_NxD = synthetic[list(table.names_D)].to_numpy(np.float32)
    fake_R = np.flatnonzero(np.isfinite(fake_NxD).all(axis=1))
    target_N = synthetic["target_emotion"].to_numpy(str)
    real_R = _balanced(table.emotions_U, train_R, _REAL_PER_CLASS)
    fake_R = _balanced(target_N, fake_R, _SYNTHETIC_PER_CLASS)
    x_NxD = scaler.apply(np.concatenate([x_UxD[real_R], fake_NxD[fake_R]]))
    emotion_N = np.concatenate([table.emotions_U[real_R], target_N[fake_R]])
    return x_NxD, emotion_N, np.arange(len(x_NxD)) < len(real_R), fold


def _balanced(label_N: np.ndarray, rows: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the given rows of each label, at random but always the same ones."""
    mixed = np.random.default_rng(0).permutation(rows)
    return np.concatenate([mixed[label_N[mixed] == label][:most] for label in np.unique(label_N[rows])])


def _pretraining(losses: pd.DataFrame) -> str:
    start = figures.joint_start(losses)
    return "" if start is None else " Left of the dotted line: pre-training of the generators."


def _diverged(line: Mapping[str, Any]) -> bool:
    return str(line["status"]).startswith("diverged")


def _member_name(line: Mapping[str, Any]) -> str:
    place = f"{line['normalisation']} normalisation, fold {line['fold']} without {line['held_out']}"
    step = str(line["status"]).partition("@")[2]
    return f"member {line['member']} ({place}, seed {line['seed']}, point {line['point']}): at step {step}"


def _recalls(counts_CxC: np.ndarray, classes: Sequence[str]) -> str:
    """Per cent recalled of each class, in words."""
    right_C, total_C = np.diagonal(counts_CxC), counts_CxC.sum(axis=1)
    shares = [
        f"{name} {100 * r / n:.0f} %" for name, r, n in zip(classes, right_C, total_C, strict=True) if n
    ]
    return "recognised are " + ", ".join(shares)


# ---- files and words ----


def _read_csv(path: epath.Path, words: Iterable[str]) -> pd.DataFrame | None:
    return writers.read_frame(path, words) if path.exists() else None


def _have(frame: pd.DataFrame | None, name: str) -> pd.DataFrame:
    if frame is None or frame.empty:
        raise _Missing(f"{name} is not there yet.")
    return frame


def _title(run: _Run) -> str:
    name = run.record.get("config", {}).get("corpus", {}).get("name", "")
    return f"Emotion recognition with synthetic speech features{': ' + str(name) if name else ''}"


def _file_name(text: str) -> str:
    return re.sub(r"[^\w+-]+", "_", text)
