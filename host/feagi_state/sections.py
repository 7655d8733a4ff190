"""What the sections of a region say, decoded from copies of them.

Of a mirror's copy each entry is of one version, though not all are from one instant; a snapshot's all are. Nothing here
trusts the bytes: texts are cut and replaced where they are no UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from . import spec
from .spec import AgentSlotState, AgentType, Field

__all__ = [
    "AgentInfo",
    "AreaStats",
    "decode_agent",
    "decode_agent_id",
    "decode_agents",
    "decode_area_stats",
    "decode_core",
    "decode_core_field",
    "decode_default_fcl_window",
    "decode_fcl_windows",
    "decode_hashes",
    "decode_locked_areas",
    "field_value",
    "struct_of",
]

_Fields = dict[str, Field]
_FORMATS: Final = {"u8": "B", "bool": "B", "u16": "H", "u32": "I", "f32": "f", "u64": "Q"}
_REGISTERED: Final = int(AgentSlotState.REGISTERED)


def struct_of(fields: _Fields, start: int = 0) -> str:
    """The numbers of a struct as `struct` formats them, from `start` on."""
    out = ""
    for field in fields.values():
        out += f"{field.offset - start}x{_FORMATS[field.type]}"
        start = field.offset + field.size
    return out


_CORE: Final = struct.Struct("<" + struct_of(spec.CORE_FIELDS))


@dataclass(frozen=True)
class AgentInfo:
    """A registered agent; or one to be, of which only id, type and metadata count."""

    agent_id: str
    agent_type: AgentType = AgentType.SENSORY
    registered_at: int = 0  # ms on the clock of the state's owner
    last_seen: int = 0  # ms on the clock of the state's owner
    metadata: str | None = None
    handle: int = 0  # slot, and the slot's generation << 16: what events name


@dataclass(frozen=True)
class AreaStats:
    """Statistics of a cortical area: three counts, as they were at one instant."""

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


def decode_core(block: bytes) -> dict[str, Any]:
    """All fields of a core block by name."""
    values = _CORE.unpack_from(block)
    return {
        name: value if field.enum is None and field.type != "bool" else field_value(field, value)
        for (name, field), value in zip(spec.CORE_FIELDS.items(), values)
    }


def decode_core_field(field: Field, block: bytes, start: int = 0) -> Any:
    """One field of the core block that begins at `start`."""
    return field_value(field, struct.unpack_from("<" + _FORMATS[field.type], block, start + field.offset)[0])


def decode_hashes(section: bytes) -> dict[str, int]:
    """All hashes by name."""
    return {name: _number(section, spec.HASHES_FIELDS, name) for name in spec.HASHES_FIELDS}


def decode_agents(section: bytes, entry_len: int) -> list[AgentInfo]:
    """The registered agents of a table whose slots have `entry_len` bytes, in the order of their slots."""
    state = spec.AGENT_FIELDS["state"].offset
    return [
        agent
        for slot, at in enumerate(range(0, len(section), entry_len))
        if section[at + state] == _REGISTERED and (agent := decode_agent(section[at : at + entry_len], slot))
    ]


def decode_agent(entry: bytes, slot: int) -> AgentInfo | None:
    """The agent in a slot's bytes, None if there is none."""
    fields = spec.AGENT_FIELDS
    if _number(entry, fields, "state") != _REGISTERED:
        return None
    metadata = entry[spec.AGENT_LEN_BYTES : spec.AGENT_LEN_BYTES + _number(entry, fields, "metadata_len")]
    return AgentInfo(
        agent_id=_text(entry, fields, spec.AGENT_ID_LEN_BYTES),
        agent_type=field_value(fields["agent_type"], _number(entry, fields, "agent_type")),
        registered_at=_number(entry, fields, "registered_at"),
        last_seen=_number(entry, fields, "last_seen"),
        metadata=metadata.decode("utf-8", "replace") if metadata else None,
        handle=_number(entry, fields, "generation") << 16 | slot,
    )


def decode_agent_id(entry: bytes, handle: int) -> str | None:
    """Id of the agent that had this handle, by its slot's bytes; None if another one has had the slot since.

    A slot keeps the id of an agent that is not registered any more.
    """
    fields = spec.AGENT_FIELDS
    if _number(entry, fields, "generation") != handle >> 16 or not _number(entry, fields, "id_len"):
        return None
    return _text(entry, fields, spec.AGENT_ID_LEN_BYTES)


def decode_locked_areas(section: bytes) -> dict[int, int]:
    """Owner of every locked area."""
    fields = spec.LOCK_FIELDS
    return {
        _number(entry, fields, "area"): owner
        for entry in _entries(section, 0, spec.LOCK_LEN_BYTES)
        if _number(entry, fields, "used") and (owner := _number(entry, fields, "owner"))
    }


def decode_default_fcl_window(section: bytes) -> int:
    """Window of every area that has none of its own."""
    return _number(section, spec.WINDOWS_FIELDS, "default_window")


def decode_fcl_windows(section: bytes) -> dict[int, int]:
    """Window of every area that has one of its own."""
    fields = spec.WINDOW_FIELDS
    return {
        _number(entry, fields, "area"): _number(entry, fields, "window")
        for entry in _entries(section, spec.WINDOWS_LEN_BYTES, spec.WINDOW_LEN_BYTES)
        if _number(entry, fields, "used") and _number(entry, fields, "present")
    }


def decode_area_stats(section: bytes) -> dict[str, AreaStats]:
    """Statistics by the area's id."""
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


def _entries(section: bytes, start: int, len_bytes: int) -> Iterator[bytes]:
    return (section[at : at + len_bytes] for at in range(start, len(section), len_bytes))


def _number(data: bytes, fields: _Fields, name: str) -> int:
    field = fields[name]
    return int.from_bytes(data[field.offset : field.offset + field.size], "little")


def _text(data: bytes, fields: _Fields, most_bytes: int) -> str:
    """An entry's id."""
    start = fields["id"].offset
    return data[start : start + min(_number(data, fields, "id_len"), most_bytes)].decode("utf-8", "replace")
