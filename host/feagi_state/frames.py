"""Frames: bytes on the wire to items and back.

LINK.md and frames.cddl say what is valid; spec.SHAPES is generated from them.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple, Union

import cbor2
from cobs import cobs

from . import spec
from .errors import SerializationError
from .spec import Kind

__all__ = [
    "FROM_DEVICE",
    "Deframer",
    "Frame",
    "Text",
    "decode",
    "encode",
    "encode_body",
    "may_be_device_frame",
    "seal",
    "seal_text",
]

Value = Union[int, bytes, str]

_CRC_LEN: Final = 4
_CRC_RESIDUE: Final = 0x2144DF1C  # CRC-32 of anything with its CRC-32 behind it, wherever that started
_HEAD_LEN: Final = 2  # kind, seq
_SEGMENT_MAX: Final = spec.FRAME_LEN_BYTES + 1  # COBS adds one byte
_SEGMENT_MIN: Final = _HEAD_LEN + _CRC_LEN + 1
_INT_MIN: Final = -(2**64)
_INT_MAX: Final = 2**64 - 1
# These two belong to no session yet: their CRC starts with 0.
_SESSIONLESS: Final = frozenset((int(Kind.HELLO), int(Kind.HELLO_ACK)))
_HELLO: Final = bytes((Kind.HELLO,))
#: Kinds that a device sends.
FROM_DEVICE: Final = frozenset(
    (Kind.HELLO, Kind.KEEPALIVE, Kind.DELTA, Kind.REPAIR, Kind.EVENT, Kind.REPLY, Kind.PONG, Kind.LOG)
)
_TEXT_BEGIN: Final = bytes((spec.TEXT_BEGIN,))
_TEXT_END: Final = bytes((spec.TEXT_END,))
# For `_one_run`: words by their encoding, the length of an encoding by its first byte (0: none of these), and the heads
# of byte strings of 1 to 23 bytes.
_DELTA: Final = int(Kind.DELTA)
_WORDS: Final = {
    cbor2.dumps(word): word for word in range(-spec.HEADER_LEN_BYTES // 4, spec.LINK_PAGES * spec.PAGE_LEN_BYTES // 4)
}
_WORD_LENS: Final = {coded[0]: len(coded) for coded in _WORDS}
_SHORT_HEADS: Final = range(0x41, 0x58)
_new_tuple: Final = tuple.__new__


class Frame(NamedTuple):
    """A valid frame."""

    kind: int  # Kind
    seq: int
    items: tuple[Any, ...]  # int, bytes or str, as spec.SHAPES says for the kind


class Text(bytes):
    """Bytes that are no frame."""


def _fits(item: spec.Item, value: object) -> bool:
    # type() and not isinstance(): a bool is no int here. `encode` has made plain ints of enums.
    if item.type == "U":
        return type(value) is int and 0 <= value < 1 << 8 * item.hi
    if item.type == "I":
        return type(value) is int and _INT_MIN <= value <= _INT_MAX
    if item.type == "B":
        return type(value) is bytes and item.lo <= len(value) <= item.hi
    if item.type == "T":
        return type(value) is str and item.lo <= len(value.encode("utf-8", "surrogatepass")) <= item.hi
    if type(value) is int:
        return _INT_MIN <= value <= _INT_MAX
    return type(value) is bytes and len(value) <= item.hi


def _check(kind: int, items: tuple[Any, ...]) -> None:
    """Raises SerializationError if `items` do not have the kind's shape."""
    shape = spec.SHAPES.get(kind)
    if shape is None:
        raise SerializationError(f"no frame has the kind 0x{kind:02x}")
    fixed = len(shape.items)
    count = len(items)
    if count < shape.required or (count > fixed and not shape.group):
        raise SerializationError(f"a {Kind(kind).name} frame does not have {count} items")
    for item, value in zip(shape.items, items):
        if not _fits(item, value):
            raise SerializationError(f"{value!r:.80} is no {item.label} of a {Kind(kind).name} frame")
    if not shape.group:
        return
    groups, rest = divmod(max(count - fixed, 0), len(shape.group))
    if rest or groups < shape.least or (shape.most and groups > shape.most):
        raise SerializationError(f"a {Kind(kind).name} frame does not have {count} items")
    for at in range(fixed, count):
        item = shape.group[(at - fixed) % len(shape.group)]
        if not _fits(item, items[at]):
            raise SerializationError(f"{items[at]!r:.80} is no {item.label} of a {Kind(kind).name} frame")


