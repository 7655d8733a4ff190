"""Events of a state, as they are read: each reader has a position of its own, and nobody waits for a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .checks import whole
from .errors import RegionClosed
from .spec import BurstEngineState, EventKind, GenomeState
from .waiting import Stream

__all__ = ["Event", "EventStream"]

_STATES: Final = {
    int(EventKind.BURST_ENGINE_STATE_CHANGED): BurstEngineState,
    int(EventKind.GENOME_STATE_CHANGED): GenomeState,
}
_OF_AGENTS: Final = (int(EventKind.AGENT_REGISTERED), int(EventKind.AGENT_DEREGISTERED))
_KIND_MAX: Final = 0xFFFF


def _kinds(wanted: Iterable[int] | int) -> frozenset[int]:
    several = wanted if isinstance(wanted, Iterable) and not isinstance(wanted, str) else (wanted,)
    return frozenset(whole(kind, "kind of event", 1, _KIND_MAX) for kind in several)


@dataclass(frozen=True)
class Event:
    """One event."""

    kind: int  # spec.EventKind, or the application's from 256 on
    arg: int  # the new state, an agent's handle, or the application's
    time_ms: int  # of the clock of the state's owner, as last_modified; see full_time
    position: int  # in the ring, counted since it was made
    agent_id: str | None = field(default=None, compare=False, repr=False)  # as it was known when the event was read
    _find: Callable[[int], str | None] | None = field(default=None, compare=False, repr=False)

    @property
    def value(self) -> BurstEngineState | GenomeState | str | int | None:
        """What `arg` stands for: the new state, the agent's id, or for the application's kinds `arg` itself.

        None for an agent whose slot another one has had since, so that nobody knows its id any more.
        """
        states = _STATES.get(self.kind)
        if states is not None:
            try:
                return states(self.arg)
            except ValueError:
                return states(0)
        if self.kind not in _OF_AGENTS:
            return self.arg
        if self.agent_id is None and self._find is not None:
            # A mirror may get the event before it gets the agent.
            with suppress(RegionClosed):
                return self._find(self.arg)
        return self.agent_id

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes, which cannot look the agent up."""
        value = self.value if self.kind in _OF_AGENTS else None
        return Event, (self.kind, self.arg, self.time_ms, self.position, value)


class Ring(NamedTuple):
    """A region as events are read from it."""

    region: object  # tells one ring from another
    head: int  # position that the next event will get
    capacity: int  # events that are kept
    read: Callable[[int], tuple[int, int, int] | int | None]  # see _core's read_event
    agent_id: Callable[[int], str | None]  # of a handle, as far as it is known
    full_time: Callable[[int], int]  # of the 32 bits of a time that an event has


def full_time(low: int, near_ms: int) -> int:
    """The time [ms] next to `near_ms` that has these low 32 bits: right if the two are less than 24 days apart."""
    return max(0, near_ms + (low - near_ms + 0x80000000) % 0x100000000 - 0x80000000)


class EventStream(Stream[Event]):
    """Events from a position of its own on, for `for` and `async for`; see Stream."""

    def __init__(
        self,
        ring: Callable[[], Ring],
        timeout_s: float | None,
        from_start: bool,
        *,
        kinds: Iterable[int] | int | None = None,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        """See StateManager.subscribe_events and MirrorView.events, which make these.

        `ring` gives the region as it is mapped now; `ended`: whether no event can come any more. Raises InvalidValue
        for what is no kind or timeout.
        """
        super().__init__(timeout_s, ended)
        self._find_ring = ring
        self._kinds = None if kinds is None else _kinds(kinds)
        self._ring = ring()
        self.lost = 0  # events, of whatever kind, that were overwritten before they were read here
        head = self._ring.head
        self.position = (head - min(head, self._ring.capacity)) if from_start else head

    def _next(self) -> Event | None:
        while True:
            ring = self._ring
            found = ring.read(self.position)
            if isinstance(found, tuple):
                position, self.position = self.position, (self.position + 1) & 0xFFFFFFFF
                if self._kinds is not None and found[0] not in self._kinds:
                    continue
                return self._event(ring, found, position)
            if found is not None:
                self.lost += found
                self.position = (self.position + found) & 0xFFFFFFFF
                continue
            current = self._find_ring()
            if current.region is ring.region:
                return None
            # The file was replaced, and this one is read to its end: the new one's events are all younger.
            self._ring, self.position = current, 0

    def _event(self, ring: Ring, found: tuple[int, int, int], position: int) -> Event:
        kind, arg, low = found
        time_ms = ring.full_time(low)
        if kind not in _OF_AGENTS:
            return Event(kind, arg, time_ms, position)
        return Event(kind, arg, time_ms, position, ring.agent_id(arg), ring.agent_id)
