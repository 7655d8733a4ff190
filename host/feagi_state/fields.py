"""Values of the core block as people read and write them."""

from __future__ import annotations

import difflib
import math
import struct
import time
from contextlib import suppress
from enum import IntEnum
from typing import Any

from . import spec

__all__ = [
    "field_named",
    "format_age",
    "format_event_time",
    "format_time",
    "format_value",
    "json_value",
    "parse_value",
    "plain_value",
]

TRUE_WORDS = ("yes", "true", "on", "1")
FALSE_WORDS = ("no", "false", "off", "0")


def field_named(name: str) -> spec.Field:
    """The core field called `name`. Raises LookupError with the nearest names."""
    found = spec.CORE_FIELDS.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, spec.CORE_FIELDS, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "`feagi-state get all` lists them"
    raise LookupError(f"the core block has no field {name!r}: {hint}")


def enum_name(kind: type[IntEnum], value: int) -> str:
    """Name of an enum's value, or the number if this version does not know it."""
    try:
        return kind(value).name
    except ValueError:
        return str(int(value))


def json_value(name: str, value: Any) -> Any:
    """A field's value as JSON has it: enums by name, bools as bools, a float that is no number as null."""
    found = spec.CORE_FIELDS[name]
    if found.enum is not None:
        return enum_name(found.enum, int(value))
    if found.type == "bool":
        return bool(value)
    if found.type == "f32":
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return int(value)


def plain_value(name: str, value: Any) -> str:
    """A field's value for a script: no unit, no separators."""
    shown = json_value(name, value)
    if isinstance(shown, bool):
        return "true" if shown else "false"
    if shown is None:
        return str(value)
    return f"{shown:.7g}" if isinstance(shown, float) else str(shown)


SHORT_UNITS = {"bytes": "B", "neurons": "", "synapses": "", "areas": "", "agents": ""}  # "": the name says it


def format_value(name: str, value: Any, short: bool = False) -> str:
    """A field's value for people: its unit, and separators between thousands. `short`: for a narrow column."""
    found = spec.CORE_FIELDS[name]
    if found.enum is not None:
        return enum_name(found.enum, int(value))
    if found.type == "bool":
        return "yes" if value else "no"
    if found.unit == "ms":
        return format_time(int(value)).removesuffix(" after start" if short else "")
    number = f"{value:,.2f}" if found.type == "f32" else f"{int(value):,}"
    unit = SHORT_UNITS.get(found.unit, found.unit) if short else found.unit
    return f"{number} {unit}".rstrip()


def format_time(time_ms: int) -> str:
    """A time of the device: as a date if it counts from the epoch, else as the time since the device's start.

    Told by its size: an application's times need not be of the kind that the header's flag says.
    """
    if time_ms == 0:
        return "-"
    if time_ms >= spec.UNIX_LEAST_MS:
        with suppress(OverflowError, ValueError, OSError):  # a year that there is not
            return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ms // 1000))
    minutes, rest_ms = divmod(time_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_ms / 1000:06.3f} after start"


def format_event_time(time_ms: int) -> str:
    """An event's time: of the day if it counts from the epoch, else in seconds since the device's start."""
    if time_ms >= spec.UNIX_LEAST_MS:
        with suppress(OverflowError, ValueError, OSError):
            return f"{time.strftime('%H:%M:%S', time.localtime(time_ms // 1000))}.{time_ms % 1000:03}"
    return f"{time_ms / 1000:10.3f} s"


def format_age(age_s: float | None) -> str:
    """An age: short, and never more exact than it is of use."""
    if age_s is None or not math.isfinite(age_s):
        return "-"
    if age_s < 1:
        return f"{max(0.0, age_s) * 1000:.0f} ms"
    if age_s < 60:
        return f"{age_s:.1f} s"
    if age_s < 3600:
        return f"{age_s // 60:.0f} min {age_s % 60:.0f} s"
    return f"{age_s // 3600:.0f} h {age_s % 3600 // 60:.0f} min"


def parse_value(name: str, text: str) -> Any:
    """The value that `text` means for the field `name`.

    `text` is an enum's name or number, yes or no, or a number, also with its unit. Raises LookupError for a field that
    there is not, ValueError for one that cannot be written and for a value that it cannot have; both say what would be
    right.
    """
    found = field_named(name)
    if not found.writable:
        raise ValueError(f"{name} is kept by the device and cannot be set")
    word = text.strip()
    if found.enum is not None:
        return _parse_enum(name, found.enum, word)
    if found.type == "bool":
        if word.lower() in TRUE_WORDS:
            return True
        if word.lower() in FALSE_WORDS:
            return False
        raise ValueError(f"{name} is yes or no, not {text!r}")
    number = word
    if found.unit and number.lower().endswith(found.unit.lower()):
        number = number[: -len(found.unit)].strip()
    number = number.replace(",", "").replace("_", "")
    if found.type == "f32":
        try:
            single = float(number)
            struct.pack("<f", single)  # OverflowError: too large for 32 bits
            if math.isfinite(single):
                return single
        except (ValueError, OverflowError):
            pass
        raise ValueError(f"{name} is a number{_of(found)} that 32 bits hold, not {text!r}")
    try:
        value = int(number, 0)
    except ValueError:
        raise ValueError(f"{name} is a whole number{_of(found)}, not {text!r}") from None
    if not 0 <= value <= found.maximum:
        raise ValueError(f"{name} is 0 to {found.maximum:,}{_of(found)}, not {text}")
    return value


def _of(found: spec.Field) -> str:
    return f" of {found.unit}" if found.unit not in ("", "%") else " of percent" if found.unit == "%" else ""


def _parse_enum(name: str, kind: type[IntEnum], word: str) -> IntEnum:
    wanted = word.upper().replace("-", "_").replace(" ", "_")
    if wanted in kind.__members__:
        return kind[wanted]
    try:
        return kind(int(word, 0))
    except ValueError:
        raise ValueError(f"{name} is {', '.join(kind.__members__)}, not {word!r}") from None
