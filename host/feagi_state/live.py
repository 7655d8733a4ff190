"""The live table: a device's or mirror's state, agents, events and link, as text, as JSON and with rich."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from . import spec
from .clock import now_s
from .events import EventStream
from .fields import enum_name, format_age, format_event_time, format_value, json_value

__all__ = [
    "RecentEvents",
    "View",
    "event_dict",
    "sections_dict",
    "snapshot_dict",
    "state_dict",
    "watch_json",
    "watch_lines",
    "watch_table",
]

REFRESH_S = 0.1
EVENTS_SHOWN = 6
EVENTS_KEPT = 64


class View(Protocol):
    """The read side that a Device and a MirrorView share."""

    @property
    def name(self) -> str:
        """The mirror's name."""

    @property
    def state(self) -> Any:
        """The core block: attributes, and `as_dict()`."""

    @property
    def agents(self) -> Any:
        """The registered agents."""

    @property
    def hashes(self) -> dict[str, int]:
        """The hashes by name."""

    @property
    def locked_areas(self) -> dict[int, int]:
        """Owners of the locked areas."""

    @property
    def fcl_windows(self) -> dict[int, int]:
        """Windows of the areas that have one of their own."""

    @property
    def area_stats(self) -> Any:
        """Statistics by the area's id."""

    @property
    def unix_time(self) -> bool:
        """Whether times are Unix milliseconds."""

    @property
    def link(self) -> Any:
        """What the link does and did."""

    @property
    def stale(self) -> bool:
        """Whether the values are old."""

    def events(self, timeout_s: float | None = ..., from_start: bool = ...) -> EventStream:
        """Events from now on, or from the oldest that is still there on."""

    def close(self) -> None:
        """Let go of it."""


# --------------------------------------------------------------------------------------------- as plain data


def state_dict(view: View) -> dict[str, Any]:
    """The core block, as JSON has it."""
    values = view.state.as_dict()
    return {name: json_value(name, values[name]) for name in spec.CORE_FIELDS if name in values}


def agent_dict(agent: Any) -> dict[str, Any]:
    """An agent, as JSON has it."""
    return {
        "agent_id": agent.agent_id,
        "agent_type": enum_name(spec.AgentType, agent.agent_type),
        "registered_at": agent.registered_at,
        "last_seen": agent.last_seen,
        "metadata": agent.metadata,
        "handle": agent.handle,
    }


def sections_dict(view: View) -> dict[str, Any]:
    """The sections but the core block and the agents, as JSON has them: areas are keys, and so texts."""
    return {
        "hashes": view.hashes,
        "locked_areas": view.locked_areas,
        "fcl_windows": view.fcl_windows,
        "area_stats": {area_id: asdict(stats) for area_id, stats in view.area_stats.items()},
    }


def event_dict(event: Any) -> dict[str, Any]:
    """An event, as JSON has it: kinds by name, and the new state by name where the argument is one."""
    kind, arg = int(event.kind), int(event.arg)
    shown: dict[str, Any] = {"kind": enum_name(spec.EventKind, kind), "arg": arg, "time_ms": event.time_ms}
    meaning = event_meaning(kind, arg)
    if meaning:
        shown["value"] = meaning
    return shown


def event_meaning(kind: int, arg: int) -> str:
    """What an event's argument says, where this library gives it a meaning."""
    if kind == spec.EventKind.BURST_ENGINE_STATE_CHANGED:
        return enum_name(spec.BurstEngineState, arg)
    if kind == spec.EventKind.GENOME_STATE_CHANGED:
        return enum_name(spec.GenomeState, arg)
    return ""


def link_dict(view: View) -> dict[str, Any]:
    """The link, as JSON has it."""
    link = view.link
    return {
        "state": enum_name(spec.LinkState, link.state),
        "age_s": round(link.age_s, 3) if link.age_s is not None else None,
        "session": link.session,
        "sessions": link.sessions,
        "frames": link.frames,
        "deltas": link.deltas,
        "events": link.events,
        "events_lost": link.events_lost,
        "commands": link.commands,
        "naks": link.naks,
        "text_bytes": link.text_bytes,
        "round_trip_us": link.round_trip_us,
        "device_name": link.device_name,
        "port": link.port,
    }


def snapshot_dict(view: View) -> dict[str, Any]:
    """All that the live table shows, as JSON has it."""
    return {
        "name": view.name,
        "stale": view.stale,
        "unix_time": view.unix_time,
        "state": state_dict(view),
        "agents": [agent_dict(agent) for agent in view.agents],
        **sections_dict(view),
        "link": link_dict(view),
    }


