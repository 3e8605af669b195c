"""What a run is doing: its record config.json, the time of each stage, and the lock on its folder."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar

from etils import epath

from experiments import holes, hosts, lock
from experiments.record import PARTS
from sergan import events, metrics, report, sweep, writers
from sergan.run_folder import Run
from sergan.sections import head

Found = TypeVar("Found")


class Stages:
    """The stages of one run, each with its time in the record, which `read` reads anew."""

    def __init__(
        self, run: epath.Path, record: dict[str, Any], read: Callable[[], dict[str, Any]], held: TextIO | None
    ) -> None:
        self.run, self._record, self._read, self._held = run, record, read, held
        self._first = hosts.first()  # also when hosts have parted

    def begin(self, size: Callable[[], int]) -> None:
        """Makes the run folder, unless it is there, and keeps other processes out of it.

        Args:
          size: how many members a group is to have; asked where the run has not begun before.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        self._held = self._held or lock.hold(self.run)
        if not self._record["started"] and (self.run / "config.json").exists():
            self._record = self._read()  # another process began it meanwhile, and has ended
        if not self._record["started"]:
            import jax

            devices = [str(device) for device in jax.devices()]
            self._record |= {"started": _now(), "devices": devices, "members_per_group": size()}
            self._save()

    def timed(self, stage: str, work: Callable[[], Found]) -> Found:
        """Does the work of a stage; its time is added to that of earlier attempts."""
        started = time.monotonic()
        try:
            return work()
        finally:
            seconds = self._record["stages"].get(stage, 0.0) + time.monotonic() - started
            self._record["stages"][stage] = round(seconds, 1)
            if self._record["started"]:
                self._save()

    def smaller(self, length: int) -> None:
        """Notes that groups are to have that many members from now on."""
        self._record["members_per_group"] = length
        self._save()

    def report(self) -> None:
        """From predictions.csv to report.html; then the folders with parts of the tables go."""
        (self.run / "report.html").unlink(missing_ok=True)  # an older one: nothing is finished without
        holes.gather(self.run)
        predictions = Run(self.run).need("predictions")
        writers.write_frame(self.run / "results.csv", metrics.results(predictions))
        writers.write_frame(self.run / "contrasts.csv", metrics.contrasts(predictions))
        self._record["ended"] = _now()
        self._save()
        report.write(self.run)
        events.finish(self.run)
        for part in PARTS:
            going = self.run / f"{part}.partial"  # or a clean-up that is cut short leaves half of its holes
            going.rmtree(missing_ok=True)
            if (self.run / part).exists():
                (self.run / part).rename(going)
                going.rmtree()

    def release(self) -> None:
        """Lets other processes into the run folder."""
        if self._held:
            lock.release(self._held)

    def _save(self) -> None:
        if self._first:
            writers.write_json(self.run / "config.json", self._record)


def closing(run: epath.Path, what: str) -> str:
    """What to print of a run: its results, and where they are."""
    if not hosts.first():
        return f"{run} {what}"
    found = Run(run)
    table = report.table_text(found.need("results"), found.points, sweep.chosen(found))
    table += f"\n{head.PROTOCOLS[found.protocol]}" if found.kind == "recordings" else ""
    return f"{table}\n\n{run} {what}. Report: {run / 'report.html'}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
