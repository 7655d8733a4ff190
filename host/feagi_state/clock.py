"""The one clock of the package. A mirror holds times of it, which every process compares with its own: nobody may take
another, `ruff` sees to that.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["now_ns", "now_s"]

# It must go on while the computer sleeps, or what was heard before would look fresh afterwards. Linux's monotonic clock
# does not, macOS's does.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds since some point in the past, the same one for all processes of a computer until it starts again.

    Never set back; the time that the computer slept is in it. Any thread.
    """
    return time.clock_gettime(_CLOCK)


def now_ns() -> int:
    """`now_s` in nanoseconds."""
    return time.clock_gettime_ns(_CLOCK)