def encode(kind: int, seq: int, items: tuple[Any, ...] = (), seed: int = 0) -> bytes:
    """A frame as it goes on the wire, between its two zeros.

    `kind`: Kind. `seq`: 0..255. `items`: the payload, as spec.SHAPES says. `seed`: the session id; HELLO and
    HELLO_ACK have none and ignore it. Raises SerializationError if the items do not fit the kind or a frame. Any
    thread.
    """
    return seal(encode_body(kind, seq, items), seed)


def encode_body(kind: int, seq: int, items: tuple[Any, ...] = ()) -> bytes:
    """A frame without what depends on its session, for `seal`. As `encode`."""
    items = tuple(int(value) if isinstance(value, IntEnum) else value for value in items)
    _check(kind, items)
    body = bytes((kind, seq)) + b"".join(map(cbor2.dumps, items))
    if len(body) + _CRC_LEN > spec.FRAME_LEN_BYTES:
        raise SerializationError(f"a frame of {len(body)} bytes does not fit {spec.FRAME_LEN_BYTES - _CRC_LEN}")
    return body


def seal(body: bytes, seed: int) -> bytes:
    """The frame of a body, as `encode` gives it. Any thread."""
    coded: bytes = cobs.encode(_with_crc(body, seed))
    return b"\0" + coded + b"\0"


def seal_text(body: bytes, seed: int) -> bytes:
    """The frame of a body as text (LINK.md, A line with a prompt). Any thread."""
    return _TEXT_BEGIN + binascii.b2a_base64(_with_crc(body, seed), newline=False).rstrip(b"=") + _TEXT_END


def _with_crc(body: bytes, seed: int) -> bytes:
    crc = zlib.crc32(body, 0 if body[0] in _SESSIONLESS else seed)
    return body + crc.to_bytes(_CRC_LEN, "little")


def may_be_device_frame(segment: bytes | bytearray) -> bool:
    """Whether what came since a zero can be a device's frame, or the beginning of one. Any thread."""
    # The first byte says where the first zero of the body lies: not in front of it, where the kind is.
    return not segment or (segment[0] > 1 and (len(segment) == 1 or segment[1] in FROM_DEVICE))


def decode(segment: bytes, seed: int) -> Frame:
    """The frame in `segment`, the bytes between two zeros.

    `seed`: the present session's id, or 0 if there is none; then only HELLO and HELLO_ACK are valid. Raises
    SerializationError for everything that is no valid frame of the present session. Any thread.
    """
    if not _SEGMENT_MIN <= len(segment) <= _SEGMENT_MAX:
        raise SerializationError(f"{len(segment)} bytes are no frame")
    try:
        data = cobs.decode(segment)
    except cobs.DecodeError as error:
        raise SerializationError(f"no COBS: {error}") from None
    kind = data[0]
    if kind in _SESSIONLESS:
        seed = 0
    elif seed == 0:
        raise SerializationError("there is no session that the frame could belong to")
    if zlib.crc32(data, seed) != _CRC_RESIDUE:
        raise SerializationError("wrong CRC: damaged, of another session, or no frame")
    payload = data[_HEAD_LEN:-_CRC_LEN]
    items = _one_run(payload) if kind == _DELTA else None
    if items is None:
        items = _items(payload)
        _check(kind, items)
    return _new_tuple(Frame, (kind, data[1], items))


def _one_run(payload: bytes) -> tuple[Any, ...] | None:
    """The items of a delta of one short run, which is most of what a device says. None: it is something else.

    By hand, since `_items` and `_check`, which would find the same, take ten times as long.
    """
    at = _WORD_LENS.get(payload[0], 0) if payload else 0
    word = _WORDS.get(payload[:at])
    rest = len(payload) - at
    if word is None or rest < 2 or payload[at] != 0x3F + rest or payload[at] not in _SHORT_HEADS:
        return None
    return word, payload[at + 1 :]


