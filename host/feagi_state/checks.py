"""Arguments, checked before they reach the core; what is wrong is said with the value and with what would be right."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable
from typing import Any, Final

from . import spec
from .errors import InvalidField, InvalidValue

__all__ = [
    "U32_MAX",
    "U64_MAX",
    "core_field",
    "cortical_area",
    "file_mode",
    "milliseconds",
    "no_attribute",
    "text_bytes",
    "timeout",
    "whole",
]

U32_MAX: Final = 0xFFFF_FFFF
U64_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF


def whole(value: Any, what: str, least: int, most: int) -> int:
    """`value` as an int from `least` to `most`; numpy's integers are as good. Raises InvalidValue."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise InvalidValue(f"{value!r} is no {what}: it should be an int from {least} to {most}")
    return number


def no_attribute(name: Any, names: Iterable[str]) -> InvalidField:
    """What to say of a name that is none of a state's, with those near it."""
    near = difflib.get_close_matches(str(name), names, n=2)
    return InvalidField(f"a state has no {name!r}" + (f": did you mean {' or '.join(near)}?" if near else ""))


def core_field(name: str) -> spec.Field:
    """The field of the core block that has this name. Raises InvalidField with the nearest names."""
    found = spec.CORE_FIELDS.get(name) if isinstance(name, str) else None
    if found is None:
        raise no_attribute(name, spec.CORE_FIELDS)
    return found


def cortical_area(value: Any) -> int:
    """`value` as a cortical area's number. Raises InvalidValue."""
    return whole(value, "cortical area", 0, U32_MAX)


def file_mode(value: Any) -> int:
    """`value` as a file's permissions. Raises InvalidValue."""
    return whole(value, "file mode", 0, 0o7777)


def timeout(value_s: float | None) -> float | None:
    """A time to wait in seconds, or None for ever; below 0 is as 0. Raises InvalidValue."""
    try:
        if value_s is None or not math.isnan(value_s):
            return value_s
    except TypeError:
        pass
    raise InvalidValue(f"{value_s!r} is no timeout: it should be a number of seconds, or None for ever")


def milliseconds(value_s: float, what: str) -> int:
    """A time of 0 s or more in ms, at most what 64 bits hold. Raises InvalidValue."""
    try:
        if value_s >= 0 and not math.isinf(value_s):
            return min(int(value_s * 1000), U64_MAX)
    except TypeError:
        pass
    raise InvalidValue(f"{value_s!r} is no {what}: it should be a number of seconds from 0 on")


def text_bytes(text: str | bytes, what: str, least: int, most: int, whose: str = "") -> bytes:
    """A text's UTF-8, of `least` to `most` bytes. `whose`: what sets the limit. Raises InvalidValue."""
    if isinstance(text, str):
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(f"{what} {text!r} cannot be written as UTF-8: {error.reason}") from None
    elif isinstance(text, bytes):
        data = text
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise InvalidValue(f"{what} {text!r} is no UTF-8: {error.reason}") from None
    else:
        raise InvalidValue(f"{what} is a text, not {text!r}")
    if len(data) > most:
        fits = f"{whose} takes {most}" if whose else f"at most {most} fit"
        raise InvalidValue(f"{what} has {len(data)} bytes of UTF-8, {fits}")
    if len(data) < least:
        raise InvalidValue(f"{what} is empty: it should have {least} to {most} bytes of UTF-8")
    return data
