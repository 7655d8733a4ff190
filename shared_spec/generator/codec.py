"""CBOR, COBS and CRC-32 in a few lines, for the golden vectors: an implementation of its own, so that the
vectors agree with the C core and with cbor2 and cobs only if all of them are right."""

from __future__ import annotations

import zlib


def cbor(value: int | bytes | str) -> bytes:
    """One item in preferred serialization."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    data = value.encode("utf-8")
    return _head(3, len(data)) + data


def _head(major: int, n: int) -> bytes:
    if n < 24:
        return bytes([major << 5 | n])
    for size, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if n < 256**size:
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError(f"{n} does not fit CBOR's 64 bits")


def cobs(data: bytes) -> bytes:
    """COBS of at most 253 bytes: one code byte more."""
    out = bytearray()
    for part in data.split(b"\0"):
        if len(part) > 253:
            raise ValueError("longer than this protocol's frames")
        out += bytes([len(part) + 1]) + part
    return bytes(out)


def frame(kind: int, seq: int, payload: bytes, seed: int) -> bytes:
    """A frame between its two zeros."""
    body = bytes([kind, seq]) + payload
    return b"\0" + cobs(body + zlib.crc32(body, seed).to_bytes(4, "little")) + b"\0"
