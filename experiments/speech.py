"""The rows of a study: read or extracted as its config asks, kept in the run folder, read from there."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from experiments import classes, points
from experiments.checks import check
from sergan import inputs, mapping
from sergan.corpora import CORPORA, clip_table, table_files, tables
from sergan.corpora.prepared import PREFIX
from sergan.corpora.recordings import Recording
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.features import Extraction, Outlook

_CORPUS, _SOURCE, _UNUSED = "features.parquet", "source.parquet", "unused.parquet"  # of a run folder


class Rows(NamedTuple):
    """Labelled rows of the study's emotions, the unlabelled rows S, and the corpora's other rows."""

    corpus: FeatureTable
    source: FeatureTable
    unused: FeatureTable | None = None


def read(config: Any, settings: Extraction) -> Rows:
    """All rows that `config` names.

    Raises:
      UserError: whatever is wrong with the rows.
    """
    everything, own = corpora(config, settings)
    corpus = classes.labelled(config, own)
    unused_R = np.flatnonzero(~np.isin(everything.ids_U, corpus.ids_U))
    return Rows(corpus, source(config, everything, own, settings), everything.select(unused_R))


def corpora(config: Any, settings: Extraction) -> tuple[FeatureTable, FeatureTable]:
    """(all rows of the corpora, those of the part that is wanted) as `config` names them, with all emotions.

    Raises:
      UserError: whatever is wrong with the rows.
    """
    everything = _corpus(config, "corpus", settings)
    own = _part(config, everything)
    if config.protocol == "across":
        target = _corpus(config, "target", settings)
        everything, own = tables.join(everything, target), tables.join(own, target)
    return everything, own


def check_config(config: Any) -> None:
    """Says which points of the sweep are merged, and raises UserError for whatever the config alone shows."""
    swept = points.resolve(config)
    if len(swept) < len(config.sweep):
        merged = len(config.sweep) - len(swept)
        print(f"config.sweep: {merged} points were there before and are merged", file=sys.stderr)
    if config.sweep and len(swept) == 1:
        keys = [f"{'hypers' if key in config.hypers else 'gan'}.{key}" for key in swept[0]]
        raise UserError(f"config.sweep has one point; set it with --config.{' and --config.'.join(keys)}")
    for point in swept:
        check(points.at(config, point))
    for key in ("corpus", "target") if config.protocol == "across" else ("corpus",):
        inputs.check_corpus(config[key].name, config[key].root, config[key].table, key)
    inputs.check_source(config.source)


def source(config: Any, everything: FeatureTable, own: FeatureTable, settings: Extraction) -> FeatureTable:
    """The unlabelled rows S, for what `corpora` gives with the same settings."""
    if config.source == "corpus":
        return own.unlabelled()
    return other(config, config.source, everything, settings, list(settings.found))


def other(
    config: Any, name: str, everything: FeatureTable, settings: Extraction, heard: list[Recording]
) -> FeatureTable:
    """Unlabelled rows that are not asked for as the corpus's own, whose recordings are `heard`.

    A speaker of a table is also known by the name that a corpus as distributed would have for them: across
    corpora, whose speakers are "corpus/speaker", by that without the corpus, elsewhere by that with it.
    """
    if config.protocol == "across":
        starts = tuple(f"{spec.name}/" for spec in (config.corpus, config.target) if spec.table)
        named = [who for who in everything.speakers_U.tolist() if who.startswith(starts)]
        known = {who.partition("/")[2]: who for who in named}
    else:
        distributed, colon, _ = name.partition(":")
        named = everything.speakers_U.tolist() if colon and config.corpus.table else []
        known = {f"{distributed}/{who}": who for who in named}
    before = len(settings.found)
    speech = inputs.source_table(name, everything, settings, known)
    inputs.check_cuts(heard, settings.found[before:], {*everything.speakers_U.tolist(), *known}, name)
    return speech


def recordings(config: Any) -> list[Recording]:
    """The corpora's recordings, as far as they are still there."""
    if not is_audio(config) or any(spec.root.startswith(PREFIX) for spec in (config.corpus, config.target)):
        return []
    settings = outlook(config)
    try:
        corpora(config, settings)
    except UserError:
        return []
    return settings.found


