"""One region, several processes: no write is lost, no snapshot is torn, and who is killed leaves it whole."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feagi_state import BurstEngineState, GenomeState, InvalidOperation, RegionBusy, StateManager
from processes import in_fork, program

ADDITIONS = 10_000
HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


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


COUNTER = """
state = StateManager.attach(sys.argv[1])
state.init_area_stats("v1")
say("ready")
number = 0
while True:
    number += 1
    if number % 2: state.set_area_stats("v1", number, number, number)
    else: state.change_area_stats("v1", 1, 1, 1)
"""


def test_nobody_finds_an_areas_counts_changed_in_part(state):
    with program(COUNTER, state.path) as writer, StateManager.attach(state.path, readonly=True) as reader:
        writer.hear()
        seen = set()
        while len(seen) < 300:
            for stats in (reader.get_area_stats("v1"), reader.create_snapshot().area_stats["v1"]):
                assert stats.neuron_count == stats.incoming_synapse_count == stats.outgoing_synapse_count
                seen.add(stats.neuron_count)


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


STOPPED = """
import os, signal, struct
from feagi_state import _core
state = StateManager.attach(sys.argv[1])
at = state._region_len + spec.SHARED_FIELDS["lock"].offset
state._memory[at:at + 8] = struct.pack("<Q", _core.process_id())
os.kill(os.getpid(), signal.SIGSTOP)
state._memory[at:at + 8] = bytes(8)
say("went on")
"""


@pytest.fixture
def stopped(state):
    """A process that holds the region's lock and stands still."""
    with program(STOPPED, state.path) as other:
        os.waitid(os.P_PID, other.process.pid, os.WSTOPPED)
        yield other


@pytest.fixture
def others_run_only_when_let():
    """No thread is interrupted: another one runs when this one waits, and lets it."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval_s)


def while_waiting(call, meanwhile):
    """What the call gives, in which this thread waits for a stopped process, and another thread does something."""
    may = threading.Event()
    with ThreadPoolExecutor(1) as others:
        other = others.submit(lambda: may.wait() and meanwhile())
        may.set()
        result = call()
        other.result()
    return result


WAITING = {
    "a registration": lambda state: state.register_agent("cam"),
    "an event": lambda state: state.emit(300, 1),
    "a state with an event": lambda state: setattr(state, "burst_engine_state", BurstEngineState.RUNNING),
    "statistics": lambda state: state.init_area_stats("v1"),
    "an update": lambda state: updated(state),
}


def updated(state):
    with state.update():
        state.neuron_count = 1


@pytest.mark.parametrize("what", list(WAITING))
def test_other_threads_run_while_one_waits_for_a_stopped_process(state, stopped, others_run_only_when_let, what):
    """If they did not, nobody could let the process go on, and the wait would end with RegionBusy."""
    while_waiting(lambda: WAITING[what](state), lambda: stopped.process.send_signal(signal.SIGCONT))
    assert stopped.hear() == "went on"


def test_a_region_is_used_and_not_closed_while_a_thread_waits_in_it(state, stopped, others_run_only_when_let):
    events = state.subscribe_events(timeout_s=0)

    def meanwhile():
        if HAS_GIL:  # else this thread may find the other one between two pauses
            for end in (state.close, lambda: state.__init__("tiny")):
                with pytest.raises(InvalidOperation, match="another thread waits"):
                    end()
        state.neuron_count = 5
        state.morphologies_hash = 6
        assert state.add_neuron_count() == 6
        assert state.try_lock(7)
        assert state.create_snapshot().neuron_count == 6
        assert in_fork(lambda: state.close() or state.closed)  # in which nobody waits
        assert state.agent_count == 0
        stopped.process.send_signal(signal.SIGCONT)
        state.register_agent("mic")  # waits as well

    while_waiting(lambda: state.register_agent("cam"), meanwhile)
    assert {agent.agent_id for agent in state.agents} == {"cam", "mic"}
    assert sorted(event.value for event in events) == ["cam", "mic"]
    state.close()


def test_an_update_that_waits_is_one_for_the_other_threads_too(state, stopped, others_run_only_when_let):
    def meanwhile():
        state.synapse_count = 3  # no part of the update
        assert (state.neuron_count, state.synapse_count) == (0, 3)
        stopped.process.send_signal(signal.SIGCONT)
        with state.update():
            assert state.neuron_count == 1
            state.synapse_count = 4

    while_waiting(lambda: updated(state), meanwhile)
    assert (state.neuron_count, state.synapse_count) == (1, 4)


def test_a_file_that_is_unlinked_stays_with_those_who_have_it(state):
    with StateManager.attach(state.path) as other:
        Path(state.path).unlink()
        state.neuron_count = 5
        assert other.neuron_count == 5
        with StateManager.create(state.path, "micro") as new:
            assert new.neuron_count == 0
