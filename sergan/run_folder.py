"""A run folder's files as a report reads them: each once, None or empty where it is not there yet."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
from etils import epath

from sergan import metrics, shapes, writers
from sergan.errors import UserError

UNFINISHED = "unfinished"  # in place of the normalisation of members whose line is not written yet
_ROWS = re.compile(r"(?:(.+)_)?fold_(\d+)_seed_(\d+)_point_0")

_PROTOCOLS = {
    "features": ("speaker", "speaker_groups", "session", "speaker_text", "across"),
    "recordings": ("clip", "speaker", "speaker_groups"),
}
_CONFIG = {  # what is read of any study's, as far as it is there
    "kind?": tuple(_PROTOCOLS),
    "protocol?": str,
    "source?": str,
    "loudness?": ("kept", "normalised"),
    "corpus?": {"name?": str, "classes?": [str]},
    "target?": {"name?": str},
    "features?": {"set?": str},
    "gan?": {"loss?": str},
    "hypers?": {"lambda_cls?": float},
}
_RECORD = {
    "config": _CONFIG,
    "overrides?": dict,
    "command?": str,
    "versions?": dict,
    "devices?": list,
    "commit?": str,
    "continued_at?": list,
    "inputs?": {"*": str},
    "members_per_group?": int,
    "started?": (str, type(None)),
    "ended?": (str, type(None)),
    "stages?": {"*": float},
}
MEMBER = {
    "member": int,
    "normalisation": str,
    "fold": int,
    "held_out": (str, [str]),
    "seed": int,
    "point": int,
    "status": re.compile(r"done|diverged(@\d{1,15})?"),
    "arm?": str,
    "inner?": bool,
    "group?": int,
}
_HOLE = {"normalisation": str, "arm": str, "fold?": int, "amount?": float, "held_out?": str, "reason": str}
_LOSS = {"step": int, "member": int, "emotion?": str, "phase?": str, "*": (float, type(None))}
_NUMBERS, _WHOLE = 0, 1  # kinds of columns; words are 2
_PLACE = ("normalisation", "classifier")
_INTERVAL = ("delta_low", "delta_high", "p_value")
_RESULTS = (
    "amount",
    "uar",
    "uar_low",
    "uar_high",
    "uar_sd?",
    "wa",
    "wa_low?",
    "wa_high?",
    "delta_uar",
    *_INTERVAL,
)


class Missing(Exception):
    """Something cannot be written yet; the message says what is not there."""


class RowsFile(NamedTuple):
    """A file of synthetic rows; `arm` is empty in runs with one kind of CycleGAN."""

    normalisation: str
    arm: str
    fold: int
    seed: int
    path: epath.Path


@dataclass(frozen=True)
class Run:
    """A run folder; each part is read once."""

    folder: epath.Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """config.json."""
        path = self.folder / "config.json"
        return read_record(path) if path.exists() else {}

    @property
    def corpus(self) -> Mapping[str, Any]:
        """The config's corpus: name and classes, where they are known."""
        return self.record.get("config", {}).get("corpus", {})

    @property
    def kind(self) -> str:
        """What the study works on: "features" or "recordings"."""
        return str(self.record.get("config", {}).get("kind", "features"))

    @property
    def protocol(self) -> str:
        """How the folds are made, as the config has it."""
        return str(self.record.get("config", {}).get("protocol", "speaker"))

    @property
    def target(self) -> str:
        """The name of the corpus that is tested on, where another one trains; else empty."""
        target = self.record.get("config", {}).get("target", {})
        return target.get("name", "") if self.protocol == "across" else ""

    @cached_property
    def members(self) -> list[dict[str, Any]]:
        """members.jsonl."""
        return writers.read_lines(self.folder / "members.jsonl", MEMBER)

    @cached_property
    def holes(self) -> list[dict[str, Any]]:
        """holes.jsonl: what could not run."""
        return writers.read_lines(self.folder / "holes.jsonl", _HOLE)

    @cached_property
    def results(self) -> pd.DataFrame | None:
        """results.csv."""
        frame = self._csv("results.csv", ("arm", *_PLACE), ("point", "classes", "seeds"), _RESULTS)
        if frame is not None and self.points is not None:
            points = f"points of {self.folder / 'points.csv'}, or that one is damaged"
            self._check_known("results.csv", frame["point"], self.points["point"], points)
            self._check_first_point("results.csv", frame)
        return frame

    @cached_property
    def contrasts(self) -> pd.DataFrame | None:
        """contrasts.csv: paired differences of two arms."""
        return self._csv("contrasts.csv", ("a", "b", *_PLACE), (), ("delta", *_INTERVAL))

    @cached_property
    def choices(self) -> pd.DataFrame | None:
        """choices.csv: what was chosen on inner folds for each outer one, and in a sweep at which point."""
        point = "point?" if self.points is None else "point"
        return self._csv("choices.csv", ("arm", *_PLACE, "held_out?", "setting?"), (point,), ("amount",))

    @cached_property
    def inner(self) -> pd.DataFrame | None:
        """inner.csv: the UAR of every setting on the inner folds."""
        return self._csv("inner.csv", ("arm", *_PLACE, "setting?"), ("point",), ("inner_uar",))

    @cached_property
    def points(self) -> pd.DataFrame | None:
        """points.csv: a sweep's points, with a column for each swept key; None without a sweep."""
        frame = self._csv("points.csv", (), ("point",))
        if frame is None:
            return None
        if frame["point"].tolist() != list(range(max(len(frame), 1))):
            raise UserError(
                f"{self.folder / 'points.csv'}: damaged, points are not 0, 1, 2, …; {writers.REMEDY}"
            )
        for name in frame.columns[frame.isna().any()]:  # an empty word
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "")
        return frame

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """predictions.csv."""
        frame = self._csv("predictions.csv", metrics.WORDS, ("point", "fold", "seed"), ("amount",))
        if frame is not None and len(frame):
            labels = pd.concat([frame["truth"], frame["prediction"]])
            self._check_known("predictions.csv", labels, metrics.classes_of(frame), "classes")
            if self.points is not None:
                self._check_first_point("predictions.csv", frame)
        return frame

    @cached_property
    def quality(self) -> pd.DataFrame | None:
        """quality.csv, with an empty `arm` where there is but one kind of synthetic rows."""
        frame = self._csv(
            "quality.csv", ("normalisation", "arm?", "emotion"), ("fold", "seed?", "point?"), ("*",)
        )
        return frame.assign(arm="") if frame is not None and "arm" not in frame else frame

    @cached_property
    def learning(self) -> pd.DataFrame | None:
        """learning.csv: what networks on recordings said in training, and of held-out clips now and then."""
        values = ("loss", "accuracy", "held_out?")
        remedy = "delete it, and the report does without"
        return self._csv("learning.csv", ("classifier", "arm"), ("fold", "seed", "step"), values, remedy)

    @cached_property
    def losses(self) -> pd.DataFrame:
        """metrics.jsonl with normalisation, arm and point by line: outer members that did not diverge."""
        frame = pd.DataFrame(writers.read_lines(self.folder / "metrics.jsonl", _LOSS))
        if frame.empty:
            return frame
        lines = {line["member"]: line for line in self.members}
        found = [lines.get(member, {}) for member in frame["member"]]
        frame["normalisation"] = [line.get("normalisation", UNFINISHED) for line in found]
        frame["arm"] = [line.get("arm", "") for line in found]
        frame["point"] = [line.get("point", 0) for line in found]
        return frame[[not (diverged(line) or line.get("inner")) for line in found]]

    def synthetic(self) -> list[RowsFile]:
        """Files of synthetic rows of outer members that did not diverge, in the members' normalisations.

        Of a sweep only those of the first point.
        """
        lost = {
            (line["normalisation"], arm, line["fold"], line["seed"])
            for line in self.members
            if diverged(line) and not line.get("inner") and not line.get("point")
            for arm in (line.get("arm", ""), "")
        }
        found = []
        for path in sorted((self.folder / "synthetic").glob("*/*.parquet")):
            if match := _ROWS.fullmatch(path.stem):
                arm, fold, seed = match[1] or "", int(match[2]), int(match[3])
                if (path.parent.name, arm, fold, seed) not in lost:
                    found.append(RowsFile(path.parent.name, arm, fold, seed, path))
        names = [line["normalisation"] for line in self.members] + [file.normalisation for file in found]
        order = list(dict.fromkeys(names))
        return sorted(found, key=lambda file: order.index(file.normalisation))

    def held_out(self, member: int) -> set[str]:
        """The speakers that a member never saw."""
        lines = [line["held_out"] for line in self.members if line["member"] == member]
        single = [[names, *names.split()] if isinstance(names, str) else names for names in lines]
        return {name for names in single for name in names}

    def need(self, name: str) -> pd.DataFrame:
        """The frame of `<name>.csv`; raises Missing where it is not there or empty."""
        frame = getattr(self, name)
        if frame is None or frame.empty:
            raise Missing(f"{name}.csv is not there yet.")
        return frame

    def _check_known(self, name: str, values: pd.Series, known: Collection, what: str) -> None:
        """Raises UserError, naming a file, for values that are none of the known ones."""
        strange = values[~values.isin(known)]
        if len(strange):
            fault = f"{str(strange.iloc[0])!r} is none of the {what}"
            raise UserError(f"{self.folder / name}: damaged, {fault}; {writers.REMEDY}")

    def _check_first_point(self, name: str, frame: pd.DataFrame) -> None:
        """Raises UserError, naming a file, if its rows are all of a sweep's later points."""
        if len(frame) and not (frame["point"] == 0).any():
            where = self.folder / name
            raise UserError(f"{where}: damaged, no row is of the sweep's first point; {writers.REMEDY}")

    def _csv(
        self,
        name: str,
        words: Sequence[str],
        whole: Sequence[str] = (),
        numbers: Sequence[str] = (),
        remedy: str = writers.REMEDY,
    ) -> pd.DataFrame | None:
        """A table with columns of words and of whole numbers, none missing in a row, and of numbers.

        A column whose name ends in "?" here may be missing; "*" in `numbers` stands for all others.
        """
        path = self.folder / name
        if not path.exists():
            return None
        frame = writers.read_frame(path, [word.rstrip("?") for word in words], remedy)
        kinds = {column: kind for kind, group in enumerate((numbers, whole, words)) for column in group}
        known = {column.rstrip("?") for column in kinds}
        if kinds.pop("*", None) is not None:
            kinds |= {str(column): _NUMBERS for column in frame if column not in known}
        for column, kind in kinds.items():
            optional = column.endswith("?") and column[:-1] not in frame
            if not optional and (fault := _fault(frame, column.rstrip("?"), kind)):
                raise UserError(f"{path}: damaged, {fault}; {remedy}")
        return frame


