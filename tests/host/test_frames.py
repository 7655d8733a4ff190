"""Frames against the golden vectors, against random items, and cut out of streams that hold anything."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress

import cbor2
import golden
import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from common import VECTORS
from feagi_state import frames, spec
from feagi_state.errors import SerializationError, StateError
from feagi_state.frames import Deframer, Text
from feagi_state.spec import CommandOp, Kind

LINES = [line.split() for line in (VECTORS / "frames.txt").read_text().splitlines() if line and line[0] != "#"]
OK = [line[1:] for line in LINES if line[0] == "ok"]
BAD = [line[1:] for line in LINES if line[0] == "bad"]


def test_the_golden_vectors_are_there():
    assert len(OK) > 20 and len(BAD) > 40 and len(OK) + len(BAD) == len(LINES)


@pytest.mark.parametrize("line", OK, ids=lambda line: line[0])
def test_ok_vector_decodes_and_encodes_to_the_same_bytes(line):
    golden.frame_decodes(*line)
    golden.frame_encodes(*line)


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[0])
def test_bad_vector_is_refused(line):
    golden.frame_is_refused(*line)


def test_a_refusal_is_a_value_error_and_a_state_error():
    assert issubclass(SerializationError, ValueError) and issubclass(SerializationError, StateError)


def test_without_a_session_only_hellos_are_frames():
    ping = Deframer().feed(frames.encode(Kind.PING, 0, (5,), 0))[0]
    with pytest.raises(SerializationError):
        frames.decode(ping, 0)
    ack = Deframer().feed(frames.encode(Kind.HELLO_ACK, 0, (5,), 77))[0]
    assert frames.decode(ack, 0) == frames.decode(ack, 77) == (Kind.HELLO_ACK, 0, (5,))


def test_enum_members_and_only_they_travel_as_numbers():
    wire = frames.encode(Kind.COMMAND, 1, (CommandOp.DIGEST,), 9)
    assert frames.decode(Deframer().feed(wire)[0], 9).items == (4,)
    for wrong in (True, 1.0, None, "4"):
        with pytest.raises(SerializationError):
            frames.encode(Kind.COMMAND, 1, (wrong,), 9)


def test_what_does_not_fit_a_frame_is_refused():
    with pytest.raises(SerializationError):
        frames.encode(Kind.DELTA, 1, (0, b"x" * 128, 32, b"x" * 118), 9)


def item_strategy(item: spec.Item) -> st.SearchStrategy[object]:
    if item.type == "U":
        return st.integers(0, 256**item.hi - 1)
    if item.type == "I":
        return st.integers(-(2**64), 2**64 - 1)
    if item.type == "B":
        return st.binary(min_size=item.lo, max_size=item.hi)
    if item.type == "T":
        return st.text(max_size=item.hi // 4)
    return st.one_of(st.integers(-(2**64), 2**64 - 1), st.binary(max_size=item.hi))


@st.composite
def any_frame(draw: st.DrawFn) -> tuple[int, int, tuple[object, ...]]:
    kind = draw(st.sampled_from(sorted(spec.SHAPES)))
    shape = spec.SHAPES[kind]
    count = draw(st.integers(shape.required, len(shape.items)))
    items = [draw(item_strategy(item)) for item in shape.items[:count]]
    if shape.group:
        for _ in range(draw(st.integers(shape.least, 3))):
            items += [draw(item_strategy(item)) for item in shape.group]
    return kind, draw(st.integers(0, 255)), tuple(items)


@given(any_frame(), st.integers(1, 2**32 - 1))
def test_every_frame_survives_the_wire_and_fails_in_another_session(frame, seed):
    kind, seq, items = frame
    try:
        wire = frames.encode(kind, seq, items, seed)
    except SerializationError:
        assert sum(len(cbor2.dumps(item)) for item in items) + 6 > spec.FRAME_LEN_BYTES
        return
    assert wire[0] == wire[-1] == 0 and 0 not in wire[1:-1]
    [segment] = Deframer().feed(wire)
    assert frames.decode(segment, seed) == (kind, seq, items)
    if kind not in (Kind.HELLO, Kind.HELLO_ACK):
        with pytest.raises(SerializationError):
            frames.decode(segment, seed ^ 1)


HEADS = st.sampled_from([0x00, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x20, 0x38, 0x39, 0x40, 0x41, 0x44, 0x57, 0x58, 0x5F])
RUN = st.builds(lambda word, data: cbor2.dumps(word) + cbor2.dumps(data), st.integers(-40, 3000), st.binary(max_size=30))
# One run, which has a way of its own through `decode`: as it should be, with something behind it, in other forms.
DELTAS = st.one_of(
    RUN,
    st.builds(bytes.__add__, RUN, st.binary(max_size=3)),
    st.builds(lambda a, b, rest: bytes((a, b)) + rest, HEADS, HEADS, st.binary(max_size=26)),
    st.builds(lambda head, word, rest: bytes((head,)) + word + rest, HEADS, st.binary(max_size=2), RUN),
)


@given(
    st.one_of(
        st.tuples(st.binary(max_size=300), st.sampled_from(sorted(spec.SHAPES))), st.tuples(DELTAS, st.just(Kind.DELTA))
    )
)
@settings(max_examples=500)
def test_a_payload_is_taken_exactly_if_it_is_the_preferred_form_of_a_valid_one(case):
    """An oracle that reads item by item decides, with a right CRC around whatever it is."""
    payload, kind = case
    body = bytes((kind, 0)) + payload
    seed = 0 if kind in (Kind.HELLO, Kind.HELLO_ACK) else 5
    segment = cobs.encode(body + zlib.crc32(body, seed).to_bytes(4, "little"))
    expected: tuple[object, ...] | None
    try:
        stream, items = io.BytesIO(payload), []
        while stream.tell() < len(payload):
            items.append(cbor2.CBORDecoder(stream).decode())
        expected = tuple(items)
        again = frames.encode(kind, 0, expected, 5)
        if again[1:-1] != segment:
            expected = None
    except Exception:
        expected = None
    try:
        assert frames.decode(segment, 5).items == expected
    except SerializationError:
        assert expected is None


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_serialization_error(data):
    for segment in Deframer().feed(data + b"\0"):
        with suppress(SerializationError):
            frames.decode(segment, 7)


@given(st.lists(st.binary(max_size=600)), st.lists(st.integers(1, 50), min_size=1))
def test_deframer_gives_the_same_whatever_the_chunks(pieces, sizes):
    stream = b"\0".join(pieces) + b"\0"
    deframer, out, at = Deframer(), [], 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        out += deframer.feed(stream[at : at + size])
        assert len(deframer.pending) <= 254
        at += size
    found = [bytes(segment) for segment in out if type(segment) is not Text]
    assert found == [part for piece in pieces for part in piece.split(b"\0") if 0 < len(part) <= 254]
    # Nothing but the zeros is lost: what is too long comes as text, in pieces.
    assert b"".join(out) == stream.replace(b"\0", b"")


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 2**64 - 1)), max_size=8))
def test_frames_are_found_between_any_text(parts):
    """Text that has no zero: a frame behind it brings its own."""
    stream, sent, texts = b"", [], b""
    for text, number in parts:
        text = text.replace(b"\0", b"")
        stream += text + frames.encode(Kind.PING, 0, (number,), 3)
        sent.append(number)
        texts += text
    got, rest = [], b""
    for segment in Deframer().feed(stream):
        try:
            got.append(frames.decode(segment, 3).items[0])
        except SerializationError:
            rest += segment
    assert got == sent
    assert rest == texts
