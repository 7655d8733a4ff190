"""Atomic access to a mirror's memory, by the same C core as on a board. Offsets come from spec.py.

Reads never wait for the mirror's owner and never see half of a page's update. Everything here holds the interpreter's
lock and takes well under a millisecond, but for waiting: for a process that stands still with a region's lock, other
threads run meanwhile. A call after `close` raises RegionClosed; one that writes through a read-only
buffer, InvalidOperation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Buffer = bytes | bytearray | memoryview | Any  # anything with the buffer protocol: an mmap

SCHEMA_HASH: int
HEADER_LEN: int  # bytes
MIRROR_VERSION: int

def mirror_len(region_len: int, /) -> int:
    """Bytes that the mirror of a region of `region_len` bytes takes. Raises ValueError if that is too much."""

def region_shape(header: Buffer, /) -> tuple[int, int]:
    """(length in bytes, pages) of the region that begins with this header.

    Raises ValueError if it is none of this layout.
    """

class Mirror:
    """A mirror over `buffer`, which it holds until `close`. Writing is for the one owner, reading for anybody.

    With `create`, a region's header or a whole region, it is made anew, with the events section empty; otherwise it
    must be there and is checked, so that nothing in it can lead an access outside of the buffer. Raises ValueError
    for memory that is too short, not aligned to 8 bytes, or of another layout; TypeError if `create` is given and the
    buffer is read-only.
    """

    def __init__(self, buffer: Buffer, create: Buffer | None = None) -> None: ...
    @property
    def pages(self) -> int:
        """Pages of the region."""
    @property
    def region_len(self) -> int:
        """Bytes of the region."""
    @property
    def agents(self) -> int:
        """Slots of the agent table."""
    @property
    def agent_len(self) -> int:
        """Bytes of a slot of the agent table."""
    @property
    def events_capacity(self) -> int:
        """Events that the ring keeps."""
    @property
    def events_head(self) -> int:
        """Position that the next event will get, 0..2^32-1."""
    @property
    def writable(self) -> bool:
        """Whether the buffer may be written."""
    @property
    def closed(self) -> bool:
        """Whether the buffer was given back."""
    def close(self) -> None:
        """Gives the buffer back, so that an mmap can be closed."""
    def take_over(self) -> None:
        """For a new owner: makes every page whole, whatever the last owner was doing when it died. Owner only."""
    def load_field(self, offset: int, /) -> Any:
        """The core field at this offset of the core block: int, bool, float for an f32, or what `set_enums` said.

        Raises IndexError if there is none.
        """
    def load_hash(self, index: int, /) -> int:
        """A hash, in the order of spec.HASHES_FIELDS. Raises IndexError if there is none."""
    def trailer_u32(self, offset: int, /) -> int:
        """A u32 of the trailer."""
    def trailer_u64(self, offset: int, /) -> int:
        """A u64 of the trailer."""
    def trailer_bytes(self, offset: int, size: int, /) -> bytes:
        """A text of the trailer. Not atomic: these are written before anybody can map the mirror."""
    def set_trailer_u32(self, offset: int, value: int, /) -> None:
        """Stores a u32 in the trailer. Owner only."""
    def set_trailer_u64(self, offset: int, /, *values: int) -> None:
        """Stores u64s in the trailer, one after the other from `offset` on. Owner only."""
    def set_trailer_bytes(self, offset: int, data: Buffer, /) -> None:
        """Stores a text in the trailer, before anybody else maps the mirror. Owner only."""
    def read_page(self, page: int, /) -> bytes:
        """A page's whole version, 0 <= page < pages."""
    def page_version(self, page: int, /) -> int:
        """How often a page was published, 0..2^31-1 and around: reads between two equal answers are of one version."""
    def page_of(self, offset: int, /) -> int:
        """The page that holds this byte of the region. Raises IndexError where no page does."""
    def read_agent(self, slot: int, /) -> bytes:
        """A slot of the agent table, all of one version, 0 <= slot < agents."""
    def read_section(self, number: int, /) -> bytes:
        """A section (spec.SECTIONS), its head first: every page whole, though not all from one instant.

        An entry that lies on one page is of one version; for agents see read_agent. Raises IndexError for a number
        that no section has, ValueError for the events, which are on no page.
        """
    def read_region(self) -> bytes:
        """A copy of the region: every page whole, though not all from one instant; the events section is zero."""
    def publish(self, items: tuple[Any, ...], start: int = 0, /) -> tuple[int, ...]:
        """Applies a delta: word, bytes, word, bytes... from items[start] on. Every page in it is published once.
        Owner only.

        Returns the pages. Raises ValueError without any change if a run of words is not within one page, the runs of
        a page do not rise or do not follow each other, or the header would say that the sections lie elsewhere.
        """
    def publish_page(self, page: int, data: Buffer, /) -> None:
        """Publishes a whole page. Raises ValueError, without a change, for a wrong page or length. Owner only."""
    def digest(self) -> int:
        """CRC-32 of all pages, as the link's DIGEST gives it for the device's region.

        Owner only: between publications.
        """
    def push_event(self, kind: int, arg: int, time_ms: int, /) -> None:
        """Adds an event to the ring, over the oldest if it is full. Owner only."""
    def read_event(self, position: int, /) -> tuple[int, int, int] | int | None:
        """(kind, arg, time_ms) of the event at `position`; None if it is not there yet; or how many positions further
        to go on, since this event was overwritten."""

