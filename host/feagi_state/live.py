"""The live table: a device's or mirror's state, agents, events and link, as text, as JSON and with rich."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import spec
from .fields import enum_name, format_age, format_value, json_value
from .mirror import EventStream

__all__ = [
    "Recorder",
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
        "state": state_dict(view),
        "agents": [agent_dict(agent) for agent in view.agents],
        **sections_dict(view),
        "link": link_dict(view),
    }


# -------------------------------------------------------------------------------------------- as text for people


def event_text(event: Any, agents: dict[int, str]) -> str:
    """An event in one line; `agents` names the agents by handle."""
    shown = event_dict(event)
    kind = shown["kind"] if not shown["kind"].isdigit() else f"application event {shown['kind']}"
    if event.kind in (spec.EventKind.AGENT_REGISTERED, spec.EventKind.AGENT_DEREGISTERED):
        what = agents.get(event.arg, f"handle {event.arg:#x}")
    else:
        what = shown.get("value", f"{event.arg:,}")
    return f"{event.time_ms / 1000:10.3f} s  {kind}  {what}"


def link_text(view: View) -> str:
    """The link in one line."""
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
    return ", ".join(parts)


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


class Recorder:
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
        deadline = time.monotonic() + timeout_s
        while len(fresh) < EVENTS_KEPT:
            event = self._stream.get(max(0.0, deadline - time.monotonic()))
            if event is None:
                break
            fresh.append(event)
            self.events.append(event)
        self.names.update((agent.handle, agent.agent_id) for agent in self.view.agents)
        return fresh


def _fields_table(names: Iterable[str], values: dict[str, Any], changed: dict[str, float], stale: bool) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right", min_width=18)
    now = time.monotonic()
    for name in names:
        style = "dim strike" if stale else "bold" if now - changed.get(name, -9) < 1 else ""
        table.add_row(name, Text(format_value(name, values[name]), style=style))
    return table


def _agents_table(view: View, now_ms: int) -> Table:
    table = Table(
        box=None, padding=(0, 2, 0, 0), title="agents", title_justify="left", title_style="dim", header_style="dim"
    )
    for heading in ("id", "type", "seen", "metadata"):
        table.add_column(heading, no_wrap=True)
    for agent in view.agents:
        seen = format_age(max(0, now_ms - agent.last_seen) / 1000) + " ago" if agent.last_seen else "-"
        table.add_row(agent.agent_id, enum_name(spec.AgentType, agent.agent_type), seen, agent.metadata or "")
    return table


def _areas_lines(view: View) -> list[RenderableType]:
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
        Text(f"{title:14}" + "; ".join(f"{key}: {text}" for key, text in row.items()), no_wrap=True)
        for title, row in rows.items()
        if row
    ]


class _Picture:
    """Draws a view, and remembers which fields changed lately."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.values: dict[str, Any] = {}
        self.changed: dict[str, float] = {}

    def draw(self) -> RenderableType:
        view = self.recorder.view
        values = view.state.as_dict()
        now = time.monotonic()
        if self.values:
            self.changed.update((name, now) for name, value in values.items() if value != self.values.get(name))
        self.values = values
        stale = view.stale
        status = Text(status_text(view), style="bold white on red" if stale else "bold green")
        names = [name for name in spec.CORE_FIELDS if name in values]
        half = (len(names) + 1) // 2
        fields = Columns(
            [_fields_table(part, values, self.changed, stale) for part in (names[:half], names[half:])], padding=(0, 4)
        )
        parts: list[RenderableType] = [status, Text(""), fields]
        if view.agents:
            parts += [Text(""), _agents_table(view, int(values.get("last_modified", 0)))]
        areas = _areas_lines(view)
        if areas:
            parts += [Text(""), *areas]
        events = list(self.recorder.events)[-EVENTS_SHOWN:]
        if events:
            parts += [Text(""), Text("last events", style="dim italic")]
            parts += [Text(event_text(event, self.recorder.names), no_wrap=True) for event in events]
        parts += [Text(""), Text(link_text(view), style="dim")]
        return Group(*parts)


# ---------------------------------------------------------------------------------------------- ways to watch


def _rounds(seconds: float | None, period_s: float) -> Iterator[float]:
    """Yields the time left in each round until `seconds` are over, once at least."""
    end = time.monotonic() + seconds if seconds is not None else None
    while True:
        left_s = period_s if end is None else min(period_s, end - time.monotonic())
        if left_s <= 0:
            return
        yield left_s


Check = Callable[[], None]  # called in every round; what it raises ends the watching


def _no_check() -> None:
    pass


def watch_table(view: View, console: Console, seconds: float | None, check: Check = _no_check) -> None:
    """Show the live table on a terminal for `seconds`, or until KeyboardInterrupt."""
    recorder = Recorder(view)
    picture = _Picture(recorder)
    with Live(picture.draw(), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for left_s in _rounds(seconds, REFRESH_S):
            recorder.poll(left_s)
            check()
            live.update(picture.draw(), refresh=True)


def watch_lines(
    view: View, write: Any, seconds: float | None, period_s: float = 0.5, check: Check = _no_check
) -> None:
    """Where there is no terminal: everything once, then a line for all that changes."""
    recorder = Recorder(view)
    status = ""
    values: dict[str, Any] = {}
    agents: dict[int, Any] = {}
    for left_s in _rounds(seconds, period_s):
        fresh = recorder.poll(left_s) if status else []
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
            write(f"event {event_text(event, recorder.names).strip()}")
        values, agents = now_values, now_agents
    write(link_text(view))


def watch_json(view: View, write: Any, seconds: float | None, period_s: float) -> None:
    """One object a period, with the events since the last one."""
    recorder = Recorder(view)
    fresh: list[Any] = []
    for left_s in _rounds(seconds, period_s):
        write({**snapshot_dict(view), "new_events": [event_dict(event) for event in fresh]})
        fresh = []
        end = time.monotonic() + left_s
        while time.monotonic() < end:
            fresh += recorder.poll(end - time.monotonic())
