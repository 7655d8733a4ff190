"""What a recording holds: its topics, and the JSON schema of each.

A recording is an MCAP file (mcap.dev) with one channel a topic, `/NAME/TOPIC`, of messages in JSON. Its log times are
when the host saw something, its publish times are the device's. `snapshot` and `page` have the region's bytes, of which
a replay is made; all other topics say in words what changed, for tools that know nothing of regions.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from . import spec
from .errors import PersistenceError
from .session import COUNTERS

__all__ = ["EXPORTED", "TOPICS", "Column", "Topic", "needs_package"]


class Column(NamedTuple):
    """A value of a message. It may be left out where there is none, as of a float that is no number."""

    name: str
    type: str  # u8, bool, u16, u32, u64, i64, f32, f64, text, or bytes as base64
    doc: str


class Topic(NamedTuple):
    """What the messages of a topic hold."""

    title: str  # of the JSON schema
    doc: str
    columns: tuple[Column, ...]
    rows: str = ""  # name of a list in the message, of objects with these:
    row_columns: tuple[Column, ...] = ()

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema, of the kind that robotics tools take: no maps, no null."""
        found = _object(self.columns)
        if self.rows:
            found["properties"][self.rows] = {"type": "array", "items": _object(self.row_columns)}
        return {"title": f"feagi_state.{self.title}", "description": self.doc, **found}


_JSON_TYPES: Final = {"bool": "boolean", "f32": "number", "f64": "number", "text": "string", "bytes": "string"}


def _object(columns: tuple[Column, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for column in columns:
        kind: dict[str, Any] = {"type": _JSON_TYPES.get(column.type, "integer"), "description": column.doc}
        if column.type == "bytes":
            kind["contentEncoding"] = "base64"
        properties[column.name] = kind
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _fields(fields: dict[str, spec.Field], *names: str) -> tuple[Column, ...]:
    """Columns for fields of the layout: an enum's values are its names."""
    return tuple(
        Column(
            name,
            field.type if field.enum is None else "text",
            f"{field.doc} [{field.unit}]" if field.unit else field.doc,
        )
        for name, field in fields.items()
        if not names or name in names
    )


TOPICS: Final[dict[str, Topic]] = {
    "snapshot": Topic(
        "Snapshot",
        "the whole region: at the start, and when another layout or device took the mirror's place",
        (
            Column("name", "text", "the mirror's name"),
            Column("device_name", "text", "the device's name"),
            Column("port", "text", "the port that the device was at"),
            Column("schema", "text", "schema hash of the layout"),
            Column("region", "bytes", "all pages; the events section is zero"),
        ),
    ),
    "page": Topic(
        "Page",
        "a page that was published",
        (
            Column("page", "u32", "number of the page"),
            Column("version", "u32", "how often it was published, modulo 2^31"),
            Column("passed_over", "u32", "versions before this one that were not recorded"),
            Column("data", "bytes", "the page"),
        ),
    ),
    "state": Topic("State", "the core block's fields, all of them whenever one has changed", _fields(spec.CORE_FIELDS)),
    "hashes": Topic("Hashes", "what FEAGI's services hash to notice changes", _fields(spec.HASHES_FIELDS)),
    "agents": Topic(
        "Agents",
        "the registered agents, all of them whenever one has changed",
        (),
        "agents",
        (
            Column("agent_id", "text", "the agent's id"),
            *_fields(spec.AGENT_FIELDS, "agent_type", "registered_at", "last_seen"),
            Column("metadata", "text", "what the agent says of itself"),
            Column("handle", "u32", "slot, and the slot's generation << 16"),
        ),
    ),
    "locked_areas": Topic(
        "LockedAreas",
        "the cortical areas that are locked",
        (),
        "locked_areas",
        _fields(spec.LOCK_FIELDS, "area", "owner"),
    ),
    "fcl_windows": Topic(
        "FclWindows",
        "the FCL windows of cortical areas",
        _fields(spec.WINDOWS_FIELDS, "default_window"),
        "fcl_windows",
        _fields(spec.WINDOW_FIELDS, "area", "window"),
    ),
    "area_stats": Topic(
        "AreaStats",
        "statistics of cortical areas",
        (),
        "area_stats",
        (
            Column("area_id", "text", "the area's id"),
            *_fields(spec.STAT_FIELDS, "neuron_count", "incoming_synapse_count", "outgoing_synapse_count"),
        ),
    ),
    "event": Topic(
        "Event",
        "an event of the device",
        (
            Column("kind", "text", "a name of EventKind, or the number of an application's kind"),
            Column("arg", "u32", "the new state, an agent's handle, or the application's"),
            Column("value", "text", "what arg stands for: the new state's name or the agent's id"),
            Column("time_ms", "u64", "the device's time [ms]"),
            Column("position", "u32", "in the mirror's ring"),
            Column("lost", "u32", "events before this one that were not recorded"),
        ),
    ),
    "link": Topic(
        "Link",
        "what the link does, when that changes and otherwise every second in which anything came",
        (
            Column("state", "text", "LIVE, or why the values are old"),
            *_fields(spec.MIRROR_FIELDS, "session", "round_trip_us"),
            Column("clock_offset_us", "i64", "the device's clock minus the host's, of clock.py [us]"),
            *_fields(spec.MIRROR_FIELDS, *COUNTERS),
        ),
    ),
}
EXPORTED: Final = tuple(name for name in TOPICS if name not in ("snapshot", "page"))


def needs_package(package: str, extra: str) -> PersistenceError:
    """What to raise where an optional package is not there."""
    return PersistenceError(f'this needs the package {package}: pip install "feagi-state[{extra}]"')
