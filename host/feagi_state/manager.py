"""FEAGI's state manager on a PC: one region, private to a process or shared between processes through a file."""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

from . import spec
from ._core import SharedRegion, set_enums, set_errors, shared_len
from .checks import U32_MAX, file_mode, no_attribute, whole
from .closing import Closing
from .core_fields import CoreFields
from .errors import (
    STATUS,
    InvalidField,
    InvalidOperation,
    InvalidValue,
    MemoryMapError,
    PersistenceError,
    error_from_status,
)
from .events import EventStream, Ring, full_time
from .manager_agents import AgentRegistry, no_agent
from .manager_areas import AreaTables, owner_number
from .persistence import read_image
from .region_files import anonymous, make_file, map_file, path_text, pid_namespace, profile_name, profile_named
from .sections import decode_core, decode_hashes
from .snapshot import Snapshot
from .spec import BurstEngineState, GenomeState

__all__ = ["StateManager"]

_PROFILE: Final = spec.HEADER_FIELDS["profile"].offset
_PLACES: Final = {name: number for name, number in spec.SECTIONS.items() if name != "events"}
# Core block and hashes lie one behind the other.
_HEALTH: Final = (spec.HEADER_LEN_BYTES, spec.CORE_LEN_BYTES + spec.HASHES_LEN_BYTES)
_FATIGUE: Final = ("fatigue_index", "fatigue_active", "regular_neuron_util", "memory_neuron_util", "synapse_util")
_ATTRIBUTES: Final = {**spec.CORE_FIELDS, **spec.HASH_ATTRIBUTES}
_LOCK: Final = spec.SHARED_FIELDS["lock"].offset


def _error(status: int, name: str | None, value: Any) -> Exception:
    """What the core's status means, for the field or hash called `name` or the agent `value`."""
    field = _ATTRIBUTES.get(name) if isinstance(name, str) else None
    if status == STATUS["NOT_FOUND"]:
        return no_agent(value)
    if status == STATUS["FIELD"]:
        public = [other for other in dir(StateManager) if not other.startswith("_")]
        return InvalidField(f"{name} cannot be set") if name in public else no_attribute(name, [*_ATTRIBUTES, *public])
    if status == STATUS["READ_ONLY"]:
        return InvalidField(f"{name} follows from what is written elsewhere and cannot be set")
    if status == STATUS["OPERATION"]:
        return InvalidOperation(f"{name} is no counter: it takes no add or subtract")
    if status == STATUS["RANGE"] and field is not None:
        if field.type == "bool":
            return InvalidValue(f"{name} is True or False, not {value!r}")
        if field.enum is not None:
            members = ", ".join(f"{member.name} {member.value}" for member in field.enum)
            return InvalidValue(f"{name} is one of {members}, not {value!r}")
        if field.type == "f32":
            return InvalidValue(f"{name} is a number that 32 bits hold, not {value!r}")
        return InvalidValue(f"{name} is an int from 0 to {field.maximum}, not {value!r}")
    return error_from_status(status, name or "the region")


set_enums({name: tuple(field.enum) for name, field in spec.CORE_FIELDS.items() if field.enum is not None})
set_errors(_error)