def _items(payload: bytes) -> tuple[Any, ...]:
    if not payload:
        return ()
    try:
        # As the content of an array of indefinite length. A break within the payload would end it early, but then the
        # comparison below fails, as it does for every form that is not the preferred one.
        values = cbor2.loads(b"\x9f" + payload + b"\xff")
    except Exception as error:  # whatever cbor2 raises on bytes that nobody vouches for
        raise SerializationError(f"no CBOR: {error}") from None
    # Only these types: encoding others could run code of theirs, and no payload has them.
    if type(values) is not list or not all(type(value) in (int, bytes, str) for value in values):
        raise SerializationError("the payload has a type that no frame has")
    if b"".join(map(cbor2.dumps, values)) != payload:
        raise SerializationError("the payload is not in preferred serialization")
    return tuple(values)


class Deframer:
    """Tells a byte stream's frames from the text between them, in constant memory. One thread."""

    def __init__(self) -> None:
        """Starts between two segments."""
        self._part = bytearray()  # of the present segment, as far as it was not handed out
        self.reset()

    @property
    def pending(self) -> bytes:
        """The bytes since the last zero that were not handed out."""
        return bytes(self._part)

    def reset(self) -> None:
        """Forgets what is pending, for a line that was opened again."""
        self._part.clear()
        self._in_text = False  # the present segment is no frame
        self._zero = b""  # in front of the present segment, unless it closed a frame or was handed out
        self._is_frame = False

    def feed(self, data: bytes) -> list[bytes]:
        """Takes any number of bytes; returns the segments that they complete and that may be frames, in order and
        without their zeros.
        """
        return [segment for segment in self.read(data) if type(segment) is not Text]

    def read(self, data: bytes) -> Iterator[bytes]:
        """As `feed`, one after the other. A segment comes again as Text, with the zeros that belong to no frame, unless
        `accept` was called meanwhile; so does, in pieces, what is too long for a frame.
        """
        *whole, rest = data.split(b"\0")
        for piece in whole:
            if self._part or self._in_text or not piece or len(piece) > _SEGMENT_MAX:
                if piece:
                    yield from self._extend(piece)
                yield from self._end_segment()
                continue
            # As these would, but most segments are such, and this takes half as long.
            self._is_frame = False
            yield piece
            if self._is_frame:
                self._zero = b""
            else:
                yield Text(self._zero + piece)
                self._zero = b"\0"
        if rest:
            yield from self._extend(rest)

    def accept(self) -> None:
        """The last segment was a frame."""
        self._is_frame = True

    def take_text(self, is_over: bool = False, *, at_prompt: bool = False) -> bytes:
        """What is pending, if it is no device's frame: by what it begins with, or because `is_over`: it does not go on.
        What follows, up to the next zero, is text as well. `at_prompt`: somebody waits for every byte, and of frames
        only a hello can come; one that comes in two pieces, cut behind its first byte, is missed, and comes again.
        """
        may_be_frame = self._part[1:2] == _HELLO if at_prompt else may_be_device_frame(self._part)
        if self._part and (self._in_text or is_over or not may_be_frame):
            text = self._zero + self._part
            self._part.clear()
            self._in_text = True
        elif not self._part and (is_over or at_prompt):
            text = self._zero
        else:
            return b""
        self._zero = b""
        return text

    def _extend(self, piece: bytes) -> Iterator[bytes]:
        self._part += piece
        if len(self._part) > _SEGMENT_MAX:
            self._in_text = True
            yield Text(self.take_text())

    def _end_segment(self) -> Iterator[bytes]:
        if self._in_text:
            if self._part:
                yield Text(self.take_text())
            self._in_text = False
        elif self._part:
            segment = bytes(self._part)
            self._part.clear()
            self._is_frame = False
            yield segment
            if self._is_frame:
                self._zero = b""
                return
            yield Text(self._zero + segment)
        elif self._zero:
            yield Text(self._zero)
        self._zero = b"\0"
