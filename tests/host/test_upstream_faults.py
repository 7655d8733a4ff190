"""One test for each fault of FEAGI's own state manager: ours does not have it.

Two of its faults are no matter of the host: that its `no_std` build does not compile, which tests/core/test_freestanding.py
and the firmware builds hold against ours, and that its `wasm` build does not.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from feagi_state import (
    AgentInfo,
    AgentType,
    BurstEngineState,
    EventKind,
    GenomeState,
    InvalidField,
    InvalidValue,
    NotLockOwner,
    StateManager,
    spec,
)
from processes import program

U32, U64 = 2**32 - 1, 2**64 - 1
COUNTERS = [name for name, field in spec.CORE_FIELDS.items() if field.writable and field.type in ("u32", "u64")]


@pytest.fixture
def state(tmp_path):
    with StateManager.create(tmp_path / "region", "micro") as made:
        yield made


@pytest.mark.parametrize("name", COUNTERS)
def test_subtracting_at_0_returns_0_but_stores_4294967295(state, name):
    assert state.subtract(name, 1) == 0
    assert getattr(state, name) == 0
    setattr(state, name, 3)
    assert getattr(state, f"subtract_{name}")(5) == 0 == getattr(state, name)


def test_decrementing_agent_count_at_0_stores_4294967295(state):
    with pytest.raises(InvalidField):
        state.subtract("agent_count", 1)
    state.register_agent("cam")
    state.deregister_agent("cam")
    assert state.agent_count == 0


@pytest.mark.parametrize("name", COUNTERS)
def test_adding_beyond_the_maximum_panics_or_wraps(state, name):
    most = spec.CORE_FIELDS[name].maximum
    setattr(state, name, most - 1)
    assert state.add(name, 5) == most == getattr(state, name)


def test_area_statistics_and_counts_saturate_alike(state):
    state.init_area_stats("v1")
    state.change_area_stats("v1", -1, U32, 5)
    state.change_area_stats("v1", 0, 1, -6)
    stats = state.get_area_stats("v1")
    assert (stats.neuron_count, stats.incoming_synapse_count, stats.outgoing_synapse_count) == (0, U32, 0)


def test_nothing_maps_memory(state):
    code = """
state = StateManager.attach(sys.argv[1])
state.neuron_count = 77
say(state.synapse_count)
"""
    state.synapse_count = 55
    with program(code, state.path) as other:
        assert other.hear() == "55"
    assert state.neuron_count == 77
    raw = Path(state.path).read_bytes()
    at = spec.HEADER_LEN_BYTES + spec.CORE_FIELDS["neuron_count"].offset
    assert int.from_bytes(raw[at : at + 4], "little") == 77


def test_no_event_is_ever_emitted(state):
    events = state.subscribe_events(timeout_s=0)
    state.burst_engine_state = BurstEngineState.RUNNING
    state.genome_state = GenomeState.LOADED
    state.register_agent("cam")
    state.deregister_agent("cam")
    assert [(event.kind, event.value) for event in events] == [
        (EventKind.BURST_ENGINE_STATE_CHANGED, BurstEngineState.RUNNING),
        (EventKind.GENOME_STATE_CHANGED, GenomeState.LOADED),
        (EventKind.AGENT_REGISTERED, "cam"),
        (EventKind.AGENT_DEREGISTERED, "cam"),
    ]


@pytest.mark.parametrize("name", [name for name, field in spec.CORE_FIELDS.items() if field.enum])
def test_no_transition_is_ever_checked(state, name):
    """Any state may follow any other, as FEAGI's engine needs it; what is no state is refused."""
    for wrong in (max(spec.CORE_FIELDS[name].enum) + 1, 255, 256, -1):
        with pytest.raises(InvalidValue, match=name):
            setattr(state, name, wrong)
    assert getattr(state, name) == 0 and state.version == 0


def test_load_from_file_restores_nothing(state, tmp_path):
    state.neuron_count = 5
    state.register_agent("cam", AgentType.MOTOR)
    state.init_area_stats("v1")
    state.set_fcl_window(3, 33)
    state.save(tmp_path / "saved")
    state.neuron_count = 6
    state.deregister_agent("cam")
    state.restore(tmp_path / "saved")
    with StateManager.load(tmp_path / "saved") as loaded:
        for one in (state, loaded):
            assert one.neuron_count == 5 and one.get_agent("cam").agent_type is AgentType.MOTOR
            assert one.get_fcl_windows() == {3: 33} and list(one.get_all_area_stats()) == ["v1"]


def test_a_snapshot_can_be_torn(state):
    code = """
state = StateManager.attach(sys.argv[1])
say("ready")
number = 0
while True:
    number += 1
    with state.update():
        state.neuron_count = state.synapse_count = state.genome_timestamp = number
"""
    with program(code, state.path) as writer:
        writer.hear()
        seen = set()
        while len(seen) < 200:
            snapshot = state.create_snapshot()
            assert snapshot.neuron_count == snapshot.synapse_count == snapshot.genome_timestamp
            seen.add(snapshot.neuron_count)


def test_subscribe_events_get_agents_and_an_agent_info_of_four_do_not_exist(state):
    assert next(state.subscribe_events(from_start=True, timeout_s=0), None) is None
    state.register_agent(AgentInfo("cam", AgentType.MOTOR, 0, 0))
    assert [agent.agent_id for agent in state.get_agents()] == ["cam"]


def test_stale_agents_are_never_evicted():
    with StateManager("tiny", cached_clock=True) as state:
        state.tick(1_000)
        state.register_agent("stale")
        state.tick(40_000)
        state.register_agent("fresh")
        assert state.evict_stale(30) == 1
        assert [agent.agent_id for agent in state.get_agents()] == ["fresh"]


def test_anybody_unlocks_a_cortical_area(state):
    assert state.try_lock(7)
    with StateManager.attach(state.path) as other, pytest.raises(NotLockOwner):
        other.unlock(7)
    with pytest.raises(NotLockOwner):
        state.unlock(7, owner=1)
    assert state.is_locked(7)


def test_wait_free_cortical_locks_are_a_mutex_that_the_dead_keep(state):
    code = "state = StateManager.attach(sys.argv[1]); state.try_lock(7); say('locked'); hear()"
    with program(code, state.path) as other:
        other.hear()
        other.kill()
    assert not state.is_locked(7) and state.try_lock(7)


def test_agent_count_and_the_registry_can_disagree(state):
    for number in range(20):
        try:
            state.register_agent(f"agent {number}")
        except Exception as error:
            assert type(error).__name__ == "CapacityError"
        with pytest.raises(InvalidField):
            state.agent_count = number
        snapshot = state.create_snapshot()
        assert snapshot.agent_count == len(snapshot.agents) == state.agent_count == len(state.get_agents())


def test_every_write_reads_the_precise_clock(state):
    """Ours asks for the time of the kernel's last tick, which costs a fifth, or is told: true to 10 ms, and no thread."""
    threads = len(os.listdir("/proc/self/task"))
    coarse = 5  # CLOCK_REALTIME_COARSE
    assert time.clock_getres(coarse) <= 0.01
    for _ in range(1000):
        before = time.clock_gettime_ns(coarse)
        state.neuron_count = 1
        after = time.clock_gettime_ns(coarse)
        assert before // 1_000_000 <= state.last_modified <= after // 1_000_000
    with StateManager("tiny", cached_clock=True) as cached:
        cached.tick(5)
        cached.neuron_count = 1
        assert cached.last_modified == 5
    assert len(os.listdir("/proc/self/task")) == threads
