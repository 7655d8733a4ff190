"""The generator's own CBOR, COBS and frame against cbor2, cobs and zlib."""

from __future__ import annotations

import zlib

import cbor2
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from generator import codec

ITEMS = st.one_of(st.integers(-(2**64), 2**64 - 1), st.binary(max_size=200), st.text(max_size=60))


@given(ITEMS)
def test_cbor_agrees_with_cbor2(value: int | bytes | str) -> None:
    assert codec.cbor(value) == cbor2.dumps(value)


@given(st.binary(max_size=253))
def test_cobs_agrees_with_the_library_up_to_the_longest_frame(data: bytes) -> None:
    assert codec.cobs(data) == cobs.encode(data)
    assert len(codec.cobs(data)) == len(data) + 1


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=247), st.integers(0, 2**32 - 1))
def test_a_frame_is_its_body_and_a_seeded_crc_between_zeros(kind: int, seq: int, payload: bytes, seed: int) -> None:
    wire = codec.frame(kind, seq, payload, seed)
    assert wire[0] == wire[-1] == 0 and 0 not in wire[1:-1]
    body = cobs.decode(wire[1:-1])
    assert body[:-4] == bytes([kind, seq]) + payload
    assert int.from_bytes(body[-4:], "little") == zlib.crc32(body[:-4], seed)
