"""A profile of some steps of training, for TensorBoard or Perfetto."""

import jax
from etils import epath


class Trace:
    """Records what the devices do during `steps` steps, from the second chunk on: the first one compiles."""

    def __init__(self, folder: epath.Path, steps: int) -> None:
        self._folder, self._left, self._on = folder, steps, False

    def advance(self, steps: int) -> None:
        """To be called after each chunk of `steps` steps."""
        if self._on:
            self._left -= steps
            if self._left <= 0:
                jax.profiler.stop_trace()
                self._on = False
        elif self._left > 0:
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)
            self._on = True
