"""What would be run on which data, as text: nothing is extracted, trained or written."""

from collections import Counter
from typing import Any

import numpy as np

from experiments import classes, speech, study
from experiments.speech import Rows
from experiments.study import Study
from sergan import members, writers
from sergan.corpora import tables
from sergan.corpora.recordings import Recording
from sergan.corpora.survey import MOST, survey
from sergan.corpora.tables import FeatureTable, listed
from sergan.errors import UserError

_SPEAKERS = 100  # of the table of counts
_FEW = 10  # rows of a class


def inspect(config: Any) -> str:
    """Counts, durations and problems of the corpus, then the folds and members that would be made of it.

    Audio is not extracted, its headers are read; samples only where there is little of it. Where the data
    cannot be used, what was found is printed all the same.

    Raises:
      UserError: whatever the user can mend.
    """
    speech.check_config(config)
    outlook = speech.outlook(config)
    everything, own = speech.corpora(config, outlook)
    lines = [counts(own), ""]
    try:
        corpus = classes.labelled(config, own)
        lines = [counts(corpus), "", *_left_out(own, corpus), *_sessions(corpus)]
        lines += heard("corpus", outlook.found, _faults(corpus))
        count = len(outlook.found)
        source = speech.source(config, everything, own, outlook)
        lines += heard("source", outlook.found[count:], {}) if outlook.found[count:] else []
        return "\n".join([*lines, "", *_plan(study.assemble(config, Rows(corpus, source)))])
    except UserError:
        print("\n".join(lines), flush=True)
        raise


def counts(corpus: FeatureTable) -> str:
    """A table with a row for each speaker, a column for each emotion, and totals."""
    emotions, speakers = sorted(set(corpus.emotions_U.tolist())), sorted(set(corpus.speakers_U.tolist()))
    found = Counter(zip(corpus.speakers_U.tolist(), corpus.emotions_U.tolist(), strict=True))
    cells = [["speaker", *emotions, "all"]]
    for speaker in speakers[:_SPEAKERS]:
        numbers = [found[speaker, emotion] for emotion in emotions]
        cells.append([speaker, *map(str, numbers), str(sum(numbers))])
    if len(speakers) > _SPEAKERS:
        cells.append([f"… {len(speakers) - _SPEAKERS} more", *["…"] * (len(emotions) + 1)])
    total = Counter(corpus.emotions_U.tolist())
    cells.append(["all", *(str(total[emotion]) for emotion in emotions), str(total.total())])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]).rstrip() for row in cells
    )


def _left_out(everything: FeatureTable, corpus: FeatureTable) -> list[str]:
    """A line with what config.corpus.classes leaves out; none for nothing."""
    kept = set(corpus.emotions_U.tolist())
    others = Counter(emotion for emotion in everything.emotions_U.tolist() if emotion not in kept)
    if not others:
        return []
    named = [f"{emotion or 'no emotion'} {count}" for emotion, count in others.most_common()]
    return [f"left out by config.corpus.classes: {listed(named, 20)}"]


def _sessions(corpus: FeatureTable) -> list[str]:
    if corpus.sessions_U is None:
        return []
    rows = Counter(corpus.sessions_U.tolist())
    named = [f"{session or 'none'} {count}" for session, count in sorted(rows.items())]
    return [f"sessions: {len(rows)}, rows of each: {listed(named, 20)}"]


def heard(what: str, recordings: list[Recording], faults: dict[str, list[str]]) -> list[str]:
    """Lines with the lengths of recordings, and with the number and the first of each kind of problem."""
    lines: list[str] = []
    if recordings:
        with writers.Progress(f"audio of the {what}", len(recordings)) as progress:
            found = survey(recordings, progress)
        long_U, faults = found.seconds_U, found.problems | faults
        if len(long_U):
            lines.append(
                f"audio of the {what}: {long_U.sum() / 60:.1f} min in {len(long_U)} clips, shortest "
                f"{long_U.min():.2f} s, median {np.median(long_U):.2f} s, longest {long_U.max():.2f} s"
            )
        if not found.decoded:
            hours = f"more than {MOST / 3600:g} h"
            lines.append(
                f"audio of the {what}: {hours}, so that silence, channels and copies are not looked at"
            )
    kinds = [f"  {kind}: {len(names)} ({listed(names)})" for kind, names in faults.items() if names]
    return [*lines, f"problems of the {what}:" + ("" if kinds else " none"), *kinds]