# -------------------------------------------------------------------------------------------- as text for people


def event_text(event: Any, recent: RecentEvents) -> str:
    """An event in one line; `recent` is of its view, and knows the agents' names."""
    shown = event_dict(event)
    kind = shown["kind"] if not shown["kind"].isdigit() else f"application event {shown['kind']}"
    if event.kind in (spec.EventKind.AGENT_REGISTERED, spec.EventKind.AGENT_DEREGISTERED):
        what = recent.names.get(event.arg, f"handle {event.arg:#x}")
    else:
        what = shown.get("value", f"{event.arg:,}")
    return f"{format_event_time(shown['time_ms'])}  {kind}  {what}"


def link_text(view: View) -> str:
    """The link in one line."""
    return ", ".join(link_parts(view))


def link_parts(view: View) -> list[str]:
    """What there is to say of the link."""
    link = view.link
    parts = [
        f"{link.frames:,} frames",
        f"{link.deltas:,} deltas",
        f"{link.events:,} events ({link.events_lost:,} lost)",
        f"{link.commands:,} commands",
    ]
    if link.naks:
        parts.append(f"{link.naks:,} repairs")
    if link.text_bytes:
        parts.append(f"{link.text_bytes:,} bytes of text")
    if link.round_trip_us:
        parts.append(f"round trip {link.round_trip_us / 1000:.1f} ms")
    return parts


def status_texts(view: View) -> list[str]:
    """Whether the values are current, in one line: as long as it may be, and ever shorter."""
    age = format_age(view.link.age_s)
    return [
        status_text(view),
        f"{view.name}: " + (f"STALE, the values are old, heard {age} ago" if view.stale else f"live, heard {age} ago"),
        f"{'STALE' if view.stale else 'live'}, {age}: {view.name}",
    ]


def status_text(view: View) -> str:
    """Whether the values are current, in one line."""
    link = view.link
    where = f"{view.name} on {link.port}" if link.port else view.name
    if not view.stale:
        return f"{where}: live, heard {format_age(link.age_s)} ago, session {link.session:#010x}"
    if link.state == spec.LinkState.CONNECTING:
        return f"{where}: STALE, connecting: no current values yet"
    if link.state == spec.LinkState.CLOSED:
        return f"{where}: STALE, nobody serves this mirror: the values are old, heard {format_age(link.age_s)} ago"
    return f"{where}: STALE, nothing heard for {format_age(link.age_s)}: the values are old"


class RecentEvents:
    """Remembers the last events of a view and the agents' names, which outlive the agents."""

    def __init__(self, view: View, from_start: bool = False) -> None:
        """Remembers from now on, or from the oldest event that the mirror still holds."""
        self.view = view
        self._stream = view.events(from_start=from_start)
        self.events: deque[Any] = deque(maxlen=EVENTS_KEPT)
        self.names: dict[int, str] = {}

    def poll(self, timeout_s: float) -> list[Any]:
        """Events that arrive within `timeout_s`, which is also how long it takes."""
        self.names.update((agent.handle, agent.agent_id) for agent in self.view.agents)
        fresh: list[Any] = []
        deadline = now_s() + timeout_s
        while len(fresh) < EVENTS_KEPT:
            event = self._stream.get(max(0.0, deadline - now_s()))
            if event is None:
                break
            fresh.append(event)
            self.events.append(event)
        self.names.update((agent.handle, agent.agent_id) for agent in self.view.agents)
        return fresh


# Which fields a small terminal shows first; those that are not named here come last.
IMPORTANT_FIELDS = (
    "burst_engine_state", "burst_frequency", "neuron_count", "synapse_count", "brain_readiness", "genome_state",
    "connectome_state", "fatigue_index", "agent_count", "fatigue_active", "fq_sampler_state", "api_state", "zmq_state",
    "cortical_area_count", "memory_usage", "version", "last_modified", "regular_neuron_count", "memory_neuron_count",
    "synapse_util", "regular_neuron_util", "memory_neuron_util",
)  # fmt: skip
NAME_WIDTH = max(map(len, spec.CORE_FIELDS))
LONG_WIDTH = NAME_WIDTH + 25  # of a column with values as `format_value` has them
GAP_WIDTH = 3
TWO_COLUMNS_FROM = 58
LEAST_FIELD_LINES, GOOD_FIELD_LINES = 3, 8
LEAST_ROWS = 3  # of agents and of events, where there are so many