def _fault(frame: pd.DataFrame, column: str, kind: int) -> str:
    """What is wrong with a column, in words; empty for a sound one."""
    if column not in frame:
        return f"it has no column {column!r}"
    values = frame[column]
    if kind != _NUMBERS and values.isna().any():
        return f"a row has no {column!r}"
    if kind == _WHOLE and values.dtype.kind not in "iu" and len(frame):
        return f"the column {column!r} holds other things than whole numbers"
    if kind == _NUMBERS and values.dtype.kind not in "iuf" and len(frame):
        return f"the column {column!r} holds other things than numbers"
    return ""


def read_record(path: epath.Path) -> dict[str, Any]:
    """The content of config.json.

    Raises:
      UserError: it is damaged.
    """
    record = writers.read_json(path)
    fault = shapes.fault(record, _RECORD)
    if not fault:
        protocols = _PROTOCOLS[record["config"].get("kind", "features")]
        fault = shapes.fault(record["config"], {"protocol?": protocols}, "config")
    if fault:
        raise UserError(f"{path}: damaged, {fault}; restore it, or name another folder")
    return record


def diverged(line: Mapping[str, Any]) -> bool:
    """Whether a line of members.jsonl is of a member that diverged."""
    return str(line.get("status", "")).startswith("diverged")


def last_step(line: Mapping[str, Any], steps: int) -> int:
    """The step at which a line's generators were left: the last of all, or that of their divergence."""
    return int(line["status"].partition("@")[2] or 0) if diverged(line) else steps
