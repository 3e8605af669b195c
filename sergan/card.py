"""The data card of exported synthetic rows: what they are, what made them, how good they are, what for."""

from collections.abc import Iterable

import pandas as pd

from sergan import cells, comparison, data, methods, page, sweep
from sergan.run_folder import Run

# Of what the rows are derived from, by the first part of an id or the name of a source.
LICENCES = {
    "emodb": "EMO-DB (Burkhardt et al. 2005): CC0-1.0 in audEERING's publication",
    "speechocean762": "speechocean762 (Zhang et al. 2021): free for commercial and non-commercial use",
    "ravdess": "RAVDESS (Livingstone and Russo 2018): CC BY-NC-SA 4.0, no commercial use",
    "crema_d": "CREMA-D (Cao et al. 2014): Open Database License 1.0",
    "iemocap": "IEMOCAP (Busso et al. 2008): by agreement with the University of Southern California",
    "msp_improv": "MSP-IMPROV (Busso et al. 2017): by agreement with the University of Texas at Dallas",
    "tedlium": "TED-LIUM 2 (Rousseau et al. 2014): CC BY-NC-ND 3.0, no commercial use",
}
_MEASURES = ("target_synthetic", "target_source", "coverage", "agreement")


def text(run: Run, rows: pd.DataFrame, features: int, source: str, command: str) -> str:
    """The card of `rows` (their provenance is enough) as Markdown.

    Args:
      run: whose generators made them, finished or not.
      features: how many features a row has.
      source: of which rows were transferred, as a config names it.
      command: that wrote the rows.
    """
    config = run.record.get("config", {})
    arm, normalisation = (str(rows[name].iloc[0]) for name in ("arm", "normalisation"))
    set_name = config.get("features", {}).get("set", "")
    counts = rows["target_emotion"].value_counts(sort=False).rename_axis("emotion").reset_index(name="rows")
    parts = [
        "# Data card: synthetic rows for speech emotion recognition",
        f"{len(rows)} rows of {features} {set_name} features; no recordings, and nothing that can be "
        f"listened to. Written by `{command}`.",
        "## Rows",
        _table(counts),
        f"{_origin(arm, source)} Its columns say by which member, fold, seed and step. Normalisation: "
        f"{_NORMALISED[normalisation]}",
        "## What the generators were trained on",
        _trained_on(run, rows),
        "## Settings",
        _settings(run),
        "## Quality",
        _quality(run, arm, normalisation),
        "## Licences",
        "\n".join(f"- {line}" for line in licences(run, rows, source)),
        "## Not to be used for",
        _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _origin(arm: str, source: str) -> str:
    """What a row was made of."""
    if methods.from_noise(arm):
        return f"Each was made by the one generator (`{arm}`) from noise that stands for its emotion."
    return (
        f"Each was made by the generator of its emotion (`{arm}`) from a row of “{source}”, which it names."
    )


def licences(run: Run, rows: pd.DataFrame, source: str) -> list[str]:
    """One line for each corpus that the rows are derived from, and for openSMILE if the features are its.

    `source` is what speech of no known corpus is called; "corpus" is the corpus's own.
    """
    config = run.record.get("config", {})
    ids = {str(name) for name in rows["source_id"].unique()}
    origins = {name.partition("/")[0] for name in ids}
    if "speech" in origins and ids <= set(data.load("speech", "IS10").ids_U.tolist()):
        origins = {"speechocean762"}  # the embedded rows, not a folder of that name
    names = [config.get("corpus", {}).get("name", "")]  # a target is only tested on
    names += sorted(origins & set(LICENCES))
    names += [source] * bool(origins - set(LICENCES) - {"noise"} and source != "corpus")
    names = [name for name in dict.fromkeys(names) if name]
    unknown = "ask its owner; what you pass on is derived from it"
    lines = [LICENCES.get(name, f"{name}: {unknown}") for name in names]
    if config.get("features", {}).get("set", "").lower() == "logmel":
        return lines
    return [*lines, "openSMILE, which computed the features: research and personal use only"]


_NORMALISED = {
    "train": "none, the features are on their own scales.",
    "speaker": "the features of each speaker have mean 0 and deviation 1.",
    "corpus": "the features of each corpus have mean 0 and deviation 1.",
}
_LIMITS = """\
- Testing anything: they are training data, and show what a generator learnt of acted or read speech.
- Training for a test on speakers that the generators heard. A row of fold f may train what is tested on the
  speakers held out in f, and on nobody else of the corpus.
- Judging persons, or deciding about them: they say nothing of any person's feelings.
- Claims on other languages, recordings or people: the labels are those of the corpus and its speakers."""


def _trained_on(run: Run, rows: pd.DataFrame) -> str:
    """The corpus, and whom each member did not hear."""
    config = run.record.get("config", {})
    corpus = config.get("corpus", {})
    classes = ", ".join(corpus.get("classes", ())) or "all its emotions"
    source = config.get("source", "")
    lines = [f"Corpus `{corpus.get('name', '')}` ({classes}) and the unlabelled source `{source}`."]
    held = {line["fold"]: line["held_out"] for line in run.members if not line.get("inner")}
    found = [
        {"fold": fold, "held out": who if isinstance(who, str) else ", ".join(who)}
        for fold, who in sorted(held.items())
        if fold in set(rows["fold"])
    ]
    return "\n\n".join([*lines, _table(pd.DataFrame(found))])


def _settings(run: Run) -> str:
    """Commit, versions, and the settings of the CycleGANs."""
    record = run.record
    config = record.get("config", {})
    keys = [line for part in ("hypers", "gan") for line in page.flat(config.get(part, {}))]
    versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
    commit = record.get("commit", "unknown")
    values = "; ".join(f"{key} {page.value_words(value)}" for key, value in keys)
    return f"Run `{run.folder.name}`, commit {commit}; {versions}.\n\n{values}.{sweep.note(run)}"


def _quality(run: Run, arm: str, normalisation: str) -> str:
    """Means over folds and seeds by emotion, and what the rows did for classifiers."""
    parts = []
    if run.quality is not None and len(run.quality):
        frame = sweep.first(run, run.quality)
        frame = frame[frame["arm"].isin((arm, "")) & (frame["normalisation"] == normalisation)]
        names = [name for name in _MEASURES if name in frame]
        parts.append(_table(frame.groupby("emotion", sort=False)[names].mean().round(4).reset_index()))
        parts += [f"{name}: {cells.MEASURES[name].meaning}." for name in names]
    if run.results is not None and len(run.results):
        parts.append(comparison.answer(sweep.first(run, run.results), run.contrasts, sweep.chosen(run)))
    return "\n\n".join(parts) or "Not measured yet."


def _table(frame: pd.DataFrame) -> str:
    """A Markdown table."""

    def line(cells: Iterable[object]) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    return "\n".join([line(frame.columns), line("---" for _ in frame), *map(line, frame.to_numpy().tolist())])
