"""Waiting for something in shared memory, which nobody announces: looks at growing distances."""

from __future__ import annotations

import time
from typing import Final

from .checks import timeout

__all__ = ["LONGEST_PAUSE_S", "Patience"]

SHORTEST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.01


class Patience:
    """How long to sleep before the next look. One thread."""

    def __init__(self, timeout_s: float | None) -> None:
        """`timeout_s` from now on; None: for ever. Raises InvalidValue."""
        timeout_s = timeout(timeout_s)
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._pause_s = SHORTEST_PAUSE_S

    def next_pause_s(self) -> float | None:
        """Seconds until the next look; None: the time is over."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        if self._deadline is None:
            return pause_s
        left_s = self._deadline - time.monotonic()
        return min(pause_s, left_s) if left_s > 0 else None
