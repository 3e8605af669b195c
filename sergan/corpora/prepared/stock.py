"""Sets of tensorflow-datasets' own, downloaded where they are not there; only these need TensorFlow."""

import functools
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr

from sergan.corpora.audio import RATE
from sergan.corpora.prepared.clips import FULL_SCALE, Clip, Clips, Entry, as_pcm, digest
from sergan.errors import UserError

PREFIX = "tfds:"  # starts the name of a stock set

_TF_HINT = "pip install -r requirements-tf.txt"


def opened(name: str, store: Path) -> "Stock":
    """The set of a name like "tfds:crema_d" or "tfds:tedlium/release2", downloaded and prepared in `store` if
    it is not there.

    Raises:
      UserError: TensorFlow or another package is missing (says what to install); no such set; a set without
        mono audio of 16 bit at a stated rate; one that is in `store` in another format.
    """
    clips = Stock(name.removeprefix(PREFIX), store)
    _opened(clips)
    return clips


@dataclass(frozen=True)
class Stock(Clips):
    """Clips of a stock set, all its splits one after the other.

    Ids are "<set>/<id>", or "<set>/<split>-000000" in a set without ids; speakers "<set>/<speaker>" from
    `speaker_id` or `speaker`, emotions the names of `label`, whatever it is of; '' where a set has none, so
    that rows without a speaker cannot become a feature table. Sessions are ''. Nothing tests for silence.
    """

    name: str
    store: Path

    def __len__(self) -> int:
        return sum(len(source) for _, source in _opened(self).splits)

    def _clip(self, index: int) -> Clip:
        opened = _opened(self)
        for split, source in opened.splits:
            if index < len(source):
                return _stock_clip(self.name, f"{split}-{index:06d}", opened.features, source[index])
            index -= len(source)
        raise IndexError(index)

    def entries(self) -> list[Entry]:
        """Labels and digest of every clip, in order; this reads the whole set."""
        return _entries(self)


@functools.lru_cache(maxsize=2)
def _entries(clips: Stock) -> list[Entry]:
    return [Entry(c.id, c.speaker, c.session, c.emotion, digest(c.pcm_T)) for c in clips]


class _Opened(NamedTuple):
    """A stock set as tensorflow-datasets gives it: its features, and a data source for each split."""

    features: Any
    splits: list[tuple[str, Any]]


@functools.lru_cache(maxsize=4)
def _opened(clips: Stock) -> _Opened:
    """A stock set, prepared if it is not; one for each process."""
    name = f"{PREFIX}{clips.name}"
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(f"{name}: the stock sets need TensorFlow; {_TF_HINT}")
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(clips.name, data_dir=clips.store)
        builder.download_and_prepare(file_format="array_record")
        sources = builder.as_data_source()
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(f"{name}: tensorflow-datasets has no such set") from error
    except ImportError as error:
        raise UserError(f"{name}: needs the package {error.name}; {_TF_HINT} (read the file)") from error
    except NotImplementedError as error:
        raise UserError(
            f"{name}: prepared in {clips.store} in another format than array_record; give another store"
        ) from error
    return _Opened(builder.info.features, list(sources.items()))


def _stock_clip(name: str, place: str, features: Any, example: dict[str, Any]) -> Clip:
    base = re.split("[/:]", name)[0]
    speaker = _word(("speaker_id", "speaker"), features, example)
    return Clip(
        id=f"{base}/{_word(('id',), features, example) or place}",
        speaker=f"{base}/{speaker}" if speaker else "",
        session="",
        emotion=_word(("label",), features, example),
        pcm_T=_stock_audio(f"{PREFIX}{name}", features, example),
    )


def _word(keys: Sequence[str], features: Any, example: dict[str, Any]) -> str:
    """The value of the first of the keys that is there, as text; '' if none is."""
    key = next((key for key in keys if key in example), None)
    if key is None:
        return ""
    value = example[key]
    if hasattr(features[key], "int2str"):
        return str(features[key].int2str(int(value)))
    value = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def _stock_audio(name: str, features: Any, example: dict[str, Any]) -> np.ndarray:
    """int16 samples at `RATE` of the first audio feature."""
    key = next((key for key in example if hasattr(features[key], "sample_rate")), None)
    if key is None:
        raise UserError(f"{name}: has no audio (only {', '.join(example)})")
    rate, values = features[key].sample_rate, np.asarray(example[key])
    if not rate:
        raise UserError(f"{name}: does not say at what rate its audio is")
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise UserError(f"{name}: {key} is {values.dtype} of shape {values.shape}, not mono audio of 16 bit")
    if not np.array_equal(values, values.astype(np.int16)):
        raise UserError(f"{name}: {key} has values up to {values.max()}, which is no audio of 16 bit")
    if rate == RATE:
        return values.astype(np.int16)
    return as_pcm(soxr.resample(values.astype(np.float32) / FULL_SCALE, rate, RATE))
