"""A profile of some steps of training, for TensorBoard or Perfetto."""

from collections.abc import Callable

import jax
from etils import epath


class Trace:
    """Records what the devices do during `steps` steps, from the second chunk on: the first one compiles.

    Inside the `with` block; whatever was recorded at its end is written.
    """

    def __init__(self, folder: epath.Path, steps: int) -> None:
        self._folder, self._left, self._on = folder, steps, False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def advance(self, steps: int, wait: Callable[[], None]) -> None:
        """To be called after each chunk of `steps` steps; `wait` returns when they are computed."""
        if self._on:
            self._left -= steps
            if self._left <= 0:
                wait()
                self._stop()
        elif self._left > 0:
            wait()
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)
            self._on = True

    def _stop(self) -> None:
        if self._on:
            jax.profiler.stop_trace()
            self._on = False
