"""Atomic access to a mirror's memory, by the same C core as on a board. Offsets come from spec.py.

Reads never wait for the mirror's owner and never see half of a page's update. Everything here holds the interpreter's
lock and takes well under a millisecond. A call after `close` raises ValueError; one that writes through a read-only
buffer, TypeError.
"""

from __future__ import annotations

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
    def load_field(self, offset: int, /) -> int | float | bool:
        """The core field at this offset of the core block: int, bool, or float for an f32.

        Raises IndexError if there is none.
        """
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