def _line(*parts: str | tuple[str, str]) -> Text:
    """One line of styled parts, whatever the device has put in its texts."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        word, style = part if isinstance(part, tuple) else (part, "")
        text.append("".join(char if char.isprintable() else "\N{MIDDLE DOT}" for char in word), style)
    return text


def _cell(text: str, width: int) -> str:
    """The text at exactly this width."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "\N{HORIZONTAL ELLIPSIS}"


def _folded(parts: list[str], width: int) -> list[str]:
    """The parts on as many lines as they need, none of them divided."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if cell_len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _fields_lines(values: dict[str, Any], changed: dict[str, float], stale: bool, width: int, lines: int) -> list[Text]:
    """The fields in at most so many lines: the most important ones, in the spec's order, where they do not all fit."""
    columns = 2 if width >= TWO_COLUMNS_FROM else 1
    column_width = min(LONG_WIDTH, (width - GAP_WIDTH * (columns - 1)) // columns)
    names = [name for name in spec.CORE_FIELDS if name in values]
    rows = -(-len(names) // columns)
    more = 0
    if rows > lines:
        rows = max(0, lines - 1)
        order = {name: place for place, name in enumerate(IMPORTANT_FIELDS)}
        kept = sorted(names, key=lambda name: order.get(name, len(order)))[: rows * columns]
        more = len(names) - len(kept)
        names = [name for name in names if name in kept]
    now = now_s()

    def shown(name: str) -> list[str | tuple[str, str]]:
        value = format_value(name, values[name], short=column_width < LONG_WIDTH)
        style = "dim strike" if stale else "bold" if now - changed.get(name, -9) < 1 else ""
        space = column_width - cell_len(value)
        return [(_cell(name, space - 1) + " ", "dim"), (value, style)]

    drawn = []
    for row in range(rows):
        parts = shown(names[row])
        if rows + row < len(names):
            parts += [" " * GAP_WIDTH, *shown(names[rows + row])]
        drawn.append(_line(*parts))
    if more:
        drawn.append(_line((f"... {more} more fields: feagi-state get all", "dim italic")))
    return drawn


def _agents_lines(agents: list[Any], now_ms: int, rows: int) -> list[Text]:
    """A heading and so many rows."""
    if not rows:
        return []
    table = [(f"agents ({len(agents)})", "type", "seen", "metadata")]
    for agent in agents[:rows]:
        seen = format_age(max(0, now_ms - agent.last_seen) / 1000) + " ago" if agent.last_seen else "-"
        table.append((agent.agent_id, enum_name(spec.AgentType, agent.agent_type), seen, agent.metadata or ""))
    widths = [max(cell_len(row[column]) for row in table) + 2 for column in range(4)]
    lines = ["".join(_cell(word, width) for word, width in zip(row, widths)).rstrip() for row in table]
    return [_line((lines[0], "dim")), *(_line(line) for line in lines[1:])]


def _areas_lines(view: View) -> list[Text]:
    """A line for each of the sections that has something to say."""
    stats = {
        area_id: f"{one.neuron_count:,} neurons, synapses {one.incoming_synapse_count:,} in, "
        f"{one.outgoing_synapse_count:,} out"
        for area_id, one in view.area_stats.items()
    }
    rows: dict[str, dict[Any, str]] = {
        "locked areas": {area: f"by {owner}" for area, owner in view.locked_areas.items()},
        "FCL windows": {area: str(window) for area, window in view.fcl_windows.items()},
        "statistics": stats,
        "hashes": {name: f"{value:016x}" for name, value in view.hashes.items() if value},
    }
    return [
        _line(f"{title:14}" + "; ".join(f"{key}: {text}" for key, text in row.items()))
        for title, row in rows.items()
        if row
    ]


class _Picture:
    """Draws a view, and remembers which fields changed lately."""

    def __init__(self, recent: RecentEvents) -> None:
        self.recent = recent
        self.values: dict[str, Any] = {}
        self.changed: dict[str, float] = {}

    def draw(self, width: int, height: int) -> Group:
        """The view in at most `height` lines. Its state and its link are shown in full, the rest as far as it fits."""
        view = self.recent.view
        values = view.state.as_dict()
        now = now_s()
        if self.values:
            self.changed.update((name, now) for name, value in values.items() if value != self.values.get(name))
        self.values = values
        stale = view.stale
        agents, areas, events = list(view.agents), _areas_lines(view), list(self.recent.events)

        texts = status_texts(view)
        status = next((text for text in texts if cell_len(text) <= width), texts[-1])
        top = [_line((status, "bold white on red" if stale else "bold green"))]
        folded = _folded(link_parts(view), width)
        bottom = [_line((line, "dim")) for line in (folded if height > 12 else folded[:1])]

        room = height - len(top) - len(bottom)
        wanted = len(_fields_lines(values, {}, stale, width, len(values)))
        agent_rows, event_rows = min(LEAST_ROWS, len(agents)), min(LEAST_ROWS, len(events))

        def left() -> int:  # for the fields; agents and events have a heading
            return room - len(areas) - sum(rows + 1 for rows in (agent_rows, event_rows) if rows)

        if left() < min(wanted, GOOD_FIELD_LINES):
            areas = []
        while left() < LEAST_FIELD_LINES and (agent_rows or event_rows):
            if agent_rows:
                agent_rows = 0
            else:
                event_rows -= 1
        field_lines = max(0, min(wanted, left()))
        if event_rows:
            event_rows += max(0, min(EVENTS_SHOWN - event_rows, len(events) - event_rows, left() - field_lines))
        if agent_rows:
            agent_rows += max(0, min(len(agents) - agent_rows, left() - field_lines))

        parts = [top, _fields_lines(values, self.changed, stale, width, field_lines)]
        parts += [_agents_lines(agents, int(values.get("last_modified", 0)), agent_rows), areas]
        if event_rows:
            shown = [_line(event_text(event, self.recent)) for event in events[-event_rows:]]
            parts.append([_line(("last events", "dim italic")), *shown])
        parts = [part for part in (*parts, bottom) if part]
        if left() - field_lines >= len(parts) - 1:
            parts = [part if part is bottom else [*part, Text("")] for part in parts]
        return Group(*(line for part in parts for line in part))


# ---------------------------------------------------------------------------------------------- ways to watch


def _rounds(seconds: float | None, period_s: float) -> Iterator[float]:
    """Yields the time left in each round until `seconds` are over, once at least."""
    end = now_s() + seconds if seconds is not None else None
    while True:
        left_s = period_s if end is None else min(period_s, end - now_s())
        if left_s <= 0:
            return
        yield left_s


Check = Callable[[], None]  # called in every round; what it raises ends the watching


def _no_check() -> None:
    pass


def watch_table(view: View, console: Console, seconds: float | None, check: Check = _no_check) -> None:
    """Show the live table on a terminal for `seconds`, or until KeyboardInterrupt."""
    recent = RecentEvents(view)
    picture = _Picture(recent)
    with Live(picture.draw(*console.size), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for left_s in _rounds(seconds, REFRESH_S):
            recent.poll(left_s)
            check()
            live.update(picture.draw(*console.size), refresh=True)


def watch_lines(view: View, write: Any, seconds: float | None, period_s: float = 0.5, check: Check = _no_check) -> None:
    """Where there is no terminal: everything once, then a line for all that changes."""
    recent = RecentEvents(view)
    status = ""
    values: dict[str, Any] = {}
    agents: dict[int, Any] = {}
    for left_s in _rounds(seconds, period_s):
        fresh = recent.poll(left_s) if status else []
        check()
        now_status = "STALE" if view.stale else "live"
        if now_status != status:
            write(status_text(view))
            status = now_status
        now_values = view.state.as_dict()
        for name, value in now_values.items():
            if value != values.get(name) and not (values and name in ("version", "last_modified")):
                write(f"{name} = {format_value(name, value)}")
        now_agents = {agent.handle: agent for agent in view.agents}
        for handle in now_agents.keys() - agents.keys():
            agent = now_agents[handle]
            write(f"agent {agent.agent_id} ({enum_name(spec.AgentType, agent.agent_type)}) is there")
        for handle in agents.keys() - now_agents.keys():
            write(f"agent {agents[handle].agent_id} has gone")
        for event in fresh:
            write(f"event {event_text(event, recent).strip()}")
        values, agents = now_values, now_agents
    write(link_text(view))


def watch_json(view: View, write: Any, seconds: float | None, period_s: float) -> None:
    """One object a period, with the events since the last one."""
    recent = RecentEvents(view)
    fresh: list[Any] = []
    for left_s in _rounds(seconds, period_s):
        write({**snapshot_dict(view), "new_events": [event_dict(event) for event in fresh]})
        fresh = []
        end = now_s() + left_s
        while now_s() < end:
            fresh += recent.poll(end - now_s())
