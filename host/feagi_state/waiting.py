"""Waiting for something in shared memory, which nobody announces: looks at growing distances."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, TypeVar

from .checks import timeout
from .clock import now_s

__all__ = ["LONGEST_PAUSE_S", "Patience", "Stream"]

SHORTEST_PAUSE_S: Final = 0.0005
LONGEST_PAUSE_S: Final = 0.01
_TURN: Final = 64  # things that an `async for` may take before every other task has had its turn

T = TypeVar("T")
Self = TypeVar("Self", bound="Stream[Any]")


class Patience:
    """How long to sleep before the next look. One thread."""

    def __init__(self, timeout_s: float | None) -> None:
        """`timeout_s` from now on; None: for ever. Raises InvalidValue."""
        timeout_s = timeout(timeout_s)
        self._deadline = None if timeout_s is None else now_s() + timeout_s
        self._pause_s = SHORTEST_PAUSE_S

    def left_s(self) -> float | None:
        """Seconds until the time is over, at least 0; None: it never is."""
        return None if self._deadline is None else max(0.0, self._deadline - now_s())

    def next_pause_s(self) -> float | None:
        """Seconds until the next look; None: the time is over."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        left_s = self.left_s()
        if left_s is None:
            return pause_s
        return min(pause_s, left_s) if left_s > 0 else None


class Stream(Iterator[T], AsyncIterator[T]):
    """Things that are found one after the other in shared memory, for `for` and `async for`. One thread or task at a
    time.

    Ends when nothing came for its timeout; may be gone on with then. An `async for` holds up no other task: it looks
    between sleeps, and whoever cancels it loses nothing.
    """

    def __init__(self, timeout_s: float | None, ended: Callable[[], bool]) -> None:
        """`timeout_s`: of the iteration. `ended`: whether nothing can come any more. Raises InvalidValue."""
        self._timeout_s = timeout(timeout_s)
        self._ended = ended
        self._turn = 0

    @abstractmethod
    def _next(self) -> T | None:
        """Takes the next one, if it is there."""

    def get(self, timeout_s: float | None = 0.0) -> T | None:
        """The next one, or None if none comes within `timeout_s` (None: waits for ever). Raises RegionClosed once the
        region is, InvalidValue.
        """
        patience = Patience(timeout_s)
        while True:
            found = self._next()
            if found is not None:
                return found
            pause_s = None if self._ended() else patience.next_pause_s()
            if pause_s is None:
                return None
            time.sleep(pause_s)

    async def get_async(self, timeout_s: float | None = 0.0) -> T | None:
        """As `get`, but other tasks run while it waits."""
        patience = Patience(timeout_s)
        self._turn = (self._turn + 1) % _TURN
        if not self._turn:
            await asyncio.sleep(0)
        while True:
            # Nothing is awaited between the taking and the return, so a cancelled reader has taken nothing.
            found = self._next()
            if found is not None:
                return found
            pause_s = None if self._ended() else patience.next_pause_s()
            if pause_s is None:
                return None
            await asyncio.sleep(pause_s)

    def __next__(self) -> T:
        """The next one, waiting for it up to the timeout."""
        found = self.get(self._timeout_s)
        if found is None:
            raise StopIteration
        return found

    def __aiter__(self: Self) -> Self:
        """The stream itself."""
        return self

    async def __anext__(self) -> T:
        """The next one, waiting for it up to the timeout."""
        found = await self.get_async(self._timeout_s)
        if found is None:
            raise StopAsyncIteration
        return found
