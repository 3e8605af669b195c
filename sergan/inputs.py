"""What a study starts from: the rows of a labelled corpus, and those of unlabelled speech."""

import hashlib
import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sergan import data
from sergan.corpora import CORPORA, audformat, clip_table, prepared, table_files, tables
from sergan.corpora.audio import frames, header
from sergan.corpora.recordings import Recording, check_folder, folder
from sergan.corpora.tables import FeatureTable
from sergan.errors import UserError
from sergan.features import Extraction, Outlook

_log = logging.getLogger(__name__)


def check_corpus(name: str, root: str, table: str, key: str) -> None:
    """Raises UserError for a corpus that cannot be one, before anything is read; see `corpus_table`."""
    if root and table:
        raise UserError(f"config.{key}.root and config.{key}.table are both given; leave one empty")
    if table:
        return
    if name in CORPORA and not CORPORA[name].labelled:
        raise UserError(f"config.{key}.name: {name} has no emotions; use it as config.source={name}:FOLDER")
    if name not in CORPORA and not root.startswith(prepared.PREFIX):
        raise UserError(f"config.{key}.name: there is no corpus {name!r} (only {', '.join(CORPORA)})")
    if name == "audformat" and not root:
        raise UserError(f"config.{key}.root is empty; audformat needs the folder of db.yaml")


def check_columns(columns: Mapping[str, str], key: str) -> None:
    """Raises UserError, naming config.`key`, for names that are given to what is no column."""
    known = list(dict.fromkeys([*clip_table.COLUMNS, *tables.COLUMNS, *audformat.COLUMNS]))
    for name in columns:
        if name not in known:
            raise UserError(f"config.{key}: {name!r} is none of {', '.join(known)}")


def check_use(columns: Mapping[str, str], name: str, table: str, key: str) -> None:
    """Raises UserError for `columns` of a corpus that has names of its own."""
    if columns and (table.endswith(".npz") or not (table or name == "audformat")):
        raise UserError(
            f"config.{key}.columns: {table or name} has its own names; columns are for tables of clips or "
            "features (.csv, .parquet) and for audformat"
        )


def corpus_table(
    name: str,
    root: str,
    table: str,
    extraction: Extraction,
    key: str = "corpus",
    columns: Mapping[str, str] | None = None,
) -> FeatureTable:
    """The labelled corpus: the clips or features of `table`, or the audio in `root`, or what is embedded.

    `root` is the folder of the corpus `name` as distributed, or a stock set like "tfds:crema_d". `key` is
    where the config names it. `columns` has a table's own names of columns, see `clip_table`, `tables` and
    `audformat`. Logs how a copy of the corpus differs from the published one.

    Raises:
      UserError: an unknown corpus, or one without emotions; `root` and `table` both given; no embedded table;
        faulty input; no emotions; fewer than two speakers.
    """
    check_corpus(name, root, table, key)
    own = columns or {}
    check_use(own, name, table, key)
    if table:
        rows = _table(table, extraction, own, key)
    elif root.startswith(prepared.PREFIX):
        rows = extraction.stock(root)
    elif root:
        rows = _distributed(name, root, extraction, own, key)
    else:
        rows = _embedded(name, extraction, f"give --config.{key}.root=DIR, the corpus as distributed")
    where = table or root or f"the embedded {name}"
    if not (rows.emotions_U != "").any():
        raise UserError(f"{where}: no row has an emotion; a corpus needs the column emotion")
    speakers = sorted(set(rows.speakers_U.tolist()))
    if len(speakers) < 2:
        raise UserError(
            f"{where}: only one speaker ({speakers[0]}); testing on unseen speakers needs two or more"
        )
    return rows


def _table(path: str, extraction: Extraction, columns: Mapping[str, str], key: str) -> FeatureTable:
    """Rows of a table of clips or of features, which the config names at `key`; of the source where empty."""
    if not clip_table.is_one(path, columns):
        return table_files.read(path, columns, key)
    files = extraction.files if isinstance(extraction, Outlook) else True
    recordings = clip_table.read(path, columns, bool(key), files, key)
    return extraction.recordings(_set_name(Path(path).expanduser()), recordings)


def _distributed(
    name: str, root: str, extraction: Extraction, columns: Mapping[str, str], key: str
) -> FeatureTable:
    """Rows of a copy of a corpus."""
    corpus = CORPORA[name]
    recordings = audformat.read(root, columns, key) if name == "audformat" else corpus.read(root)
    tell_differences(name, root, recordings)
    stored = _set_name(Path(root).expanduser()) if name == "audformat" else f"sergan_{name}"
    return extraction.recordings(stored, recordings, skip=not corpus.labelled)


def tell_differences(name: str, root: str, recordings: list[Recording]) -> None:
    """Logs how a copy of a corpus differs from the published one."""
    if different := CORPORA[name].differences(recordings):
        _log.warning("%s differs from the published %s: %s", root, name, "; ".join(different))


def _embedded(name: str, extraction: Extraction, hint: str) -> FeatureTable:
    try:
        return data.load(name, extraction.set_name)
    except UserError as error:
        raise UserError(f"{error}; {hint}") from None


