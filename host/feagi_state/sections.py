"""What the sections of a region say besides the core block: decoded from copies whose pages are whole.

No entry lies on two pages but a long agent's, so each is of one version; a section's entries need not be from one
instant. Nothing here trusts the bytes: texts are cut and replaced where they are no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from . import spec
from ._core import Mirror
from .errors import InvalidValue
from .spec import SECTIONS, AgentSlotState, AgentType, Field

__all__ = [
    "AgentInfo",
    "AreaStats",
    "field_value",
    "read_agents",
    "read_area_stats",
    "read_fcl_window",
    "read_fcl_windows",
    "read_hashes",
    "read_locked_areas",
]

_Fields = dict[str, Field]
_AREA_MAX: Final = spec.WINDOW_FIELDS["area"].maximum


@dataclass(frozen=True)
class AgentInfo:
    """A registered agent."""

    agent_id: str
    agent_type: AgentType
    registered_at: int  # ms on the device's clock
    last_seen: int  # ms on the device's clock
    metadata: str | None
    handle: int  # slot, and the slot's generation << 16: what events name


@dataclass(frozen=True)
class AreaStats:
    """Statistics of a cortical area: three counts from one copy of its slot, which the device changes one by one."""

    neuron_count: int
    incoming_synapse_count: int
    outgoing_synapse_count: int


def field_value(field: Field, raw: int | float | bool) -> Any:
    """`raw` as the field's type: an enum's member, bool, float or int.

    Unknown enum numbers become the first member, as upstream.
    """
    if field.enum is not None:
        try:
            return field.enum(int(raw))
        except ValueError:
            return field.enum(0)
    return bool(raw) if field.type == "bool" else raw


def read_hashes(core: Mirror) -> dict[str, int]:
    """All hashes by name, of one instant."""
    section = core.read_section(SECTIONS["hashes"])
    return {name: _number(section, spec.HASHES_FIELDS, name) for name in spec.HASHES_FIELDS}


def read_agents(core: Mirror) -> list[AgentInfo]:
    """The registered agents, in the order of their slots."""
    found = (_agent(core.read_agent(slot), slot) for slot in range(core.agents))
    return [agent for agent in found if agent is not None]


def read_locked_areas(core: Mirror) -> dict[int, int]:
    """Owner of every locked area."""
    section = core.read_section(SECTIONS["cortical_locks"])
    fields = spec.LOCK_FIELDS
    return {
        _number(entry, fields, "area"): owner
        for entry in _entries(section, 0, spec.LOCK_LEN_BYTES)
        if _number(entry, fields, "used") and (owner := _number(entry, fields, "owner"))
    }


def read_fcl_windows(core: Mirror) -> dict[int, int]:
    """Window of every area that has one of its own."""
    return _windows(core.read_section(SECTIONS["fcl_windows"]))


def read_fcl_window(core: Mirror, area: int) -> int:
    """The area's window, or the default. Raises InvalidValue for what is no area."""
    if not isinstance(area, int) or not 0 <= area <= _AREA_MAX:
        raise InvalidValue(f"{area!r} is no cortical area: it should be an int from 0 to {_AREA_MAX}")
    section = core.read_section(SECTIONS["fcl_windows"])
    return _windows(section).get(area, _number(section, spec.WINDOWS_FIELDS, "default_window"))


def read_area_stats(core: Mirror) -> dict[str, AreaStats]:
    """Statistics by the area's id."""
    section = core.read_section(SECTIONS["area_stats"])
    fields = spec.STAT_FIELDS
    return {
        _text(entry, fields, spec.AREA_ID_LEN_BYTES): AreaStats(
            _number(entry, fields, "neuron_count"),
            _number(entry, fields, "incoming_synapse_count"),
            _number(entry, fields, "outgoing_synapse_count"),
        )
        for entry in _entries(section, 0, spec.STAT_LEN_BYTES)
        if _number(entry, fields, "state")
    }


def _windows(section: bytes) -> dict[int, int]:
    fields = spec.WINDOW_FIELDS
    return {
        _number(entry, fields, "area"): _number(entry, fields, "window")
        for entry in _entries(section, spec.WINDOWS_LEN_BYTES, spec.WINDOW_LEN_BYTES)
        if _number(entry, fields, "used") and _number(entry, fields, "present")
    }


def _agent(entry: bytes, slot: int) -> AgentInfo | None:
    """The agent in a slot's bytes, None if there is none or the device was writing it."""
    fields = spec.AGENT_FIELDS

    def value(name: str) -> int:
        return _number(entry, fields, name)

    if value("state") != AgentSlotState.REGISTERED or value("sequence") & 1:
        return None
    metadata = entry[spec.AGENT_LEN_BYTES : spec.AGENT_LEN_BYTES + value("metadata_len")]
    return AgentInfo(
        agent_id=_text(entry, fields, spec.AGENT_ID_LEN_BYTES),
        agent_type=field_value(fields["agent_type"], value("agent_type")),
        registered_at=value("registered_at"),
        last_seen=value("last_seen"),
        metadata=metadata.decode("utf-8", "replace") if metadata else None,
        handle=value("generation") << 16 | slot,
    )


def _entries(section: bytes, start: int, len_bytes: int) -> Iterator[bytes]:
    return (section[at : at + len_bytes] for at in range(start, len(section), len_bytes))


def _number(data: bytes, fields: _Fields, name: str) -> int:
    field = fields[name]
    return int.from_bytes(data[field.offset : field.offset + field.size], "little")


def _text(data: bytes, fields: _Fields, most_bytes: int) -> str:
    """An entry's id."""
    start = fields["id"].offset
    return data[start : start + min(_number(data, fields, "id_len"), most_bytes)].decode("utf-8", "replace")
