"""A serial line as it can be, in one direction: bytes are lost, changed, said twice, invented, late, torn apart and joined.

They keep their order, and come as fast as a baud rate lets them. Time is what the caller says, so the same line serves a
simulation in virtual time (simulation.py) and a pseudo-terminal in real time (pty_proxy.py). A seed makes it repeat itself.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import NamedTuple

REMEMBERED_LEN_BYTES = 600  # what may be said twice
BURST_MOST_BYTES = 64
BITS_PER_BYTE = 10  # on the wire: a start bit and a stop bit
INJECTED = (b">>> print(1)\r\n", b"\0", b"\xff\0\x01", b"Traceback (most recent call last):\r\n", b"\0\0\x02\x01\0")


class Faults(NamedTuple):
    """How often what happens, each as a probability for a byte."""

    drop: float = 0.0  # the byte is lost, sometimes with some that follow
    flip: float = 0.0  # one bit of it is another
    duplicate: float = 0.0  # what went before is said again
    inject: float = 0.0  # something that nobody sent comes before it

    @classmethod
    def at(cls, rate: float) -> Faults:
        """The mix for one rate of errors a byte."""
        return cls(drop=rate / 2, flip=rate / 2, duplicate=rate / 16, inject=rate / 8)


NONE = Faults()


class Line:
    """One direction. `put` bytes into it, and `take` what has arrived."""

    def __init__(
        self, source: random.Random, faults: Faults = NONE, *, delay_s: float = 0.0, split: float = 0.0, baud: int = 0
    ) -> None:
        """`delay_s`: the most that a piece is late. `split`: the probability that what was put at once is torn apart, in pieces
        that are late by themselves. `baud` in Bd, 0: at once.
        """
        self.delay_s = delay_s
        self.split = split
        self.baud = baud
        self.longest_bytes = math.inf  # what is longer is lost, if it is between two zeros as frames are; 0: all is lost
        self.waiting_bytes = 0  # on their way
        self._random = source
        self._said = b""
        self._way: deque[tuple[float, bytes]] = deque()  # (when the first byte has arrived, bytes)
        self._last_at = -math.inf  # when the last byte arrives
        self.faults = faults

    @property
    def faults(self) -> Faults:
        """May be changed at any time."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._rate = sum(faults)
        if self._rate >= 1:
            raise ValueError(f"{faults}: more faults than bytes")
        self._good = self._good_bytes()

    @property
    def next_at(self) -> float:
        """When `take` will have something; infinity if nothing is on its way."""
        return self._way[0][0] if self._way else math.inf

    def put(self, data: bytes, now: float) -> None:
        """Sends bytes at `now`, in seconds."""
        if self.longest_bytes < math.inf:
            data = b"\0".join(piece for piece in data.split(b"\0") if len(piece) <= self.longest_bytes)
        if not data:
            return
        data = self._spoil(data)
        if self.split and self._random.random() < self.split:
            cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(self._random.randrange(1, 4)))
            pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        else:
            pieces = [data]
        byte_s = BITS_PER_BYTE / self.baud if self.baud else 0.0
        for piece in filter(None, pieces):
            late = self._random.uniform(0, self.delay_s) if self.delay_s else 0.0
            first_at = max(now + late, self._last_at) + byte_s
            self._last_at = first_at + byte_s * (len(piece) - 1)
            self._way.append((first_at, piece))
            self.waiting_bytes += len(piece)

    def take(self, now: float) -> bytes:
        """The bytes that have arrived by `now`."""
        if not self._way:
            return b""
        out = []
        while self._way and self._way[0][0] <= now:
            at, piece = self._way.popleft()
            if self.baud:
                here = int((now - at) * self.baud / BITS_PER_BYTE) + 1
                if here < len(piece):
                    self._way.appendleft((at + here * BITS_PER_BYTE / self.baud, piece[here:]))
                    piece = piece[:here]
            out.append(piece)
            self.waiting_bytes -= len(piece)
        return b"".join(out)

    def clear(self) -> None:
        """Forgets what is on its way and what was said, as when a cable is pulled."""
        self._said = b""
        self._way.clear()
        self.waiting_bytes = 0
        self._last_at = -math.inf

    def _good_bytes(self) -> float:
        """How many bytes go well before the next fault."""
        return self._random.expovariate(-math.log1p(-self._rate)) // 1 if self._rate else math.inf

    def _spoil(self, data: bytes) -> bytes:
        if self._good >= len(data):  # mostly
            self._good -= len(data)
            self._said = (self._said + data)[-REMEMBERED_LEN_BYTES:]
            return data
        out, at, draw = bytearray(), 0, self._random
        while self._good < len(data) - at:
            well = int(self._good)
            out += data[at : at + well]
            at += well
            [fault] = draw.choices(Faults._fields, self._faults)
            if fault == "drop":
                at += draw.randrange(BURST_MOST_BYTES) if draw.random() < 0.1 else 1
            else:
                if fault == "duplicate":
                    said = self._said + out
                    out += said[-draw.randrange(1, REMEMBERED_LEN_BYTES) :]
                elif fault == "inject":
                    out += draw.choice([*INJECTED, draw.randbytes(30)])
                out.append(data[at] ^ 1 << draw.randrange(8) if fault == "flip" else data[at])
                at += 1
            self._good = self._good_bytes()
        rest = data[at:]
        self._good -= len(rest)
        out += rest
        self._said = (self._said + out)[-REMEMBERED_LEN_BYTES:]
        return bytes(out)