def source_table(
    source: str, corpus: FeatureTable, extraction: Extraction, known: Mapping[str, str] | None = None
) -> FeatureTable:
    """The unlabelled source S, without emotions; `known` has other names of the corpus's speakers.

    `source` is "speech" (embedded), a stock set like "tfds:librispeech", a corpus as distributed like
    "tedlium:FOLDER", any folder of audio, or a table of clips or features. A row that is also in `corpus`
    gets the corpus's speaker, so that folds can leave it out with the speaker.

    Raises:
      UserError: no such source, faulty input, or other features than the corpus's; clips of the corpus among
        others that are of the same speakers or folders.
    """
    check_source(source)
    rows = _source_rows(source, extraction)
    names = [(known or {}).get(who, who) for who in rows.speakers_U.tolist()]
    rows = replace(rows, speakers_U=np.array(names, dtype=str))
    tables.check_columns(rows, corpus.names_D, f"source {source}")
    if rows.extractor and corpus.extractor and rows.extractor != corpus.extractor:
        _log.warning("source %s is by %s, the corpus by %s", source, rows.extractor, corpus.extractor)
    return _with_corpus_speakers(rows, corpus, source).unlabelled()


def check_source(source: str) -> None:
    """Raises UserError for a source that there is not, before anything is read; see `source_table`."""
    path, (name, _, root) = Path(source).expanduser(), source.partition(":")
    if source in ("speech", "corpus") or source.startswith(prepared.PREFIX):
        return
    table = path.suffix.lower() in table_files.ENDINGS
    if root and name in CORPORA:
        check_folder(Path(root).expanduser())
    elif table and not path.exists():
        raise UserError(f"config.source: there is no file {source!r}; name one that is there")
    elif not path.is_dir() and not table:
        raise UserError(
            f"config.source: {source!r} is neither speech nor corpus, nor a folder of audio, nor a table "
            f"({', '.join(table_files.ENDINGS)}), nor tfds:NAME, nor NAME:FOLDER with one of "
            f"{', '.join(CORPORA)}"
        )


def check_cuts(
    corpus: Sequence[Recording], source: Sequence[Recording], speakers: Collection[str], name: str
) -> None:
    """Raises UserError for clips of the source that are other parts of the corpus's files, unless they are of
    the corpus's `speakers` by name: nobody could tell which of the held-out speakers' clips they are."""
    real = {path: os.path.realpath(path) for path in {one.path for one in corpus}}
    if not real:
        return
    real |= {path: os.path.realpath(path) for path in {one.path for one in source}}
    parts: dict[str, set[tuple[int, int]]] = {}
    theirs = {real[one.path] for one in source}
    for one in corpus:
        if real[one.path] in theirs:
            parts.setdefault(real[one.path], set()).add(_frames(one))
    shared = [one for one in source if real[one.path] in parts and one.speaker not in speakers]
    wrong = [one.id for one in shared if _frames(one) not in parts[real[one.path]]]
    if wrong:
        raise UserError(
            f"source {name}: {len(wrong)} of its clips are of files that the corpus cuts otherwise (first "
            f"{wrong[0]}), so that they cannot be left out with the held-out speakers; use "
            "--config.source=corpus, or other speech"
        )


def _frames(one: Recording) -> tuple[int, int]:
    """First frame of a recording in its file, and the one after its last."""
    return frames(one.path, header(one.path), one.start, one.end)


def _source_rows(source: str, extraction: Extraction) -> FeatureTable:
    """Rows of the source as they are where it comes from."""
    path = Path(source).expanduser()
    name, _, root = source.partition(":")
    if source == "speech":
        return _embedded(source, extraction, "give --config.source=DIR, a folder of audio")
    if source.startswith(prepared.PREFIX):
        return extraction.stock(source)
    if root and name in CORPORA:
        return _distributed(name, root, extraction, {}, "")
    if path.is_dir():
        return extraction.recordings(_set_name(path), folder(path))
    return _table(source, extraction, {}, "")


def tell_copies(corpus: FeatureTable, values: Sequence[np.ndarray] | np.ndarray) -> None:
    """Warns of rows or clips of the same `values` under two speakers' names: who is held out would train."""
    first_U = tables.first_equal(values)
    rows = np.flatnonzero(corpus.speakers_U != corpus.speakers_U[first_U])
    if len(rows):
        pair = f"{corpus.ids_U[rows[0]]} and {corpus.ids_U[first_U[rows[0]]]}"
        _log.warning(
            "corpus: %d rows are copies of another speaker's (first %s); remove one", len(rows), pair
        )


def _set_name(path: Path) -> str:
    """The prepared set of a folder: its name in small letters, and a digest that parts it from others."""
    path = path.resolve()
    words = re.findall("[a-z0-9]+", path.name.lower())
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return "_".join(["sergan", *words, digest])


def _with_corpus_speakers(rows: FeatureTable, corpus: FeatureTable, source: str) -> FeatureTable:
    """The rows, those that are also in the corpus with the speakers that they have there.

    Rows are compared, not files, so that a clip is known in any container, and from any processor. Speakers
    whose clips have the same speaker in the corpus are left out by that name, whether the corpus has all of
    their clips or not. Rows without values cannot be compared.
    """
    if not (rows.extracted and corpus.extracted):
        return rows
    places = tables.same_rows(rows.x_UxD, corpus.x_UxD)
    known = [str(corpus.speakers_U[place]) if place >= 0 else None for place in places]
    count = sum(who is not None for who in known)
    if not count:
        return rows
    pairs = [(str(own), who) for own, who in zip(rows.speakers_U, known, strict=True)]
    renamed = {own for own, who in pairs if who not in (None, own)}
    others = sum(own in renamed and who is None for own, who in pairs)
    if others:
        raise UserError(
            f"source {source}: {count} of its {len(known)} rows are clips of the corpus, and {others} more "
            "are of the same folders or speakers but cannot be told from the held-out speakers' clips; use "
            "--config.source=corpus for the corpus's own clips, or other speech"
        )
    what = f"{count} of {len(known)} rows are clips of the corpus, and are left out with their speakers"
    _log.warning("source %s: %s", source, what)
    return replace(rows, speakers_U=np.array([own if who is None else who for own, who in pairs]))
