"""The live table on terminals of all sizes: what fits, what is left out, and what never is."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from feagi_state import live, spec

AGENTS = [
    SimpleNamespace(
        agent_id=f"video_agent_{number:02}",
        agent_type=1,
        last_seen=5000,
        metadata="camera 160x120\n2 of them",
        handle=number,
    )
    for number in range(5)
]
STATS = SimpleNamespace(neuron_count=123456, incoming_synapse_count=3, outgoing_synapse_count=4)


class FullView:
    """A view with something everywhere, and numbers as long as they get."""

    name = "unix"
    agents = AGENTS
    unix_time = False

    def __init__(self, stale: bool) -> None:
        self.stale = stale
        self.hashes = {"morphologies": 2**64 - 1}
        self.locked_areas, self.fcl_windows = {3: 7}, {3: 40}
        self.area_stats = {"vision": STATS, "motor": STATS}
        values = {name: field.maximum for name, field in spec.CORE_FIELDS.items()}
        values.update(burst_engine_state=1, burst_frequency=30.0, last_modified=7_654_321, genome_timestamp=1_700_000_000_000)
        self.state = SimpleNamespace(as_dict=lambda: values)
        self.link = SimpleNamespace(
            state=spec.LinkState.STALE if stale else spec.LinkState.LIVE, age_s=0.02,
            port="/dev/shm/feagi-state-1000/ports/unix", session=0x12345678, frames=123456, deltas=123456, events=123456,
            events_lost=12, commands=1234, naks=123, text_bytes=1234, round_trip_us=2100,
        )  # fmt: skip

    def events(self, timeout_s=None, from_start=False):
        return SimpleNamespace(get=lambda timeout_s: None)


def drawn(width: int, height: int, stale: bool = False) -> list[str]:
    recent = live.RecentEvents(FullView(stale))
    recent.events += [SimpleNamespace(kind=256, arg=number, time_ms=1000 * number) for number in range(9)]
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(live._Picture(recent).draw(width, height))
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("size", [(200, 60), (100, 50), (80, 24), (80, 25), (60, 15), (40, 24), (40, 8), (30, 5)])
def test_state_and_link_are_always_there_in_full(size, stale):
    lines = drawn(*size, stale)
    assert ("STALE" if stale else "live") in lines[0]
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in (lines[0], lines[-1]))
    text = "\n".join(lines)
    assert "123,456 frames" in text
    if size[1] > 12:
        assert "events (12 lost)" in text
        assert "round trip 2.1 ms" in lines[-1]


def test_a_large_terminal_shows_everything():
    text = "\n".join(drawn(100, 50))
    for name in spec.CORE_FIELDS:
        assert name in text
    for agent in AGENTS:
        assert agent.agent_id in text
    for part in ("4,294,967,295 neurons", "2:07:34.321 after start", "locked areas", "hashes", "last events"):
        assert part in text
    assert "more fields" not in text


def test_80_by_24_shows_the_fields_that_matter_and_three_agents_and_events():
    lines = drawn(80, 24)
    text = "\n".join(lines)
    shown = [name for name in spec.CORE_FIELDS if name in text]
    assert len(shown) >= 14
    assert {"burst_engine_state", "neuron_count", "synapse_count", "burst_frequency"} <= set(shown)
    assert f"... {len(spec.CORE_FIELDS) - len(shown)} more fields: feagi-state get all" in text
    assert text.count("video_agent_") == 3
    assert text.count("application event 256") == 3
    assert "4,294,967,295 \n" not in text


@pytest.mark.parametrize(("size", "fields"), [((60, 15), 4), ((40, 24), 8), ((40, 8), 2)])
def test_a_small_terminal_shows_the_most_important_fields(size, fields):
    lines = drawn(*size)
    shown = [name for name in live.IMPORTANT_FIELDS if any(name[:14] in line for line in lines)]
    assert shown[:2] == ["burst_engine_state", "burst_frequency"]
    assert len(shown) >= fields
    assert any("more fields: feagi-state get all" in line for line in lines)
    assert any("application event 256" in line for line in lines)
