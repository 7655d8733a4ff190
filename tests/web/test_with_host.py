"""What the host's C core writes opens in WebAssembly, byte for byte, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common import ROOT, run
from feagi_state import AgentType, BurstEngineState, StateManager, spec

BUILDS = ("single", "threaded")


def fill(state: StateManager) -> None:
    """Something in every section."""
    state.burst_engine_state = BurstEngineState.RUNNING
    state.burst_frequency = 12.5
    state.neuron_count = 4294967295
    state.genome_timestamp = 2**40
    state.fatigue_index = 30
    state.brain_regions_hash = 2**40 + 1
    state.register_agent("caméra", AgentType.MOTOR, metadata="160x120")
    state.register_agent("gone")
    state.deregister_agent("gone")
    state.set_fcl_window(7, 12)
    state.set_fcl_window(None, 40)
    state.init_area_stats("v1")
    state.set_area_stats("v1", 10, 20, 30)


@pytest.fixture(params=[name for name, profile in spec.PROFILES.items() if profile.agent_metadata_len])
def region(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[StateManager, Path]]:
    """A filled region of each profile that has room for agents' metadata, in a file, and the file."""
    path = tmp_path / "region"
    with StateManager.create(path, request.param) as state:
        fill(state)
        yield state, path


def reopen(build: str, what: str, file: Path) -> tuple[dict[str, Any], bytes, Path]:
    """What the package found in a file, what it wrote back, and the file with what it wrote after changes."""
    out = file.with_name(f"{file.name}.{build}")
    done = run("node", ROOT / "tests" / "web" / "reopen.mjs", build, what, file, out)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out.read_bytes(), out.with_name(f"{out.name}.changed")


def assert_found(found: dict[str, Any], state: StateManager) -> None:
    fields = {name: getattr(state, name) for name in spec.CORE_FIELDS}
    assert {name: value for name, value in found["fields"].items() if name not in ("version", "last_modified")} == {
        name: value for name, value in fields.items() if name not in ("version", "last_modified")
    }
    assert found["hashes"] == {"brain_regions": 2**40 + 1, "agent_data": 0}
    [agent] = found["agents"]
    assert (agent["agent_id"], agent["agent_type"], agent["metadata"]) == ("caméra", AgentType.MOTOR, "160x120")
    assert found["windows"] == [[7, 12], ["default", 40]]
    assert found["stats"] == [["v1", {"neuron_count": 10, "incoming_synapse_count": 20, "outgoing_synapse_count": 30}]]


def assert_changed(state: StateManager) -> None:
    assert (state.neuron_count, state.morphologies_hash, state.genome_timestamp) == (77, 0xFEDCBA9876543210, 2**40)
    assert {agent.agent_id: agent.metadata for agent in state.get_agents()} == {"caméra": "160x120", "from the browser": "wasm"}
    assert (state.get_area_stats("v9").neuron_count, state.get_area_stats("v1").neuron_count) == (9, 10)
    assert state.get_fcl_windows() == {7: 12}


@pytest.mark.parametrize("build", BUILDS)
def test_a_region_of_the_host_opens_as_it_is_and_goes_back(region: tuple[StateManager, Path], build: str) -> None:
    state, path = region
    assert state.try_lock(5)
    whole = path.read_bytes()
    region_len = spec.PROFILES[state.profile].region_len
    given = path.with_name("given")
    given.write_bytes(whole[:region_len])
    found, back, changed = reopen(build, "region", given)
    assert back == whole[:region_len]
    assert_found(found, state)
    assert [area for area, _ in found["locks"]] == [5]
    assert (found["fields"]["version"], found["fields"]["last_modified"]) == (state.version, state.last_modified)
    assert [(e["kind"], e["arg"]) for e in found["events"]] == [(e.kind, e.arg) for e in state.subscribe_events(from_start=True, timeout_s=0)]
    again = path.with_name("again")
    again.write_bytes(changed.read_bytes() + whole[region_len:])
    with StateManager.attach(again) as attached:
        assert_changed(attached)
        assert attached.version == state.version + 2  # neuron_count and the agent


@pytest.mark.parametrize("build", BUILDS)
def test_a_file_that_the_host_saved_opens_and_goes_back(region: tuple[StateManager, Path], build: str) -> None:
    state, path = region
    saved = path.with_name("saved")
    state.save(saved)
    found, back, changed = reopen(build, "snapshot", saved)
    assert_found(found, state)
    assert found["locks"] == []
    returned = path.with_name("returned")
    returned.write_bytes(back)
    unchanged = StateManager.load(returned)
    for name in ("hashes", "fcl_windows", "area_stats"):
        assert getattr(unchanged.create_snapshot(), name) == getattr(state.create_snapshot(), name), name
    assert_changed(StateManager.load(changed))
