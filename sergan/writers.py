"""The run folder's files, written whole or not at all, and the progress that a person sees."""

import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, TextIO

import pandas as pd
from etils import epath

from sergan import parquet, shapes
from sergan.errors import UserError, line

REMEDY = "delete it and run the command of its run folder again, which makes it anew"
_LINE_REMEDY = "delete this line and run the command of its run folder again, which does without it"


@contextmanager
def replacing(path: epath.PathLike) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block has ended; a block that fails leaves nothing."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:  # a full disk, above all: what is left takes room
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: epath.PathLike, text: str) -> None:
    """Writes to a temporary name, then renames: a reader sees the old file or the new one."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: epath.PathLike, value: Any) -> None:
    """`value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_json(path: epath.PathLike) -> Any:
    """What `write_json` wrote.

    Raises:
      UserError: it is damaged.
    """
    try:
        return _parsed(epath.Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, no JSON ({error}); restore it, or name another folder") from error


def _parsed(content: bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """The value of JSON; raises ValueError for what is none, or half of a pair of code points in a text."""
    value = json.loads(content, parse_constant=constant)
    if b"\\ud" in content.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def write_lines(path: epath.PathLike, records: Iterable[dict[str, Any]]) -> None:
    """Records as JSON lines, replacing the file."""
    with replacing(path) as file:
        for record in records:
            file.write(f"{json.dumps(record)}\n".encode())


def append_lines(path: epath.PathLike, records: Iterable[dict[str, Any]]) -> None:
    """Adds records to a file of JSON lines."""
    with epath.Path(path).open("a") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))


def drop_cut_line(path: epath.PathLike) -> None:
    """Takes away a last line that a kill cut short, which the next one would be added to."""
    path = epath.Path(path)
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        write_lines(path, each_line(path))


def read_lines(path: epath.PathLike, shape: shapes.Shape = dict) -> list[dict[str, Any]]:
    """Records of a file of JSON lines, as `each_line`."""
    return list(each_line(path, shape))


def each_line(path: epath.PathLike, shape: shapes.Shape = dict) -> Iterator[dict[str, Any]]:
    """Records of a file of JSON lines; none if it is not there, and without a last line cut short.

    NaN and infinity, which old runs wrote, are None.

    Raises:
      UserError: another line is damaged, or not as `shape` says.
    """
    path = epath.Path(path)
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith(b"\n"):
                return
            try:
                record = _parsed(text, lambda _: None)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path} line {number}: damaged, no JSON; {_LINE_REMEDY}") from error
            if fault := shapes.fault(record, shape):
                raise UserError(f"{path} line {number}: damaged, {fault}; {_LINE_REMEDY}")
            yield record


def write_frame(path: epath.PathLike, frame: pd.DataFrame) -> None:
    """A frame as csv or Parquet by the ending, to a temporary name first."""
    with replacing(path) as file:
        if epath.Path(path).suffix == ".parquet":
            _to_parquet(frame, file)
        else:
            frame.to_csv(file, index=False)


def _to_parquet(frame: pd.DataFrame, file: Any) -> None:
    """Floats hardly repeat: split into byte streams they take half of what dictionaries do."""
    floats = [name for name in frame if frame[name].dtype.kind == "f"]
    others = [name for name in frame if name not in set(floats)]
    frame.to_parquet(
        file, index=False, compression="zstd", use_dictionary=others, use_byte_stream_split=floats
    )


def read_frame(path: epath.PathLike, words: Iterable[str] = (), remedy: str = REMEDY) -> pd.DataFrame:
    """What `write_frame` wrote; csv columns `words` as they stand (a speaker "03", an emotion "NA").

    Raises:
      UserError: it is damaged.
    """
    path = epath.Path(path)
    with path.open("rb") as file:
        content = file.read()
    try:
        if path.suffix == ".parquet":
            return parquet.read(io.BytesIO(content))
        if not content.endswith(b"\n"):
            raise ValueError("its last line has no end")
        return pd.read_csv(
            io.BytesIO(content), dtype=dict.fromkeys(words, str), keep_default_na=False, na_values=["", "nan"]
        )
    except Exception as error:  # whatever the library meets in a file that is damaged
        raise UserError(f"{path}: damaged ({line(error)}); {remedy}") from error


def short(value: float) -> float | None:
    """A number with six digits for a record; None, which is JSON, where a diverged member has none."""
    return float(f"{float(value):.6g}") if math.isfinite(value) else None


class Progress:
    """One stage's progress: a bar with ETA and named values on a terminal, plain lines elsewhere."""

    def __init__(self, stage: str, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._stage, self._total, self._first = stage, max(total, 1), done
        self._stream = stream or sys.stderr
        self._started = self._printed = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description:<12}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[values]}"),
                console=Console(file=self._stream),
            )
            self._task = self._bar.add_task(stage, total=self._total, completed=done, values="")

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(
        self, done: int, total: int | None = None, values: Mapping[str, float] | None = None
    ) -> None:
        """`done` of `total` parts are done; `values` are shown by name."""
        self._total = total or self._total
        text = " ".join(f"{name} {value:.3g}" for name, value in (values or {}).items())
        if self._bar:
            self._bar.update(self._task, completed=done, total=self._total, values=text)
            return
        now = time.monotonic()
        if done < self._total and now - self._printed < 5:
            return
        self._printed = now
        seconds = now - self._started
        left = seconds * (self._total - done) / max(done - self._first, 1)
        line = f"{self._stage}: {done}/{self._total} ({done / self._total:.0%}), {clock(seconds)} gone"
        line += f", ETA {clock(left)}" if done < self._total else ""
        print(f"{line}{', ' if text else ''}{text}", file=self._stream, flush=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, as 61:05."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
