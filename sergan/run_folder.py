"""A run folder's files as a report reads them: each once, None or empty where it is not there yet."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
from etils import epath

from sergan import metrics, writers

UNFINISHED = "unfinished"  # in place of the normalisation of members whose line is not written yet
_ROWS = re.compile(r"(?:(.+)_)?fold_(\d+)_seed_(\d+)_point_0")


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
        return writers.read_json(path) if path.exists() else {}

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
        return self.record["config"]["target"]["name"] if self.protocol == "across" else ""

    @cached_property
    def members(self) -> list[dict[str, Any]]:
        """members.jsonl."""
        return writers.read_lines(self.folder / "members.jsonl")

    @cached_property
    def holes(self) -> list[dict[str, Any]]:
        """holes.jsonl: what could not run."""
        return writers.read_lines(self.folder / "holes.jsonl")

    @cached_property
    def results(self) -> pd.DataFrame | None:
        """results.csv."""
        return self._csv("results.csv", ("arm", "classifier", "normalisation"))

    @cached_property
    def contrasts(self) -> pd.DataFrame | None:
        """contrasts.csv: paired differences of two arms."""
        return self._csv("contrasts.csv", ("a", "b", "classifier", "normalisation"))

    @cached_property
    def choices(self) -> pd.DataFrame | None:
        """choices.csv: what was chosen on inner folds for each outer one."""
        return self._csv("choices.csv", ("normalisation", "classifier", "arm", "held_out", "setting"))

    @cached_property
    def inner(self) -> pd.DataFrame | None:
        """inner.csv: the UAR of every setting on the inner folds."""
        return self._csv("inner.csv", ("normalisation", "classifier", "arm", "setting"))

    @cached_property
    def points(self) -> pd.DataFrame | None:
        """points.csv: a sweep's points, with a column for each swept key; None without a sweep."""
        return self._csv("points.csv", ())

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """predictions.csv."""
        return self._csv("predictions.csv", metrics.WORDS)

    @cached_property
    def quality(self) -> pd.DataFrame | None:
        """quality.csv, with an empty `arm` where there is but one kind of synthetic rows."""
        frame = self._csv("quality.csv", ("normalisation", "arm", "emotion"))
        return frame.assign(arm="") if frame is not None and "arm" not in frame else frame

    @cached_property
    def losses(self) -> pd.DataFrame:
        """metrics.jsonl with normalisation, arm and point by line: outer members that did not diverge."""
        frame = pd.DataFrame(writers.read_lines(self.folder / "metrics.jsonl"))
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

    def _csv(self, name: str, words: Iterable[str]) -> pd.DataFrame | None:
        path = self.folder / name
        return writers.read_frame(path, words) if path.exists() else None


def diverged(line: Mapping[str, Any]) -> bool:
    """Whether a line of members.jsonl is of a member that diverged."""
    return str(line.get("status", "")).startswith("diverged")