def _faults(corpus: FeatureTable) -> dict[str, list[str]]:
    """What is wrong with the rows of a corpus: kind -> names."""
    rows = Counter(corpus.emotions_U.tolist())
    pairs = set(zip(corpus.speakers_U.tolist(), corpus.emotions_U.tolist(), strict=True))
    speakers = Counter(emotion for _, emotion in pairs)
    return {
        f"classes with fewer than {_FEW} rows": [f"{e} {n}" for e, n in sorted(rows.items()) if n < _FEW],
        "classes of one speaker alone": [e for e, n in sorted(speakers.items()) if n == 1],
        "rows that are copies": _copies(corpus) if corpus.extracted else [],
    }


def _copies(corpus: FeatureTable) -> list[str]:
    """Rows with the values of an earlier one."""
    ids = corpus.ids_U.tolist()
    firsts = tables.first_equal(corpus.x_UxD).tolist()
    return [f"{ids[row]} has the values of {ids[first]}" for row, first in enumerate(firsts) if first != row]


def _plan(resolved: Study) -> list[str]:
    """Lines with what would be trained, and on what."""
    config, corpus, source = resolved.config, resolved.corpus, resolved.source
    speakers = len(set(source.speakers_U.tolist()))
    return [
        f"features: {len(corpus.names_D)} ({corpus.extractor or 'extractor unknown'})",
        f"source: {config.source}, {len(source.ids_U)} rows of {speakers} speakers",
        f"folds: {len(resolved.folds)}, {_folds(config)}",
        f"CycleGANs: {_cyclegans(resolved.members, config.training.members_per_group)}",
        f"sweep: {_sweep(resolved.points)}",
        f"arms: real, {', '.join(resolved.arms)}; {resolved.amount} sets alone, "
        f"{', '.join(map(str, config.curve)) or resolved.amount} with the real rows",
        f"choice: {_choice(config, len(resolved.inner), len(resolved.points))}",
        f"classifiers: {', '.join(config.classifiers).upper()} on {', '.join(config.normalisations)}; "
        f"{config.gan.seeds} GAN seeds, {config.seeds} DNN seeds for each",
    ]


def _cyclegans(planned: list[Any], at_most: int) -> str:
    if not planned:
        return "none"
    gans = list(dict.fromkeys(member.gan for member in planned))
    steps = " or ".join(dict.fromkeys(f"{gan.pretrain_steps} + {gan.steps}" for gan in gans))
    mebibytes = max(members.bytes_per_member(gan) for gan in gans) / 2**20
    return (
        f"{len(planned)} members of {gans[0].emotions} emotions, {steps} steps and {mebibytes:.0f} MiB each, "
        f"{members.group_length(planned, at_most)} at a time, {len(gans)} programs"
    )


def _sweep(points: list[Any]) -> str:
    if len(points) == 1:
        return "none"
    values = {name: list(dict.fromkeys(str(point[name]) for point in points)) for name in points[0]}
    grid = "; ".join(f"{name} {', '.join(listed)}" for name, listed in values.items())
    return f"{len(points)} points of {grid}"


def _choice(config: Any, inner: int, points: int) -> str:
    if not inner:
        return "none, settings are the config's own"
    if not config.choice.amounts:
        return f"on {inner} inner folds, among the sweep's points"
    keys = ", ".join(f"{key} {tuple(values)}" for key, values in config.choice.items() if key != "speakers")
    return f"on {inner} inner folds, among {keys}" + f", at each of {points} points" * (points > 1)


def _folds(config: Any) -> str:
    held_out = {
        "speaker": "speaker",
        "speaker_text": "speaker and text",
        "speaker_groups": "group of speakers",
        "session": "session",
    }
    if config.protocol == "across":
        return f"trained on {config.corpus.name}, tested on {config.target.name}"
    return f"one for each held-out {held_out[config.protocol]}"
