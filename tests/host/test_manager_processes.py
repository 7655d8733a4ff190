"""One region, several processes: no write is lost, no snapshot is torn, and who is killed leaves it whole."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from feagi_state import BurstEngineState, GenomeState, RegionBusy, StateManager
from processes import program

ADDITIONS = 10_000


@pytest.fixture
def state(tmp_path):
    with StateManager.create(tmp_path / "region", "micro") as made:
        yield made


def add_much(path: str) -> None:
    with StateManager.attach(path) as state:
        for _ in range(ADDITIONS):
            state.add_neuron_count()
            state.add("genome_timestamp", 2)


def test_two_processes_add_exactly(state):
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=add_much, args=(str(state.path),)) for _ in range(2)]
    for other in others:
        other.start()
    add_much(str(state.path))
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    assert (state.neuron_count, state.genome_timestamp, state.version) == (3 * ADDITIONS, 6 * ADDITIONS, 6 * ADDITIONS)


UPDATER = """
state = StateManager.attach(sys.argv[1])
say("ready")
number = 0
while True:
    number += 1
    with state.update():
        state.neuron_count = number
        state.burst_engine_state = number % 8
        state.genome_timestamp = number
        state.brain_regions_hash = number
        state.agent_data_hash = number
        state.add_synapse_count(1)
"""


@pytest.mark.parametrize("readonly", [False, True])
def test_no_snapshot_has_half_of_another_processs_update(state, readonly):
    with program(UPDATER, state.path) as writer, StateManager.attach(state.path, readonly=readonly) as reader:
        writer.hear()
        seen = set()
        while len(seen) < 300:
            found = reader.create_snapshot()
            hashes = found.hashes
            numbers = {found.neuron_count, found.synapse_count, found.genome_timestamp, hashes["brain_regions"], hashes["agent_data"]}
            assert len(numbers) == 1, numbers
            assert found.burst_engine_state == found.neuron_count % 8
            seen |= numbers
            health = reader.health_check()
            assert health["neuron_count"] == health["synapse_count"] == health["brain_regions_hash"]


def test_updates_of_several_processes_add_up(state):
    code = """
state = StateManager.attach(sys.argv[1])
hear()
for _ in range(3000):
    with state.update():
        state.add_neuron_count(2)
        state.add_synapse_count(1)
        state.subtract_neuron_count(1)
    state.add_neuron_count(1)
"""
    with program(code, state.path) as one, program(code, state.path) as two:
        one.say("go")
        two.say("go")
        assert one.end() == two.end() == 0
    assert (state.neuron_count, state.synapse_count) == (12_000, 6_000)


KILLED = {
    "update": UPDATER,
    "registry": """
state = StateManager.attach(sys.argv[1])
say("ready")
while True:
    state.register_agent("cam", "motor", "m" * 24)
    state.deregister_agent("cam")
""",
    "everything": """
state = StateManager.attach(sys.argv[1])
say("ready")
number = 0
while True:
    number += 1
    if state.try_lock(number % 8): state.unlock(number % 8)
    state.set_fcl_window(number % 8, number)
    state.remove_fcl_window(number % 8)
    state.init_area_stats("v1")
    state.change_area_stats("v1", number, 1, -1)
    state.genome_state = number % 5
    state.emit(300, number)
    name = f"agent {number % 8}"
    if name in {agent.agent_id for agent in state.agents}: state.deregister_agent(name)
    else: state.register_agent(name)
""",
}


@pytest.mark.parametrize("what", list(KILLED))
def test_who_is_killed_leaves_a_region_that_others_use(state, what):
    for _ in range(10):
        with program(KILLED[what], state.path) as writer:
            writer.hear()
            start = state.version
            while state.version < start + 50:
                assert writer.process.poll() is None
            writer.kill()
        found = state.create_snapshot()
        assert found.agent_count == len(found.agents)
        if what == "update":
            assert found.neuron_count == found.genome_timestamp == found.brain_regions_hash == found.agent_data_hash
            with state.update():  # the next writer begins again at 1
                state.synapse_count = 0
                state.neuron_count = state.genome_timestamp = 0
        for agent in found.agents:
            state.deregister_agent(agent.agent_id)
        assert state.agent_count == 0 and state.get_locked_areas() == []
        state.genome_state = GenomeState.MISSING
        state.burst_engine_state = BurstEngineState.READY
        events = state.subscribe_events(timeout_s=0)
        state.emit(999, 1)
        assert [event.value for event in events] == [1] and events.lost == 0


@pytest.mark.slow
def test_a_process_that_stands_still_holds_up_whoever_must_wait_and_no_reader(state):
    """It holds the region's lock and neither dies nor goes on: who needs the lock gives up, and nothing was changed."""
    code = """
import struct
from feagi_state import _core
state = StateManager.attach(sys.argv[1])
at = state._region_len + spec.SHARED_FIELDS["lock"].offset
state._memory[at:at + 8] = struct.pack("<Q", _core.process_id())
say("ready")
hear()
"""
    with program(code, state.path) as other:
        other.hear()
        state.neuron_count = 5  # one word needs no lock
        assert state.create_snapshot().neuron_count == 5
        with pytest.raises(RegionBusy):
            state.register_agent("cam")
        assert state.agent_count == 0
        other.kill()
        state.register_agent("mic")
    assert [agent.agent_id for agent in state.agents] == ["mic"]


def test_a_file_that_is_unlinked_stays_with_those_who_have_it(state):
    with StateManager.attach(state.path) as other:
        Path(state.path).unlink()
        state.neuron_count = 5
        assert other.neuron_count == 5
        with StateManager.create(state.path, "micro") as new:
            assert new.neuron_count == 0
