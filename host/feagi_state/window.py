"""How much a host may have under way to a device, so that the device's buffer holds it (LINK.md, Flow control)."""

from __future__ import annotations

from collections import deque
from typing import Final

from . import spec
from .spec import Kind

__all__ = ["Window"]

_GONE_AFTER_S: Final = spec.WINDOW_MS / 1000


class Window:
    """What was sent in the present session and is not known to have been taken. One thread.

    A device takes frames in their order: what is known of one is known of all before it.
    """

    def __init__(self) -> None:
        """Admits nothing until `open`."""
        self._limit_bytes = 0
        self._used_bytes = 0
        self._under_way: deque[tuple[int, int, int, float]] = deque()  # kind, number, bytes, when it was sent

    def open(self, limit_bytes: int) -> None:
        """A session begins, with a device that has taken all that was sent before and can hold `limit_bytes`."""
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._under_way.clear()

    def admits(self, len_bytes: int) -> bool:
        """Whether a frame of this length may go; one that is alone always may."""
        return self._used_bytes + len_bytes <= self._limit_bytes or not self._under_way

    def sent(self, kind: int, number: int, len_bytes: int, now: float) -> None:
        """A frame goes. `number`: what `taken` and `heard` know it by, of its kind."""
        self._used_bytes += len_bytes
        self._under_way.append((kind, number, len_bytes, now))

    def taken(self, kind: int, number: int) -> None:
        """The device has answered the frame with this number: it took the first one that has it."""
        for at, frame in enumerate(self._under_way):
            if frame[:2] == (kind, number):
                self._release(at + 1)
                return

    def pause(self, now: float) -> None:
        """The host has stood still: what it reads now may have been said before, so that time counts from here on."""
        self._under_way = deque((kind, number, len_bytes, now) for kind, number, len_bytes, _ in self._under_way)

    def heard(self, acked: int, event_acked: int, at: float) -> None:
        """The device has been heard `at` this time, and what it sent shows that it knows of these acknowledgements."""
        known = {Kind.ACK: acked, Kind.NAK: acked, Kind.EVENT_ACK: event_acked}
        for count in range(len(self._under_way), 0, -1):
            kind, number, _, sent_at = self._under_way[count - 1]
            # Of several with the same number one was taken, perhaps the first; of those before it all were.
            if at - sent_at >= _GONE_AFTER_S or (kind in known and 0 < (known[Kind(kind)] - number) & 255 < 128):
                self._release(count)
                return

    def _release(self, count: int) -> None:
        for _ in range(count):
            self._used_bytes -= self._under_way.popleft()[2]