class StateManager(AgentRegistry, AreaTables, CoreFields, Closing):
    """The whole state of a FEAGI node: the core block's fields and the hashes as attributes, and every section.

        state = StateManager.create("/dev/shm/feagi-state")
        state.burst_engine_state = BurstEngineState.RUNNING
        state.add_neuron_count(5)

    Any number of threads and processes read and write one region at once; a process that is killed at any instant
    leaves it whole, with every write that it completed. A read is one load, a write one atomic store, which also adds 1
    to `version` and sets `last_modified` [ms since the Unix epoch], true to 10 ms. A counter stays at its maximum when
    it is added to, and at 0 when it is subtracted from; a percentage above 100 is stored as 100. Changes of
    burst_engine_state and genome_state, and of the registry, emit events.

    All that goes wrong raises a StateError. A name that is no field is InvalidField, a value that does not fit
    InvalidValue, writing through a read-only StateManager InvalidOperation, any access after `close` RegionClosed.
    """

    __slots__ = (
        "__weakref__",
        "_cached_clock",
        "_memory",
        "_number",
        "_path",
        "_private",
        "_profile",
        "_update_lock",
        "_updating",
    )

    _memory: mmap.mmap
    _path: str | None
    _profile: str
    _cached_clock: bool
    _update_lock: threading.Lock
    _updating: int  # thread that has an update open; 0: none

    # ---------------------------------------------------------------------------------------- making and mapping

    def __init__(
        self, profile: str = "host", *, fcl_window_default: int = spec.FCL_WINDOW_DEFAULT, cached_clock: bool = False
    ) -> None:
        """Makes a region of this process alone. A process that it forks gets a copy, as of all its memory.

        `profile`: "tiny", "micro" or "host", as LAYOUT.md has them. `fcl_window_default`: 0 to 2^32-1.
        `cached_clock`: times are those of the last `tick`, which is cheaper than asking the system at every write.
        Raises InvalidValue, MemoryMapError.
        """
        self._make(anonymous(shared_len(profile_named(profile).id)), profile, fcl_window_default, cached_clock, None)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        profile: str = "host",
        mode: int = 0o600,
        fcl_window_default: int = spec.FCL_WINDOW_DEFAULT,
        cached_clock: bool = False,
        exist_ok: bool = False,
    ) -> StateManager:
        """Makes a region in a new file, which other processes attach to. In /dev/shm it is memory alone.

        The file is for its owner alone unless `mode` says otherwise: exactly these permissions, whatever the umask.
        With `exist_ok` a region of this profile that is there is attached to instead. For the rest see StateManager().
        Raises MemoryMapError if there is a file, or the system refuses to make one; InvalidValue.
        """
        text = path_text(path)
        len_bytes = shared_len(profile_named(profile).id)
        mode = file_mode(mode)
        self = cls.__new__(cls)
        if not (exist_ok and os.path.lexists(text)):
            try:
                make_file(
                    text,
                    len_bytes,
                    mode,
                    lambda memory: self._make(memory, profile, fcl_window_default, cached_clock, text),
                )
                return self
            except FileExistsError:
                if not exist_ok:
                    raise MemoryMapError(
                        f"there is a file {text} already: attach(path) maps a region, create(path, exist_ok=True) "
                        "makes one only where there is none"
                    ) from None
        there = cls.attach(text, cached_clock=cached_clock)
        if there.profile != profile:
            found = there.profile
            there.close()
            raise MemoryMapError(f"{text} is a region of profile {found!r}, not {profile!r}")
        return there

    @classmethod
    def attach(
        cls, path: str | os.PathLike[str], readonly: bool = False, *, cached_clock: bool = False
    ) -> StateManager:
        """Maps the region in a file, which other processes may have mapped too.

        With `readonly` it is mapped read-only, so that nothing can change it through this object. No content of the
        file leads an access outside of it; but nobody may shorten a file that is mapped, which ends who reads it.
        Processes that write one region must know each other by number: a container with process numbers of its own
        (its own pid namespace) may only read the others' regions.

        Raises MemoryMapError, which says what the file is instead, for whatever is no region of this version.
        """
        text = path_text(path)
        self = cls.__new__(cls)
        memory = map_file(text, readonly)
        try:
            self._open(memory, None, cached_clock, text)
        except ValueError as error:
            raise MemoryMapError(f"{text} is damaged: {error}") from None
        ours, theirs = pid_namespace(), self._pid_namespace
        if not readonly and ours and theirs and ours != theirs:
            self.close()
            raise MemoryMapError(
                f"{text} was made in another process namespace ({theirs}, this is {ours}), where this process has "
                "another number: attach with readonly=True"
            )
        return self

    @staticmethod
    def instance() -> StateManager:
        """This process's one StateManager, private, of profile "host": the same object at every call, from any thread.

        A forked process has its own, which starts as a copy. After its `close` the next call makes a new one.
        """
        return _singleton()

    def close(self) -> None:
        """Unmaps the region; a file stays. May be called more than once. No other thread may be using this object.

        Raises InvalidOperation if another thread waits in it for another process.
        """
        super().close()
        if hasattr(self, "_memory"):
            self._memory.close()

    def __dir__(self) -> list[str]:
        """Fields and hashes too."""
        return [*super().__dir__(), *_ATTRIBUTES]

    def __repr__(self) -> str:
        """Profile, file, and what cannot be done with it."""
        if not hasattr(self, "_profile"):
            return "<StateManager, not made>"
        where = f" at {self._path}" if self._path else ", private"
        how = ", closed" if self.closed else "" if self.writable else ", read-only"
        return f"<StateManager of profile {self._profile}{where}{how}>"

    def __reduce__(self) -> NoReturn:
        """Always refuses: memory is not sent, its file's path is."""
        raise InvalidOperation("a StateManager cannot be copied or sent: send its path and attach there, or a snapshot")

    @property
    def path(self) -> Path | None:
        """The region's file; None of a private one."""
        return Path(self._path) if self._path else None

    @property
    def profile(self) -> str:
        """Name of the region's profile."""
        return self._profile

    def _make(
        self, memory: mmap.mmap, profile: str, fcl_window_default: int, cached_clock: bool, path: str | None
    ) -> None:
        window = whole(fcl_window_default, "FCL window", 0, U32_MAX)
        boot_id = int.from_bytes(os.urandom(4), "little") or 1
        self._open(memory, (profile_named(profile).id, boot_id, pid_namespace()), cached_clock, path)
        self._set_default_window(window)

    def _open(
        self, memory: mmap.mmap, create: tuple[int, int, int] | None, cached_clock: bool, path: str | None
    ) -> None:
        SharedRegion.__init__(self, memory, create, cached_clock)
        self._memory = memory
        self._path = os.path.abspath(path) if path else None
        self._private = path is None
        self._profile = profile_name(memory[_PROFILE])
        self._cached_clock = cached_clock
        self._number = owner_number()
        self._update_lock = threading.Lock()
        self._updating = 0
        _managers.add(self)

    def _after_fork(self) -> None:
        """In a forked process, in which none of the other threads is."""
        if self.closed:
            return
        if self._updating != threading.get_ident():
            self._update_lock = threading.Lock()
            self._updating = 0
            SharedRegion.__init__(self, self._memory, None, self._cached_clock)
        if self._private:
            # Nobody is left who could give the copy's lock back. What its holder had committed, the next one makes.
            struct.pack_into("<Q", self._memory, self._region_len + _LOCK, 0)

    # ------------------------------------------------------------------------------------------ fields and hashes

    @property
    def hashes(self) -> dict[str, int]:
        """What FEAGI's services hash to notice changes: all six as they were at one instant, by name
        (spec.HASHES_FIELDS). Each alone is an attribute, `morphologies_hash` that of "morphologies".
        """
        return decode_hashes(self._snapshot(*self._section(spec.SECTIONS["hashes"])))

    def update(self) -> _Update:
        """Groups writes: `with state.update():` makes all that this thread writes in the block as one, at its end.

        Fields, counters and hashes are grouped, at most 56 writes of them; this thread reads what it has written, all
        others the old values, until the block ends. An exception in the block forgets all writes. Everything else in
        the block (agents, locks, windows, statistics, events) acts at once.

        Updates do not nest. Those of several threads through one object come one after the other: a thread waits for
        another's block, never for another process. Do not await in the block.

        Raises InvalidOperation for an update in an update; RegionBusy, at the end of the block, if another process
        stopped while it held the region: then nothing was written. The 57th write raises CapacityError.
        """
        return _Update(self)

    def create_snapshot(self) -> Snapshot:
        """The whole state but the events, as it is at one instant: never half of an update, be it another process's.

        An update that is just being made may be in it before its count in `version` is. So a snapshot has at least what
        its version says, and a greater version later may bring nothing new.

        Raises RegionBusy if the region is written without a pause, which only happens to a read-only StateManager.
        """
        places = {name: self._section(number) for name, number in _PLACES.items()}
        image = self._snapshot(0, self._image_len)
        return Snapshot(image, time.time_ns() // 1_000_000, places, self._agent_len)

    def health_check(self) -> dict[str, Any]:
        """What FEAGI's `GET /v1/system/health_check` takes from its state manager, under its names and as it is at one
        instant: counts, capacities and readiness; `fatigue` with its five values; the six hashes. About 10 us.
        """
        data = self._snapshot(*_HEALTH)
        core = decode_core(data)
        return {
            "burst_engine": core["burst_engine_state"] == BurstEngineState.RUNNING,
            "connected_agents": core["agent_count"],
            "neuron_count_max": core["neuron_capacity"],
            "synapse_count_max": core["synapse_capacity"],
            "genome_availability": core["genome_state"] in (GenomeState.LOADED, GenomeState.SAVING),
            "brain_readiness": core["brain_readiness"],
            "cortical_area_count": core["cortical_area_count"],
            "neuron_count": core["neuron_count"],
            "regular_neuron_count": core["regular_neuron_count"],
            "memory_neuron_count": core["memory_neuron_count"],
            "synapse_count": core["synapse_count"],
            "genome_timestamp": core["genome_timestamp"],
            "fatigue": {name: core[name] for name in _FATIGUE},
            **dict(zip(spec.HASH_ATTRIBUTES, decode_hashes(data[spec.CORE_LEN_BYTES :]).values())),
        }

    # ----------------------------------------------------------------------------------------------------- events

    def subscribe_events(
        self,
        kinds: Iterable[int] | int | None = None,
        from_start: bool = False,
        timeout_s: float | None = None,
    ) -> EventStream:
        """Events of all processes from now on, or with `from_start` from the oldest that is still there on.

        `kinds`: only these (spec.EventKind, or the application's). Iterate with `for` or `async for`, which end when no
        event came for `timeout_s` (None: never); or use `get`. Every stream has a position of its own and reads all
        events; what was overwritten before it was read is counted in `lost`. Raises InvalidValue for what is no kind
        or timeout.
        """
        return EventStream(self._ring, timeout_s, from_start, kinds=kinds)

    def _ring(self) -> Ring:
        return Ring(self, self._events_head, self._events_capacity, self._read_event, self._agent_id, self._full_time)

    def _full_time(self, low: int) -> int:
        return full_time(low, self.last_modified or time.time_ns() // 1_000_000)

    def emit(self, kind: int, arg: int = 0) -> bool:
        """Emits an event of the application: kind 256 to 65535, arg 0 to 2^32-1. No reader holds it up.

        Always True here; on a board False says that its ring was full. Raises InvalidValue, RegionBusy.
        """
        status = self._emit(
            whole(kind, "kind of the application's events", spec.USER_EVENT_BASE, 0xFFFF),
            whole(arg, "argument of an event", 0, U32_MAX),
        )
        if status < 0:
            raise error_from_status(status, f"event {kind}")
        return True

    # ------------------------------------------------------------------------------------------------ persistence

    def save(self, path: str | os.PathLike[str], mode: int = 0o600) -> None:
        """Saves the state as it is at one instant, without its events, in place of what was saved under this name.

        The file is for its owner alone unless `mode` says otherwise. A crash at any point leaves the old file or the
        new one, whole. Raises PersistenceError; then the old file is there as it was.
        """
        self.create_snapshot().save(path, mode)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, cached_clock: bool = False) -> StateManager:
        """A new private StateManager with a saved state, of the saved region's profile; nothing in it is locked.

        `version` begins again, and handles of agents are new. Raises PersistenceError, which says what is wrong with
        the file.
        """
        image = read_image(path_text(path))
        self = cls(profile_name(image[_PROFILE]), cached_clock=cached_clock)
        self._restore_image(image)
        return self

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Makes the state what was saved, all at once for every reader and snapshot.

        Fields, hashes, agents, windows and statistics are replaced; what changes emits its events. Locks stay: their
        owners live here; `version` goes on. Raises PersistenceError, which says what is wrong with the file,
        CapacityError if the areas of this region's windows leave no room for the saved ones, or RegionBusy; then
        nothing was changed.
        """
        text = path_text(path)
        image = read_image(text)
        saved = profile_name(image[_PROFILE])
        if saved != self._profile:
            raise PersistenceError(f"{text} was saved from a region with profile {saved!r}, not {self._profile!r}")
        self._restore_image(image)

    def _restore_image(self, image: bytes) -> None:
        status = self._restore(image)
        if status < 0:
            raise error_from_status(status, "restore")


class _Update:
    """The context of StateManager.update."""

    __slots__ = ("_state",)

    def __init__(self, state: StateManager) -> None:
        self._state = state

    def __enter__(self) -> StateManager:
        """Begins the update. The StateManager itself."""
        state, me = self._state, threading.get_ident()
        if state._updating == me:
            raise InvalidOperation("this thread has an update open: updates do not nest")
        state._update_lock.acquire()
        try:
            state._begin_update()
            state._updating = me
        except BaseException:
            state._update_lock.release()
            raise
        return state

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Makes the writes, or forgets them after an exception."""
        state = self._state
        try:
            state._end_update(kind is None)
        finally:
            state._updating = 0
            state._update_lock.release()


_managers: Final[weakref.WeakSet[StateManager]] = weakref.WeakSet()
_instance: StateManager | None = None
_instance_lock = threading.Lock()


def _singleton() -> StateManager:
    global _instance
    found = _instance
    if found is not None and not found.closed:
        return found
    with _instance_lock:
        if _instance is None or _instance.closed:
            _instance = StateManager()
        return _instance


def _after_fork() -> None:
    global _instance_lock
    _instance_lock = threading.Lock()
    for manager in list(_managers):
        manager._after_fork()


os.register_at_fork(after_in_child=_after_fork)