class SharedRegion:
    """A shared region over `buffer` (an mmap), which it holds until `close`. Any thread of any process may use one.

    With `create` = (profile's number, boot id, process namespace) it is made anew; otherwise it must be there and is
    checked, so that nothing in it can lead an access outside of the buffer. Raises ValueError for memory that is too
    short, not aligned to 64 bytes, or of another layout; TypeError if `create` is given and the buffer is read-only.

    The core block's fields and the hashes are attributes: int, bool, float, or what `set_enums` said. Setting one that
    is not the application's, or to a value that does not fit, raises what `set_errors` gave, called with (status, name,
    value). Methods that return a status give 0 or more, or a negative number of spec.ERRORS.

    What begins with no underscore is StateManager's too. The rest is for the classes over this one, which check
    arguments.

    Calls that write raise InvalidOperation if the buffer is read-only; all raise RegionClosed after `close`.
    """

    def __init__(
        self, buffer: Buffer, create: tuple[int, int, int] | None = None, cached_clock: bool = False
    ) -> None: ...
    def close(self) -> None:
        """Gives the buffer back. No other thread may be in a call; raises InvalidOperation where one waits in it."""
    @property
    def closed(self) -> bool:
        """Whether it was closed, or never made."""
    @property
    def writable(self) -> bool:
        """Whether it may be written."""
    def tick(self, now_ms: int | None = None, /) -> None:
        """With `cached_clock`: sets the clock to `now_ms` [ms since the Unix epoch], or to the system's.

        Any thread. Raises InvalidValue.
        """
    def add(self, field: str, amount: int, /) -> int:
        """Adds an amount to the counter of this name, which stays at its maximum. Returns the value after it.

        Any thread of any process. Raises InvalidField, InvalidOperation for a field that is no counter, InvalidValue.
        """
    def subtract(self, field: str, amount: int, /) -> int:
        """Subtracts an amount from the counter of this name, which stays at 0. Otherwise as add."""
    def heartbeat(self, agent: str | bytes | int, /) -> None:
        """Sets the last_seen of the agent with this id, or this handle, to now. By the handle no table is searched.

        Any thread of any process. Raises AgentNotFound, also where the handle's agent was deregistered and another one
        has its slot; InvalidValue for what is neither.
        """
    @property
    def _region_len(self) -> int:
        """Bytes of the region."""
    @property
    def _image_len(self) -> int:
        """Bytes of the region up to its events: what a snapshot has."""
    @property
    def _pid_namespace(self) -> int:
        """What the owners' process numbers are relative to; 0: unknown."""
    @property
    def _agent_len(self) -> int:
        """Bytes of a slot of the agent table."""
    @property
    def _events_capacity(self) -> int:
        """Events that the ring keeps."""
    @property
    def _events_head(self) -> int:
        """Position that the next event will get, 0..2^32-1."""
    def _begin_update(self) -> None:
        """From now on this thread's writes of fields and hashes through this object are kept back, and its reads see
        them. Raises InvalidOperation if an update is open."""
    def _end_update(self, commit: bool, /) -> None:
        """Makes what was kept back as one, or forgets it. Raises what `set_errors` gave if the region is held."""
    def _register(self, agent_id: bytes, agent_type: int, metadata: bytes, /) -> int:
        """The new agent's handle, or a negative status."""
    def _deregister(self, agent_id: bytes, /) -> int:
        """A status."""
    def _find_agent(self, agent_id: bytes, /) -> int:
        """The agent's slot, or a negative status."""
    def _read_agent(self, slot: int, /) -> bytes | None:
        """The slot's bytes, all of one registered agent; None if it has none."""
    def _evict(self, older_than_ms: int, /) -> int:
        """Deregisters the agents that were not seen for longer. How many, or a negative status."""
    def _try_lock(self, area: int, owner: int, /) -> int:
        """Locks a cortical area. A status."""
    def _unlock(self, area: int, owner: int, /) -> int:
        """Unlocks it. A status."""
    def _take_over(self, area: int, old: int, new: int, /) -> int:
        """Gives a lock from an owner that is gone to another. A status."""
    def _lock_owner(self, area: int, /) -> int:
        """The area's owner, 0 if it is not locked."""
    def _get_window(self, area: int, /) -> int:
        """The area's FCL window, or the default."""
    def _set_window(self, area: int, window: int, /) -> int:
        """Gives an area a window of its own. A status."""
    def _remove_window(self, area: int, /) -> bool:
        """Whether the area had a window of its own."""
    def _set_default_window(self, window: int, /) -> None:
        """Sets the default."""
    def _init_stats(self, area_id: bytes, /) -> int:
        """The area's slot, with all counts 0, or a negative status."""
    def _find_stats(self, area_id: bytes, /) -> int:
        """The area's slot, or a negative status."""
    def _update_stats(self, area_id: bytes, /, *changes: int) -> int:
        """Changes the area's counts together: for neurons, incoming and outgoing synapses in turn what to do (0 keep,
        1 set, 2 add, 3 subtract) and a u32. A status."""
    def _emit(self, kind: int, arg: int, /) -> int:
        """Adds an event. A status."""
    def _read_event(self, position: int, /) -> tuple[int, int, int] | int | None:
        """(kind, arg, time_ms) of the event at `position`; None if it is not there yet; or how many positions further
        to go on, since this event was overwritten."""
    def _snapshot(self, start: int, len_bytes: int, /) -> bytes:
        """Bytes of the region as they were at one instant, never with half of an update. Multiples of 8, below
        image_len. Raises what `set_errors` gave if the region is written without a pause (read-only buffers only)."""
    def _section(self, number: int, /) -> tuple[int, int]:
        """(offset, length in bytes) of a section (spec.SECTIONS), its head included."""
    def _restore(self, image: Buffer, /) -> int:
        """Makes the region's fields, hashes, agents, windows and statistics those of another region's first image_len
        bytes, which `check_image` found good. A status."""

def set_enums(enums: dict[str, tuple[Any, ...]], /) -> None:
    """Says what the values of fields are, by the field's name and then by number. Once, before any SharedRegion."""

def set_errors(make: Callable[[int, str, Any], Exception], /) -> None:
    """Says how a status becomes an exception."""

def shared_len(profile: int, /) -> int:
    """Bytes of the file of a shared region of this profile. Raises ValueError for no profile."""

def process_id() -> int:
    """Names this process among all that this machine runs, as the owner of locks: 2^63 or more, the low 16 bits 0."""

def is_gone(owner: int, /) -> bool:
    """Whether the owner is a process, by `process_id`, that does not run any more."""

def check_image(image: Buffer, profile: int = 0, /) -> str | None:
    """What is wrong with the first image_len bytes of a region, None if nothing is: nothing in them is out of its
    range, texts are UTF-8, and the registry is whole. `profile`: that it must have, 0 for any."""
