"""What an arm could not do: kept beside the part of the results that it is missing from."""

from etils import epath

from sergan import writers
from sergan.errors import ArmError
from sergan.folds import Fold


class Holes:
    """The holes of one part of the results, each reason once per fold and amount."""

    def __init__(self, normalisation: str, arm: str) -> None:
        self._normalisation, self._arm = normalisation, arm
        self._found: dict[tuple[int, float, str], dict[str, object]] = {}

    def add(self, fold: Fold, amount: float, error: ArmError) -> None:
        """Notes why rows of `amount` sets could not be made for a fold."""
        self._found[fold.index, amount, str(error)] = {
            "normalisation": self._normalisation,
            "arm": self._arm,
            "fold": fold.index,
            "held_out": " ".join(fold.held_out),
            "amount": amount,
            "reason": str(error),
        }

    def write(self, part: epath.Path) -> None:
        """Writes them beside `part`, before it is there."""
        if self._found:
            writers.write_lines(part.with_suffix(".holes.jsonl"), self._found.values())


def gather(run: epath.Path) -> None:
    """Writes holes.jsonl from all parts, and what it said of folders with parts that are gone, since their
    tables were whole; none where nothing is missing."""
    path = run / "holes.jsonl"
    before = writers.read_lines(path, {"part?": str})
    lines = [line for line in before if not (run / line.get("part", "predictions")).exists()]
    for part in sorted(run.glob("*/*.holes.jsonl")):
        if part.parent.suffix != ".partial":  # of a clean-up that was cut short
            own = [{"part": part.parent.name} | line for line in writers.read_lines(part)]
            lines += [line for line in own if line not in lines]
    if lines or path.exists():
        writers.write_lines(path, lines)
