"""TensorBoard event files: losses of a group of members while it trains, figures and results at the end."""

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from sergan import comparison
from sergan.run_folder import Run

FOLDER = "tensorboard"  # in a run folder
_SECONDS = 10  # after which events are in the file


class Events:
    """The events of one folder, which TensorBoard shows as one run.

    A run that goes on from `step` hides what was written of it and later ones before. Events are written by
    this thread, so that a full disk is an error here; tensorboardX's own writer would wait for its thread
    forever.

    Raises:
      OSError: the folder cannot be written to, here and in every method.
    """

    def __init__(self, folder: epath.PathLike, step: int = 0) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder, self._event, self._written = epath.Path(folder), Event, time.monotonic()
        goes_on = self._folder.exists() and any(self._folder.iterdir())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer: Any = EventsWriter(os.path.join(os.fspath(folder), "events"))
        if goes_on:
            self._write(step, file_version="brain.Event:2")
            self._write(step, session_log=SessionLog(status=SessionLog.START))

    def _write(self, step: int = 0, **content: Any) -> None:
        if self._writer is None:
            return
        self._writer.write_event(self._event(step=step, wall_time=time.time(), **content))
        if time.monotonic() - self._written > _SECONDS:
            self._writer.flush()
            self._written = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name at a step; what is not finite is left out."""
        from tensorboardX import summary

        for name, value in values.items():
            if np.isfinite(value):
                self._write(step, summary=summary.scalar(name, value))

    def image(self, name: str, path: epath.Path) -> None:
        """A PNG file."""
        from matplotlib import image
        from tensorboardX import summary

        with path.open("rb") as file:
            pixels = image.imread(file)[..., :3]
        self._write(summary=summary.image(name, pixels, dataformats="HWC"))

    def hparams(self, name: str, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """What was set and what came out, as a row of TensorBoard's table of hyper-parameters."""
        from tensorboardX import summary

        plain = {key: x if isinstance(x, int | float) else str(x) for key, x in settings.items()}
        finite = {key: float(value) for key, value in results.items() if np.isfinite(value)}
        row = Events(self._folder / name)
        for part in summary.hparams(plain, finite):
            row._write(summary=part)
        row.scalars(0, finite)
        row.close()

    def close(self) -> None:
        """Writes what is left; events that come later are dropped."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def finish(run_folder: epath.Path) -> None:
    """Writes the figures of a run folder, and the UAR of each arm beside the hypers of each sweep point.

    A point has its own UAR, of several amounts at the largest; without a sweep what was chosen on inner folds
    counts. What was written so before is replaced.
    """
    run, folder = Run(run_folder), run_folder / FOLDER / "report"
    folder.rmtree(missing_ok=True)
    events = Events(folder)
    for path in sorted((run.folder / "figures").glob("*.png")):
        events.image(path.stem, path)
    points = {} if run.points is None else run.points.set_index("point").to_dict("index")
    results = run.need("results")
    chosen = run.points is None and comparison.has_choice(results)
    counted = comparison.counted(results) if chosen else comparison.largest(results)
    for point, rows in counted.groupby("point"):
        settings = run.record.get("config", {}).get("hypers", {}) | points.get(point, {})
        found = {f"uar/{row.arm}/{row.classifier}/{row.normalisation}": row.uar for row in rows.itertuples()}
        events.hparams(f"point_{point}", settings, found)
    events.close()
