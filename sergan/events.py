"""TensorBoard event files: losses of a group of members while it trains, figures and results at the end."""

import os
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

    A run that goes on from `step` hides what was written of later steps before.
    """

    def __init__(self, folder: epath.PathLike, step: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(os.fspath(folder), purge_step=step or None, flush_secs=_SECONDS)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name at a step; what is not finite is left out."""
        for name, value in values.items():
            if np.isfinite(value):
                self._writer.add_scalar(name, value, step)

    def image(self, name: str, path: epath.Path) -> None:
        """A PNG file."""
        from matplotlib import image

        with path.open("rb") as file:
            self._writer.add_image(name, image.imread(file)[..., :3], dataformats="HWC")

    def hparams(self, name: str, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """What was set and what came out, as a row of TensorBoard's table of hyper-parameters."""
        plain = {key: x if isinstance(x, int | float) else str(x) for key, x in settings.items()}
        finite = {key: float(value) for key, value in results.items() if np.isfinite(value)}
        self._writer.add_hparams(plain, finite, name=name)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


def finish(run_folder: epath.Path) -> None:
    """Writes the figures of a run folder, and the UAR of each arm beside the hypers of each sweep point.

    What was written so before is replaced.
    """
    run, folder = Run(run_folder), run_folder / FOLDER / "report"
    folder.rmtree(missing_ok=True)
    events = Events(folder)
    for path in sorted((run.folder / "figures").glob("*.png")):
        events.image(path.stem, path)
    points = {} if run.points is None else run.points.set_index("point").to_dict("index")
    for point, rows in comparison.counted(run.need("results")).groupby("point"):
        settings = run.record.get("config", {}).get("hypers", {}) | points.get(point, {})
        found = {f"uar/{row.arm}/{row.classifier}/{row.normalisation}": row.uar for row in rows.itertuples()}
        events.hparams(f"point_{point}", settings, found)
    events.close()