def extraction(config: Any, progress: Any = None) -> Extraction:
    """How `config.features` has rows extracted; a run folder of an older version has no store."""
    spec = config.features
    return Extraction(spec.set, spec.cache, spec.get("store", ""), spec.workers, progress)


def outlook(config: Any, files: bool = False) -> Outlook:
    """As `extraction`, for labels without values; with `files` those of tables of clips have to be there."""
    settings = extraction(config)
    return Outlook(settings.set_name, settings.cache, settings.store, files=files)


def is_audio(config: Any) -> bool:
    """Whether rows are to be extracted: a folder of audio, a stock set or a table of clips is named."""
    specs = (config.corpus, config.target) if config.protocol == "across" else (config.corpus,)
    named = [(spec.root or spec.table, mapping.parse(spec.columns, "columns")) for spec in specs]
    return any(_is_audio(name, columns) for name, columns in [*named, (config.source, {})])


def _is_audio(name: str, columns: Mapping[str, str]) -> bool:
    table = name.lower().endswith(table_files.ENDINGS)
    return name not in ("", "speech", "corpus") and (not table or clip_table.is_one(name, columns))


def keep(rows: Rows, run: epath.Path) -> None:
    """Writes the rows into the run folder."""
    if rows.unused is not None and len(rows.unused.ids_U):
        table_files.write(rows.unused, run / _UNUSED)
    table_files.write(rows.source, run / _SOURCE)
    table_files.write(rows.corpus, run / _CORPUS)


def are_kept(run: epath.Path) -> bool:
    """Whether the run folder has the rows of the corpus and of S."""
    return (run / _CORPUS).exists() and (run / _SOURCE).exists()


def restore(run: epath.Path) -> Rows:
    """The rows that `keep` wrote.

    Raises:
      UserError: they are damaged.
    """
    unused = run / _UNUSED
    return Rows(_kept(run / _CORPUS), _kept(run / _SOURCE), _kept(unused) if unused.exists() else None)


def _corpus(config: Any, key: str, settings: Extraction) -> FeatureTable:
    """The rows that `config[key]` names, with its names for emotions; where there are two corpora, with
    speakers "corpus/speaker"."""
    spec = config[key]
    columns = mapping.parse(spec.columns, f"{key}.columns")
    found = inputs.corpus_table(spec.name, spec.root, spec.table, settings, key, columns)
    found = _renamed(config, key, found)
    return tables.named(found, spec.name) if config.protocol == "across" else found


def _renamed(config: Any, key: str, table: FeatureTable) -> FeatureTable:
    """The rows with the emotions of `config[key].labels`; raises UserError for one that no row has."""
    names = mapping.parse(config[key].labels, f"{key}.labels")
    mapping.check(table, names, f"{key}.labels")
    return mapping.renamed(table, names)


def _part(config: Any, corpus: FeatureTable) -> FeatureTable:
    """The rows of `config.corpus.part`, or all."""
    wanted = config.corpus.part
    if not wanted:
        return corpus
    part = CORPORA[config.corpus.name].part
    assert part is not None  # see checks.check
    rows = [i for i, clip in enumerate(corpus.ids_U.tolist()) if part(clip) == wanted]
    if not rows:
        raise UserError(f"config.corpus.part={wanted}: the corpus has no {wanted} clip; leave the key empty")
    return corpus.select(rows)


def _kept(path: epath.Path) -> FeatureTable:
    """Rows that a run folder keeps."""
    try:
        return table_files.read(path)
    except UserError as error:
        raise UserError(f"{error}; delete it and run the run folder's own command again") from error
