"""What a caller asks of a device, checked before it is sent; and what the device answered, checked before it is given
back.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from .checks import core_field
from .commands import Operation, Reply
from .errors import InvalidField, InvalidValue, SerializationError, error_from_status
from .sections import field_value
from .spec import CommandOp

__all__ = ["Request", "digest_request", "write_request"]


class Request(NamedTuple):
    """One command of a caller."""

    operation: Operation
    what: str  # was asked for, as a message names it
    decode: Callable[[tuple[Any, ...]], Any]  # the reply's values to what the caller gets; raises SerializationError

    def result(self, reply: Reply) -> Any:
        """What the caller gets. Raises what the device refuses it with, SerializationError."""
        if reply.status:
            raise error_from_status(reply.status, self.what)
        return self.decode(reply.values)


def write_request(op: CommandOp, name: str, value: Any) -> Request:
    """A SET of the field called `name`, or an ADD or SUBTRACT to it. Its result is the value after it.

    `value`: an enum's member, bool, int, or a float for an f32. Raises InvalidField, InvalidValue.
    """
    field = core_field(name)
    if not field.writable:
        raise InvalidField(f"{name} is kept by the device and cannot be written")
    number = _bits(name, value) if field.type == "f32" and op == CommandOp.SET else _whole(name, value)

    def decode(values: tuple[Any, ...]) -> Any:
        if len(values) != 1 or type(values[0]) is not int:
            raise SerializationError(f"the device answered {op.name} with {values!r}")
        if field.type == "f32":
            return struct.unpack("<f", struct.pack("<I", values[0] & 0xFFFFFFFF))[0]
        return field_value(field, values[0])

    return Request((int(op), (field.offset, number)), f"{op.name.lower()} {name} {value}", decode)


def digest_request() -> Request:
    """A DIGEST. Its result is the device's."""

    def decode(values: tuple[Any, ...]) -> int:
        if len(values) != 2 or not all(type(value) is int for value in values):
            raise SerializationError(f"the device answered DIGEST with {values!r}")
        digest: int = values[0]
        return digest

    return Request((int(CommandOp.DIGEST), ()), "digest", decode)


def _bits(name: str, value: Any) -> int:
    """Of an f32, as a command carries it."""
    try:
        bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
        return bits
    except (struct.error, OverflowError, TypeError):
        raise InvalidValue(f"{name} is a 32-bit float; {value!r} is none") from None


def _whole(name: str, value: Any) -> int:
    try:
        number = int(operator.index(value))  # not True, which 3.9 gives back as it is
    except TypeError:
        raise InvalidValue(f"{name} is an integer; {value!r} is none") from None
    if not -(2**63) <= number < 2**64:
        raise InvalidValue(f"{name} cannot be {number}: it does not fit 64 bits")
    return number
