"""Reading a mirror, from any process: the state, the agents, the events and the link of a device that another process
serves.
"""

from __future__ import annotations

import mmap
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import spec
from ._core import Mirror
from .changes import ChangeStream, FieldWatch
from .checks import core_field
from .clock import now_s
from .closing import Closing
from .errors import InvalidField, MemoryMapError, StaleMirror
from .events import EventStream, Ring, full_time
from .mirror_files import default_dir, is_locked, mirror_names, mirror_path, no_permission
from .sections import (
    AgentInfo,
    decode_agent,
    decode_agent_id,
    decode_core,
    field_value,
)
from .spec import LinkState
from .views import Attributes, SectionViews, add_properties
from .waiting import LONGEST_PAUSE_S

__all__ = [
    "LinkInfo",
    "MirrorView",
    "StateView",
    "attach",
    "mirrors",
]

REPLAY_PORT: Final = "replay:"  # and the recording's file: the port of what is replayed
_STALE_AFTER_S: Final = spec.STALE_AFTER_MS / 1000
_LINK_STATE: Final = spec.MIRROR_FIELDS["link_state"].offset
_LIVE: Final = int(LinkState.LIVE)
_HEARD_MS: Final = spec.MIRROR_FIELDS["heard_ms"].offset
_FLAGS: Final = spec.HEADER_FIELDS["flags"].offset
_LAST_MODIFIED: Final = spec.CORE_FIELDS["last_modified"].offset


@dataclass(frozen=True)
class LinkInfo:
    """What the link knows about its mirror."""

    state: LinkState  # STALE also of an owner that died or hangs, which could not write it
    stale: bool
    age_s: float | None  # since the last valid frame; None: there was none
    device_name: str
    port: str
    session: int
    owner_pid: int
    round_trip_us: int  # 0: not measured yet
    clock_offset_us: int  # the device's clock minus this computer's (clock.py), to within round_trip_us / 2
    frames: int
    deltas: int
    events: int
    events_lost: int
    commands: int
    naks: int
    text_bytes: int
    sessions: int

    @property
    def replayed(self) -> bool:
        """Whether this is no device but a recording that is replayed."""
        return self.port.startswith(REPLAY_PORT)

    @property
    def counters(self) -> dict[str, int]:
        """All counts by name."""
        names = ("frames", "deltas", "events", "events_lost", "commands", "naks", "text_bytes", "sessions")
        return {name: getattr(self, name) for name in names}


class StateView(Attributes):
    """The core block's fields and the hashes as attributes: enums, bool, float and int. Each read is one atomic access,
    however old the mirror.
    """

    __slots__ = ("_core",)

    _core: Callable[[], Mirror]

    def __init__(self, core: Callable[[], Mirror]) -> None:
        """`core` gives the mirror as it is mapped now."""
        object.__setattr__(self, "_core", core)

    def __setattr__(self, name: str, value: Any) -> None:
        """Always refuses: the device is the authority for its state."""
        if name in spec.HASH_ATTRIBUTES:
            raise InvalidField(f"a mirror is read-only: the device's own program sets {name}")
        core_field(name)
        raise InvalidField(f"a mirror is read-only: ask the device with set({name!r}, {value!r})")

    def as_dict(self) -> dict[str, Any]:
        """The core block's fields by name: those of a page (all but `version`, `last_modified` and from
        `genome_timestamp` on) from one instant.
        """
        return decode_core(self._core().read_section(spec.SECTIONS["core"]))


def _field(field: spec.Field) -> Callable[[StateView], Any]:
    offset = field.offset
    return lambda view: view._core().load_field(offset)


def _hash(number: int) -> Callable[[StateView], Any]:
    return lambda view: view._core().load_hash(number)


add_properties(StateView, _field, _hash)


