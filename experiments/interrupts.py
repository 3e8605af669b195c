"""Ctrl-C and SIGTERM during training: finish the chunk, save, then stop."""

import signal
from types import FrameType
from typing import Any

import numpy as np

from experiments import hosts

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Inside the `with` block a signal sets `asked` instead of stopping the program."""

    def __init__(self) -> None:
        self.asked = False
        self._flags: Any = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        self._old = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def agreed(self) -> bool:
        """Whether to stop: once any of several hosts was asked, and on all of them at the same call.

        The answer is then that of the call before, so that no host waits for what its devices compute.
        """
        if hosts.count() == 1:
            return self.asked
        before, self._flags = self._flags, hosts.flags(self.asked)
        return before is not None and bool(np.any(before))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
