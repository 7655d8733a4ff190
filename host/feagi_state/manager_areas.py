"""What a shared region keeps of cortical areas: locks, FCL windows and statistics."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from . import spec
from ._core import SharedRegion, is_gone, process_id
from .checks import U32_MAX, U64_MAX, cortical_area, text_bytes, whole
from .errors import STATUS, AreaLocked, AreaNotFound, CapacityError, NotLockOwner, error_from_status
from .manager_agents import LOOKS, slots_in_use
from .sections import AreaStats, decode_area_stats, decode_fcl_windows, decode_locked_areas
from .waiting import Patience

__all__ = ["AreaTables", "owner_number"]

_LOCKS: Final = spec.SECTIONS["cortical_locks"]
_WINDOWS: Final = spec.SECTIONS["fcl_windows"]
_STATS: Final = spec.SECTIONS["area_stats"]
_KEEP, _SET, _ADD, _SUBTRACT = range(4)  # what becomes of a count
_PROCESS: Final = 1 << 63  # in an owner that process_id made
_OWNER_MAX: Final = _PROCESS - 1
_NUMBERS: Final = 0xFFFF  # what a process may number its owners with; 0 is none
_numbers: Final = itertools.count()


def owner_number() -> int:
    """The next number of an owner in this process, 1 to 65535; then they come again. Any thread."""
    return next(_numbers) % _NUMBERS + 1


def _shown(owner: int) -> str:
    """An owner as a message names it."""
    return f"process {owner >> 16 & 0xFFFFFF}" if owner & _PROCESS else f"owner {owner}"


class AreaTables(SharedRegion):
    """Locks, FCL windows and statistics of cortical areas. All of it from any thread of any process.

    Areas are numbers, 0 to 2^32-1; in statistics they are texts of 1 to 16 bytes of UTF-8.
    """

    __slots__ = ()

    # Set by StateManager.
    _private: bool  # no other process maps this memory
    _number: int  # of this object among the owners in this process

    # ------------------------------------------------------------------------------------------------------ locks

    def try_lock(self, area: int, owner: int | None = None) -> bool:
        """Locks an area. False if somebody has it, be it the same owner.

        The owner is this StateManager in this process, unless a number is given (1 to 2^63-1; what is above names
        processes). The lock of a process that died is taken over. Raises InvalidValue, or CapacityError: an area that
        was ever locked keeps its place in the table.
        """
        area = cortical_area(area)
        return self._acquire(area, self._owner(owner))

    def unlock(self, area: int, owner: int | None = None) -> None:
        """Unlocks an area. Raises NotLockOwner if it is not locked, or by another owner; InvalidValue."""
        area, owner = cortical_area(area), self._owner(owner)
        if self._unlock(area, owner) < 0:
            held = self._lock_owner(area)
            raise NotLockOwner(
                f"area {area} is locked by {_shown(held)}, not by this owner" if held else f"area {area} is not locked"
            )

    def take_over(self, area: int, old_owner: int, new_owner: int | None = None) -> None:
        """Gives the lock of an owner that is gone to this StateManager, or to another owner (0: to nobody).

        Locks of processes need no such thing: see try_lock. Raises NotLockOwner if `old_owner` does not have the
        lock (any more), InvalidValue.
        """
        area, old_owner = cortical_area(area), whole(old_owner, "owner of a lock", 1, U64_MAX)
        if self._take_over(area, old_owner, self._owner(new_owner) if new_owner != 0 else 0) < 0:
            raise NotLockOwner(f"area {area} is not locked by {_shown(old_owner)}")

    def is_locked(self, area: int) -> bool:
        """Whether a living process, or an owner that is no process, has locked the area. Raises InvalidValue."""
        return self.lock_owner(area) != 0

    def lock_owner(self, area: int) -> int:
        """Who has locked the area, as a snapshot's locked_areas has it; 0: nobody, or only a process that died.

        Raises InvalidValue.
        """
        owner = self._lock_owner(cortical_area(area))
        return 0 if self._is_dead(owner) else owner

    def get_locked_areas(self) -> list[int]:
        """All locked areas in rising order, as they were at one instant, but for those of processes that died."""
        owners = decode_locked_areas(self._snapshot(*self._section(_LOCKS)))
        return sorted(area for area, owner in owners.items() if not self._is_dead(owner))

    @contextmanager
    def lock(self, area: int, timeout_s: float | None = None) -> Iterator[None]:
        """Holds an area's lock for a `with` block, waiting for it up to `timeout_s` (None: for ever).

        The block is an owner of its own: nobody else unlocks it, no other thread and no process that is forked in it.
        Raises AreaLocked if the time is over, InvalidValue, CapacityError.
        """
        area = cortical_area(area)
        owner = process_id() | owner_number()
        patience = Patience(timeout_s)
        try:
            while not self._acquire(area, owner):
                pause_s = patience.next_pause_s()
                if pause_s is None:
                    held = self._lock_owner(area)
                    by = f" by {_shown(held)}" if held else ""
                    raise AreaLocked(f"area {area} is locked{by}, and was for {timeout_s} s")
                time.sleep(pause_s)
            yield
        finally:
            # Ctrl-C may have come between the locking and its answer; and this may be a fork of who locked it.
            if process_id() == owner & ~_NUMBERS and not self.closed:
                self._unlock(area, owner)

    def _owner(self, owner: int | None) -> int:
        return process_id() | self._number if owner is None else whole(owner, "owner of a lock", 1, _OWNER_MAX)

    def _is_dead(self, owner: int) -> bool:
        # Private memory came from whoever forked this process: nobody but this process can unlock anything in it.
        if self._private and owner & _PROCESS:
            return (owner ^ process_id()) > _NUMBERS
        return is_gone(owner)

    def _acquire(self, area: int, owner: int) -> bool:
        while True:
            status = self._try_lock(area, owner)
            if status == 0:
                return True
            if status == STATUS["FULL"]:
                raise self._full(area, "locks", _LOCKS, 0, spec.LOCK_LEN_BYTES)
            if status != STATUS["LOCKED"]:
                raise error_from_status(status, f"area {area}")
            held = self._lock_owner(area)
            if held and not self._is_dead(held):
                return False
            # Unlocked in between, or its owner died: unless somebody else is faster.
            if held and self._take_over(area, held, owner) == 0:
                return True

    def _full(self, area: int, what: str, section: int, head_len: int, entry_len: int) -> CapacityError:
        most = slots_in_use((self._section(section)[1] - head_len) // entry_len)
        return CapacityError(f"area {area}: this region keeps {what} of {most} areas, and these are others")

    # ------------------------------------------------------------------------------------------------ FCL windows

    def get_fcl_window(self, area: int) -> int:
        """The area's FCL window, or the default. Raises InvalidValue."""
        return self._get_window(cortical_area(area))

    def set_fcl_window(self, area: int | None, window: int) -> None:
        """Gives an area a window of its own (0 to 2^32-1), or with None sets the default.

        Raises InvalidValue, or CapacityError: an area that ever had a window keeps its place in the table.
        """
        window = whole(window, "FCL window", 0, U32_MAX)
        if area is None:
            self._set_default_window(window)
            return
        area = cortical_area(area)
        status = self._set_window(area, window)
        if status == STATUS["FULL"]:
            raise self._full(area, "windows", _WINDOWS, spec.WINDOWS_LEN_BYTES, spec.WINDOW_LEN_BYTES)
        if status < 0:
            raise error_from_status(status, f"area {area}")

    def remove_fcl_window(self, area: int) -> bool:
        """Lets the area have the default again. Whether it had a window of its own. Raises InvalidValue."""
        return self._remove_window(cortical_area(area))

    def get_fcl_windows(self) -> dict[int, int]:
        """Window of every area that has one of its own, as they were at one instant."""
        return decode_fcl_windows(self._snapshot(*self._section(_WINDOWS)))

    # ------------------------------------------------------------------------------------------------- statistics

    def init_area_stats(self, area_id: str | bytes) -> None:
        """Keeps statistics of an area from now on, or sets its counts to 0.

        Raises InvalidValue, CapacityError, or RegionBusy.
        """
        status = self._init_stats(_area_id(area_id))
        if status == STATUS["FULL"]:
            most = slots_in_use(self._section(_STATS)[1] // spec.STAT_LEN_BYTES)
            raise CapacityError(f"area {area_id!r}: this region keeps statistics of {most} areas, and these are others")
        if status < 0:
            raise error_from_status(status, f"area {area_id!r}")

    def get_area_stats(self, area_id: str | bytes) -> AreaStats:
        """The area's three counts, as they were at one instant. Raises AreaNotFound, InvalidValue."""
        name = _area_id(area_id)
        for _ in range(LOOKS):
            slot = self._find_stats(name)
            if slot < 0:
                raise _no_stats(area_id)
            at = self._section(_STATS)[0] + slot * spec.STAT_LEN_BYTES
            # A restore in between may have put another area there.
            for found, stats in decode_area_stats(self._snapshot(at, spec.STAT_LEN_BYTES)).items():
                if found.encode() == name:
                    return stats
        raise AreaNotFound(f"area {area_id!r} has other statistics whenever they are looked at: the region is damaged")

    def set_area_stats(
        self,
        area_id: str | bytes,
        neurons: int | None = None,
        incoming: int | None = None,
        outgoing: int | None = None,
    ) -> None:
        """Sets the counts that are given (0 to 2^32-1), all at once. Raises AreaNotFound, InvalidValue, RegionBusy."""
        values = (neurons, incoming, outgoing)
        self._change_stats(
            area_id, ((_KEEP, 0) if value is None else (_SET, whole(value, "count", 0, U32_MAX)) for value in values)
        )

    def change_area_stats(self, area_id: str | bytes, neurons: int = 0, incoming: int = 0, outgoing: int = 0) -> None:
        """Adds to the counts, or subtracts what is negative (-2^32+1 to 2^32-1), all at once: each stays within 0 and
        2^32-1. Raises AreaNotFound, InvalidValue, RegionBusy.
        """
        amounts = (whole(amount, "change of a count", -U32_MAX, U32_MAX) for amount in (neurons, incoming, outgoing))
        self._change_stats(
            area_id, ((_KEEP if not amount else _ADD if amount > 0 else _SUBTRACT, abs(amount)) for amount in amounts)
        )

    def _change_stats(self, area_id: str | bytes, changes: Iterable[tuple[int, int]]) -> None:
        status = self._update_stats(_area_id(area_id), *itertools.chain.from_iterable(changes))
        if status == STATUS["NOT_FOUND"]:
            raise _no_stats(area_id)
        if status < 0:
            raise error_from_status(status, f"area {area_id!r}")

    def get_all_area_stats(self) -> dict[str, AreaStats]:
        """Statistics by the area's id, all as they were at one instant."""
        return decode_area_stats(self._snapshot(*self._section(_STATS)))


def _no_stats(area_id: str | bytes) -> AreaNotFound:
    return AreaNotFound(f"no statistics are kept of area {area_id!r}: init_area_stats begins them")


def _area_id(area_id: str | bytes) -> bytes:
    return text_bytes(area_id, "area id", 1, spec.AREA_ID_LEN_BYTES)