class MirrorView(Closing, SectionViews):
    """A mirror, mapped read-only. Any number of processes may have one; none of them disturbs its owner.

    A view follows its name: when the mirror's file is replaced (another firmware, another device) it maps the new one
    by itself. Reads give the last values even if they are old; `stale` tells. Usable from several threads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Maps the mirror's file. Raises MemoryMapError if it is not there or no mirror of this version."""
        self._path = Path(path)
        self._name = self._path.name[: -len(self._path.suffix)] if self._path.suffix else self._path.name
        self._core, self._file_id = self._map()
        self._state = StateView(self._state_core)

    # --------------------------------------------------------------------------------------------- what one reads

    @property
    def name(self) -> str:
        """The mirror's name."""
        return self._name

    @property
    def path(self) -> Path:
        """The mirror's file."""
        return self._path

    @property
    def state(self) -> StateView:
        """The core block's fields and the hashes, as they are or, on a stale mirror, as they were last."""
        return self._state

    @property
    def agents(self) -> list[AgentInfo]:
        """The registered agents, in the order of their slots."""
        core = self.region()
        found = (decode_agent(core.read_agent(slot), slot) for slot in range(core.agents))
        return [agent for agent in found if agent is not None]

    def events(
        self, timeout_s: float | None = None, from_start: bool = False, ended: Callable[[], bool] = lambda: False
    ) -> EventStream:
        """Events from now on, or from the oldest that is still there on.

        The iterator ends when no event came for `timeout_s` (None: never) or `ended()` says so, has a position of its
        own, and counts in `lost` what was overwritten before it was read.
        """
        return EventStream(self._ring, timeout_s, from_start, ended=ended)

    def changes(
        self,
        *fields: str,
        timeout_s: float | None = None,
        from_start: bool = False,
        ended: Callable[[], bool] = lambda: False,
    ) -> ChangeStream:
        """Changes of these fields of the core block from now on; without any, of all but `version` and
        `last_modified`. With `from_start` their values of now come first, as changes from None.

        Iterate with `for` or `async for`, which end when nothing changed for `timeout_s` (None: never) or `ended()`
        says so; or use `get`. Nobody waits for a reader: what a slow one gets of a field is the latest value, and
        how many versions it can have missed of it (Change.passed_over). A value that went and came back between two
        looks, which are at most 10 ms apart while the reader waits, is no change. Raises InvalidField, InvalidValue.
        """
        watch = FieldWatch(self.region, lambda: self._name, fields, from_start)
        return ChangeStream(lambda: (watch,), timeout_s, ended)

    @property
    def unix_time(self) -> bool:
        """Whether the device's times are Unix milliseconds, as they are once a host that knows the time was connected;
        else they are milliseconds since the device's start.
        """
        return _has_unix_time(self.region())

    @property
    def link(self) -> LinkInfo:
        """What the link knows about the mirror, at this instant."""
        core = self.region()
        values: dict[str, Any] = {}
        for name, field in spec.MIRROR_FIELDS.items():
            if field.type == "bytes":
                values[name] = core.trailer_bytes(field.offset, field.size).rstrip(b"\0").decode("utf-8", "replace")
            else:
                values[name] = (core.trailer_u32 if field.size == 4 else core.trailer_u64)(field.offset)
        age_s = now_s() - values["heard_ms"] / 1000 if values["heard_ms"] else None
        values["clock_offset_us"] -= values["clock_offset_us"] >> 63 << 64  # signed
        for unused in ("magic", "mirror_version", "heard_ms", "publications"):
            del values[unused]
        state = field_value(spec.MIRROR_FIELDS["link_state"], values.pop("link_state"))
        if state == LinkState.LIVE and _too_old(age_s):
            state = LinkState.STALE
        shown_s = None if age_s is None else max(0.0, age_s)
        return LinkInfo(state=state, stale=state != LinkState.LIVE, age_s=shown_s, **values)

    @property
    def stale(self) -> bool:
        """Whether the values may be old: the link is not live, nothing was heard for stale_after_ms, or its owner is
        gone.
        """
        return _is_stale(self.region())

    @property
    def is_served(self) -> bool:
        """Whether a living process keeps this mirror, live or not."""
        return is_locked(self._path.with_suffix(".lock"))

    def require_live(self) -> None:
        """Raises StaleMirror, which says why, if the mirror is stale."""
        link = self.link
        if not link.stale:
            return
        age = "never heard anything" if link.age_s is None else f"last heard {link.age_s:.1f} s ago"
        died = link.state == LinkState.STALE and not self.is_served
        why = f"its owner (process {link.owner_pid}) has died" if died else f"its link is {link.state.name}"
        raise StaleMirror(f"the mirror {self._name} is stale: {why}, {age}")

    def wait_live(self, timeout_s: float | None = None) -> None:
        """Waits until the mirror is not stale.

        Raises StaleMirror if it still is after `timeout_s` (None: waits for ever).
        """
        deadline = None if timeout_s is None else now_s() + timeout_s
        while self.stale:
            if deadline is not None and now_s() >= deadline:
                self.require_live()
            time.sleep(LONGEST_PAUSE_S)

    # ------------------------------------------------------------------------------------------------- the mapping

    def close(self) -> None:
        """Unmaps the mirror. Every later access raises RegionClosed."""
        self._core.close()

    def __repr__(self) -> str:
        """Name and file."""
        return f"<MirrorView {self._name} at {self._path}>"

    def _map(self) -> tuple[Mirror, tuple[int, int]]:
        try:
            # Before it is opened: opening a serial port can reset its board, opening a pipe can wait for ever.
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise MemoryMapError(f"{self._path} is no mirror: it is no regular file")
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise MemoryMapError(_not_there(self._path, error)) from None
        try:
            found = os.fstat(fd)
            core = Mirror(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise MemoryMapError(
                f"{self._path} is no mirror of this version (schema 0x{spec.SCHEMA_HASH:08x}, mirror version "
                f"{spec.MIRROR_VERSION}): {error}"
            ) from None
        finally:
            os.close(fd)
        return core, (found.st_dev, found.st_ino)

    def _section(self, name: str) -> bytes:
        return self.region().read_section(spec.SECTIONS[name])

    def _state_core(self) -> Mirror:
        """As `region`, but for reads that must be cheap: who replaces a mirror's file closes the old one first."""
        core = self._core
        return core if core.closed or core.trailer_u32(_LINK_STATE) == _LIVE else self.region()

    def _ring(self) -> Ring:
        core = self.region()
        agent_id, time_ms = partial(_agent_id, core), partial(_full_time, core)
        return Ring(core, core.events_head, core.events_capacity, core.read_event, agent_id, time_ms)

    def region(self) -> Mirror:
        """The memory as it is mapped, after a look for a new file if this one is not live."""
        core = self._core
        if core.closed or not _is_stale(core):
            return core
        try:
            found = os.stat(self._path)
            if (found.st_dev, found.st_ino) == self._file_id:
                return core
            # The old mapping goes with its last reference: another thread may be reading it.
            self._core, self._file_id = self._map()
        except (OSError, MemoryMapError):
            return core  # nothing better is there
        return self._core


def _agent_id(core: Mirror, handle: int) -> str | None:
    """Id of the agent that has or had this handle, None where the mirror does not know it."""
    slot = handle & 0xFFFF
    return decode_agent_id(core.read_agent(slot), handle) if slot < core.agents else None


def _has_unix_time(core: Mirror) -> bool:
    return bool(int.from_bytes(core.read_page(0)[_FLAGS : _FLAGS + 4], "little") & spec.FLAG_UNIX_TIME)


def _full_time(core: Mirror, low: int) -> int:
    last = int(core.load_field(_LAST_MODIFIED))
    return full_time(low, last or (time.time_ns() // 1_000_000 if _has_unix_time(core) else 0))


def _too_old(age_s: float | None) -> bool:
    # Below 0: written before this machine started, whose clock began again.
    return age_s is None or not 0 <= age_s <= _STALE_AFTER_S


def _is_stale(core: Mirror) -> bool:
    if core.trailer_u32(_LINK_STATE) != _LIVE:
        return True
    return _too_old(now_s() - core.trailer_u64(_HEARD_MS) / 1000)


def _not_there(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError) and not os.access(path.parent, os.R_OK | os.X_OK):
        return no_permission(path.parent)
    if not isinstance(error, FileNotFoundError):
        return f"the mirror {path} cannot be opened: {error.strerror}"
    there = mirror_names(path.parent)
    return f"there is no mirror {path}; " + (
        f"there are {', '.join(there)}" if there else "none is there at all: connect a device first"
    )


def attach(name_or_path: str | os.PathLike[str], *, mirror_dir: str | os.PathLike[str] | None = None) -> MirrorView:
    """Maps a mirror for reading, by its name or its file's path.

    `mirror_dir`: where names are looked up, by default $FEAGI_STATE_DIR or the user's runtime directory. Raises
    MemoryMapError.
    """
    text = os.fspath(name_or_path)
    is_path = os.sep in text or not isinstance(name_or_path, str)
    return MirrorView(text if is_path else mirror_path(text, mirror_dir or default_dir()))


def mirrors(mirror_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the mirrors that are there, live or not: what `attach` takes.

    Raises MemoryMapError if the directory may not be read.
    """
    return mirror_names(mirror_dir)


def same_port(one: str, other: str) -> bool:
    """Whether two names are of one serial port: links lead to it."""
    if one == other:
        return True
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


def server_of(port: str, mirror_dir: str | os.PathLike[str] | None = None) -> MirrorView | None:
    """The mirror that a living process keeps of the device on `port`, if one does. To be closed."""
    for name in mirror_names(mirror_dir):
        try:
            view = attach(name, mirror_dir=mirror_dir)
        except MemoryMapError:
            continue
        mirrored = view.link.port
        if mirrored and same_port(mirrored, port) and view.is_served:
            return view
        view.close()
    return None
