"""StateManager alone: fields, hashes, updates, snapshots, and what belongs to the process."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import struct
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

import feagi_state
from feagi_state import (
    AgentType,
    BurstEngineState,
    CapacityError,
    ConnectomeState,
    GenomeState,
    InvalidField,
    InvalidOperation,
    InvalidValue,
    RegionClosed,
    ServiceState,
    Snapshot,
    StateError,
    StateManager,
    spec,
)
from processes import in_fork

COUNTERS = [name for name, field in spec.CORE_FIELDS.items() if field.writable and field.type in ("u32", "u64")]
PERCENTAGES = [name for name, field in spec.CORE_FIELDS.items() if field.unit == "%"]
U32, U64 = 2**32 - 1, 2**64 - 1


# ----------------------------------------------------------------------------------------------------------- fields


def test_a_new_state_is_what_feagi_begins_with(state):
    assert state.burst_engine_state is BurstEngineState.UNAVAILABLE
    assert state.genome_state is GenomeState.MISSING
    assert state.connectome_state is ConnectomeState.MISSING
    assert state.api_state is ServiceState.UNAVAILABLE
    assert state.brain_readiness is False
    assert isinstance(state.burst_frequency, float)
    assert all(getattr(state, name) == 0 for name in spec.CORE_FIELDS)
    assert set(state.hashes.values()) == {0}
    assert (state.agents, state.get_locked_areas(), state.get_fcl_windows(), state.get_all_area_stats()) == ([], [], {}, {})
    assert state.get_fcl_window(5) == 20
    assert (state.profile, state.path, state.writable, state.closed) == ("tiny", None, True, False)


@pytest.mark.parametrize("name", [n for n, f in spec.CORE_FIELDS.items() if f.enum])
def test_every_value_of_an_enum_comes_back_as_its_member(state, name):
    enum = spec.CORE_FIELDS[name].enum
    for member in enum:
        setattr(state, name, member)
        assert getattr(state, name) is member
        setattr(state, name, int(member))
        assert getattr(state, name) is member
    with pytest.raises(InvalidValue, match=f"{name} is one of .*{list(enum)[-1].name}"):
        setattr(state, name, max(enum) + 1)
    assert getattr(state, name) is list(enum)[-1]


@pytest.mark.parametrize("name", PERCENTAGES)
def test_a_percentage_is_clamped(state, name):
    for value, stored in ((0, 0), (100, 100), (101, 100), (U64, 100)):
        setattr(state, name, value)
        assert getattr(state, name) == stored


@given(st.floats(width=32))
def test_an_f32_keeps_its_bits(number):
    with StateManager("tiny") as state:
        state.burst_frequency = number
        assert struct.pack("<f", state.burst_frequency) == struct.pack("<f", number)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("neuron_count", -1),
        ("neuron_count", U32 + 1),
        ("neuron_count", 1.5),
        ("neuron_count", "5"),
        ("neuron_count", None),
        ("genome_timestamp", U64 + 1),
        ("burst_frequency", 1e39),
        ("burst_frequency", "fast"),
        ("brain_readiness", 2),
        ("burst_engine_state", -1),
        ("fatigue_index", -1),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name_and_changes_nothing(state, name, value):
    before = state.create_snapshot()
    with pytest.raises(InvalidValue, match=name):
        setattr(state, name, value)
    assert state.create_snapshot() == before


@pytest.mark.parametrize("name", ["agent_count", "version", "last_modified"])
def test_what_follows_from_other_writes_cannot_be_set(state, name):
    with pytest.raises(InvalidField, match=name):
        setattr(state, name, 1)
    with pytest.raises(InvalidField):
        state.add(name, 1)


def test_a_name_that_is_no_field_is_refused_with_those_near_it(state):
    with pytest.raises(InvalidField, match="neuron_count"):
        _ = state.neuron_cuont
    with pytest.raises(InvalidField, match="burst_frequency"):
        state.burst_freqency = 1.0
    with pytest.raises(InvalidField, match="synapse_count"):
        state.add("synapse_cuont", 1)
    with pytest.raises(InvalidField, match="neuron_count cannot be deleted"):
        del state.neuron_count
    assert not hasattr(state, "anything")
    assert getattr(state, "anything", 5) == 5


def test_names_that_were_made_at_run_time_are_the_same_fields(state):
    name = "".join(["neuron", "_count"])
    setattr(state, name, 7)
    assert getattr(state, name) == state.neuron_count == 7


@pytest.mark.parametrize("name", COUNTERS)
@given(data=st.data())
def test_counters_saturate(name, data):
    most = spec.CORE_FIELDS[name].maximum
    values = st.one_of(st.integers(0, most), st.sampled_from([0, 1, most - 1, most]))
    with StateManager("tiny") as state:
        model = data.draw(values)
        setattr(state, name, model)
        for amount, down in data.draw(st.lists(st.tuples(values, st.booleans()), max_size=8)):
            model = max(0, model - amount) if down else min(most, model + amount)
            change = getattr(state, f"{'subtract' if down else 'add'}_{name}")
            assert change(amount) == model == getattr(state, name)


def test_counters_go_by_one_unless_told(state):
    assert state.add_neuron_count() == 1
    assert state.add("neuron_count", 4) == 5
    assert state.subtract_neuron_count() == 4
    assert state.subtract("neuron_count", 9) == 0
    for wrong in (-1, U32 + 1, 1.5, "1"):
        with pytest.raises(InvalidValue):
            state.add_neuron_count(wrong)
    with pytest.raises(InvalidOperation, match="fatigue_index"):
        state.add("fatigue_index", 1)


def test_every_counter_has_its_methods_with_a_word_to_each():
    for name in COUNTERS:
        for verb in ("add", "subtract"):
            assert name in getattr(StateManager, f"{verb}_{name}").__doc__
    assert not hasattr(StateManager, "add_agent_count") and not hasattr(StateManager, "add_version")


def test_every_write_of_the_core_block_counts_and_tells_the_time(state):
    before = time.time() * 1000
    state.neuron_count = 1
    state.add_neuron_count()
    assert state.version == 2
    state.morphologies_hash = 5
    assert state.version == 2
    assert before - 10 <= state.last_modified <= time.time() * 1000


def test_a_cached_clock_stands_still_until_it_is_told():
    with StateManager("tiny", cached_clock=True) as state:
        state.tick(1_000)
        state.neuron_count = 1
        state.register_agent("cam")
        assert state.last_modified == state.get_agent("cam").registered_at == 1_000
        state.tick(5_000)
        state.heartbeat("cam")
        assert state.get_agent("cam").last_seen == 5_000
        state.tick()
        state.neuron_count = 1
        assert abs(state.last_modified - time.time() * 1000) < 60_000


@pytest.mark.parametrize("name", list(spec.HASH_ATTRIBUTES))
def test_a_hash_is_an_attribute_as_on_the_board(state, name):
    for value in (1, U64, 0, U64 - 7):
        setattr(state, name, value)
        assert getattr(state, name) == value
        assert getattr(state.create_snapshot(), name) == value
    for wrong in (-1, U64 + 1, 1.0, "1", None):
        with pytest.raises(InvalidValue, match=f"{name} is an int from 0 to {U64}"):
            setattr(state, name, wrong)
    with pytest.raises(InvalidField, match=f"{name} cannot be deleted"):
        delattr(state, name)
    with pytest.raises(InvalidOperation, match=f"{name} is no counter"):
        state.add(name, 1)
    assert getattr(state, name) == U64 - 7
    others = {getattr(state, other) for other in spec.HASH_ATTRIBUTES if other != name}
    assert others == {0}


def test_a_misspelt_hash_is_refused_with_those_near_it(state):
    with pytest.raises(InvalidField, match="morphologies_hash"):
        state.morphology_hash = 1
    with pytest.raises(InvalidField, match="morphologies_hash"):
        _ = state.morfologies_hash


def test_all_hashes_of_one_instant(state):
    for number, name in enumerate(spec.HASH_ATTRIBUTES):
        setattr(state, name, U64 - number)
    assert state.hashes == {name: U64 - number for number, name in enumerate(spec.HASHES_FIELDS)}
    assert [getattr(state, f"{name}_hash") for name in state.hashes] == list(state.hashes.values())


def test_health_check_has_what_feagi_asks_for():
    with StateManager("micro") as state:
        state.burst_engine_state = BurstEngineState.RUNNING
        state.genome_state = GenomeState.LOADED
        state.brain_readiness = True
        for value, name in enumerate(["regular_neuron_count", "memory_neuron_count", "neuron_count", "synapse_count", "cortical_area_count"], 1):
            setattr(state, name, value)
        state.neuron_capacity, state.synapse_capacity, state.genome_timestamp = 10, 20, 30
        state.fatigue_index, state.fatigue_active = 85, True
        state.regular_neuron_util, state.memory_neuron_util, state.synapse_util = 1, 2, 3
        state.register_agent("cam")
        for value, name in enumerate(spec.HASH_ATTRIBUTES, U64 - 5):
            setattr(state, name, value)
        health = state.health_check()
    assert health == {
        "burst_engine": True,
        "connected_agents": 1,
        "neuron_count_max": 10,
        "synapse_count_max": 20,
        "genome_availability": True,
        "brain_readiness": True,
        "cortical_area_count": 5,
        "neuron_count": 3,
        "regular_neuron_count": 1,
        "memory_neuron_count": 2,
        "synapse_count": 4,
        "genome_timestamp": 30,
        "fatigue": {"fatigue_index": 85, "fatigue_active": True, "regular_neuron_util": 1, "memory_neuron_util": 2, "synapse_util": 3},
        **{name: value for value, name in enumerate(spec.HASH_ATTRIBUTES, U64 - 5)},
    }
    json.dumps(health)


# ---------------------------------------------------------------------------------------------------------- updates


def test_an_update_is_made_at_its_end(state):
    state.synapse_count = 1
    with state.update() as same:
        assert same is state
        state.neuron_count = 5
        assert state.add_synapse_count(2) == 3
        state.morphologies_hash = 9
        state.genome_state = GenomeState.LOADED
        assert (state.neuron_count, state.synapse_count, state.morphologies_hash) == (5, 3, 9)
        outside = state.create_snapshot()
        assert (outside.neuron_count, outside.synapse_count, outside.morphologies_hash) == (0, 1, 0)
        assert outside.genome_state is GenomeState.MISSING
    done = state.create_snapshot()
    assert (done.neuron_count, done.synapse_count, done.morphologies_hash, done.genome_state) == (5, 3, 9, GenomeState.LOADED)


def test_an_exception_forgets_the_update(state):
    before = state.create_snapshot()
    with pytest.raises(ZeroDivisionError), state.update():
        state.neuron_count = 5
        state.morphologies_hash = 9
        raise ZeroDivisionError
    assert state.create_snapshot() == before
    state.neuron_count = 6  # none is open any more
    assert state.create_snapshot().neuron_count == 6


def test_updates_do_not_nest(state):
    with state.update():
        state.neuron_count = 1
        with pytest.raises(InvalidOperation, match="nest"), state.update():
            pass
        state.synapse_count = 2
    assert (state.neuron_count, state.synapse_count) == (1, 2)
    with state.update():
        pass


def test_a_wrong_value_in_an_update_leaves_the_rest(state):
    with state.update():
        state.neuron_count = 1
        with pytest.raises(InvalidValue):
            state.synapse_count = -1
        with pytest.raises(InvalidOperation):
            state.add("fatigue_index", 1)
        state.fatigue_index = 200
        assert state.fatigue_index == 100
    assert (state.neuron_count, state.synapse_count, state.fatigue_index) == (1, 0, 100)


def test_an_update_takes_so_many_writes(state):
    before = state.create_snapshot()
    with pytest.raises(CapacityError, match=r"56 writes.*two updates"), state.update():
        for _ in range(57):
            state.add_neuron_count()
    assert state.create_snapshot() == before
    with state.update():
        for _ in range(56):
            state.add_neuron_count()
    assert state.neuron_count == 56


def test_an_update_is_one_event_of_the_last_value(state):
    events = state.subscribe_events(timeout_s=0)
    with state.update():
        state.burst_engine_state = BurstEngineState.READY
        state.burst_engine_state = BurstEngineState.RUNNING
    assert [event.value for event in events] == [BurstEngineState.RUNNING]


def test_what_is_no_field_acts_at_once_in_an_update(state):
    with pytest.raises(ZeroDivisionError), state.update():
        state.register_agent("cam")
        assert state.try_lock(7)
        raise ZeroDivisionError
    assert state.agent_count == 1 and state.is_locked(7)


def test_updates_of_threads_come_one_after_the_other(state):
    first_is_in, first_may_go = threading.Event(), threading.Event()
    seen = []

    def first():
        with state.update():
            state.neuron_count = 1
            first_is_in.set()
            first_may_go.wait()

    def second():
        with state.update():
            seen.append(state.neuron_count)
            state.synapse_count = 2

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    first_is_in.wait()
    threads[1].start()
    state.cortical_area_count = 3  # not this thread's update
    assert (state.neuron_count, state.cortical_area_count) == (0, 3)
    first_may_go.set()
    for thread in threads:
        thread.join()
    assert seen == [1] and state.synapse_count == 2


# -------------------------------------------------------------------------------------------------------- snapshots


def filled(profile="micro"):
    state = StateManager(profile)
    state.burst_engine_state = BurstEngineState.PAUSED
    state.burst_frequency = 12.5
    state.brain_readiness = True
    state.genome_timestamp = U64
    state.agent_data_hash = 7
    state.register_agent("cam", AgentType.BOTH, "160x120" if profile != "tiny" else None)
    state.try_lock(4, owner=9)
    state.set_fcl_window(3, 33)
    state.set_fcl_window(None, 44)
    state.init_area_stats("v1")
    state.change_area_stats("v1", 1, 2, 3)
    return state


def test_a_snapshot_has_everything_and_does_not_change():
    with filled() as state:
        snapshot = state.create_snapshot()
        fields = {name: getattr(state, name) for name in spec.CORE_FIELDS}
        agents, stats = state.get_agents(), state.get_all_area_stats()
        state.burst_engine_state = BurstEngineState.ERROR
        state.deregister_agent("cam")
        state.init_area_stats("v1")
        state.remove_fcl_window(3)
    assert {name: getattr(snapshot, name) for name in spec.CORE_FIELDS} == fields
    assert snapshot.burst_engine_state is BurstEngineState.PAUSED and snapshot.brain_readiness is True
    assert (snapshot.agents, snapshot.area_stats) == (agents, stats)
    assert snapshot.agent_data_hash == 7
    assert snapshot.locked_areas == {4: 9} and snapshot.fcl_windows == {3: 33}
    assert (snapshot.fcl_window(3), snapshot.fcl_window(5), snapshot.profile) == (33, 44, "micro")
    assert abs(snapshot.taken_at_ms - time.time() * 1000) < 60_000
    with pytest.raises(InvalidField, match="does not change"):
        snapshot.neuron_count = 1
    with pytest.raises(InvalidField):
        del snapshot.neuron_count
    with pytest.raises(InvalidField):
        snapshot.anything = 1


def test_a_snapshot_as_plain_data():
    with filled() as state:
        data = state.create_snapshot().as_dict()
    assert data["agents"][0]["agent_id"] == "cam" and data["burst_engine_state"] is BurstEngineState.PAUSED
    assert data["area_stats"] == {"v1": {"neuron_count": 1, "incoming_synapse_count": 2, "outgoing_synapse_count": 3}}
    assert set(spec.CORE_FIELDS) < set(data)
    assert json.loads(json.dumps(data))["fcl_windows"] == {"3": 33}


def test_snapshots_are_equal_until_something_is_written(state):
    first, again = state.create_snapshot(), state.create_snapshot()
    assert first == again and hash(first) == hash(again) and len({first, again}) == 1
    assert bytes(first) == bytes(again)
    state.neuron_count = 0
    assert state.create_snapshot() != first  # version and time
    assert first != bytes(first)


def test_snapshots_are_copied_and_sent():
    with filled() as state:
        snapshot = state.create_snapshot()
    for other in (copy.deepcopy(snapshot), pickle.loads(pickle.dumps(snapshot))):
        assert isinstance(other, Snapshot) and other == snapshot and other.as_dict() == snapshot.as_dict()


# ---------------------------------------------------------------------------------------------------------- objects


def test_after_close_every_access_says_so():
    state = StateManager("tiny")
    events = state.subscribe_events(timeout_s=0)
    state.close()
    state.close()
    assert state.closed and "closed" in repr(state)
    for access in (
        lambda: state.neuron_count,
        lambda: setattr(state, "neuron_count", 1),
        state.add_neuron_count,
        state.create_snapshot,
        state.health_check,
        state.get_agents,
        lambda: state.register_agent("cam"),
        lambda: state.try_lock(1),
        lambda: state.get_fcl_window(1),
        lambda: state.emit(300),
        lambda: state.update().__enter__(),
        lambda: next(events),
        lambda: state.tick(),
    ):
        with pytest.raises(RegionClosed, match="closed"):
            access()
    assert issubclass(RegionClosed, ValueError)  # as of a file


def test_an_object_that_was_not_made_is_none():
    state = StateManager.__new__(StateManager)
    assert "not made" in repr(state)
    with pytest.raises(RegionClosed, match="closed"):
        _ = state.neuron_count
    state.close()


def test_repr_names_profile_and_place(state, tmp_path):
    assert repr(state) == "<StateManager of profile tiny, private>"
    with StateManager.create(tmp_path / "region", "micro"), StateManager.attach(tmp_path / "region", readonly=True) as other:
        assert repr(other) == f"<StateManager of profile micro at {tmp_path}/region, read-only>"


def test_memory_is_given_back():
    state = StateManager("tiny")
    there = weakref.ref(state)
    del state
    gc.collect()
    assert there() is None


def test_a_state_is_not_sent_but_its_path_may_be(state):
    for send in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InvalidOperation, match="path"):
            send(state)


@pytest.mark.parametrize("profile", ["huge", "", None, 3])
def test_an_unknown_profile_is_refused_with_those_there_are(profile):
    with pytest.raises(InvalidValue, match="tiny, micro, host"):
        StateManager(profile)


@pytest.mark.parametrize("window", [-1, U32 + 1, "20"])
def test_an_impossible_default_window_is_refused(window):
    with pytest.raises(InvalidValue, match="FCL window"):
        StateManager("tiny", fcl_window_default=window)


def test_all_that_this_module_raises_is_a_state_error():
    for name in feagi_state.__all__:
        found = getattr(feagi_state, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert issubclass(found, StateError)


# --------------------------------------------------------------------------------------------- the process's own one


@pytest.fixture
def instance():
    found = StateManager.instance()
    yield found
    found.close()


def test_there_is_one_instance(instance):
    found = []
    threads = [threading.Thread(target=lambda: found.append(StateManager.instance())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one is instance for one in found) and instance.profile == "host"
    instance.close()
    assert StateManager.instance() is not instance and not StateManager.instance().closed
    StateManager.instance().close()


def test_many_threads_ask_for_the_first_instance_at_once(instance):
    instance.close()
    gate = threading.Barrier(8)
    found = []

    def ask():
        gate.wait()
        found.append(StateManager.instance())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    found[0].close()


def test_a_fork_has_an_instance_of_its_own_that_begins_as_a_copy(instance):
    instance.neuron_count = 5
    assert instance.try_lock(7)

    def in_child():
        own = StateManager.instance()
        assert own is instance and own.neuron_count == 5
        own.neuron_count = 6
        own.register_agent("child")
        # Its copy's locks were the parent's, who cannot unlock them here.
        return own.neuron_count, own.is_locked(7), own.try_lock(7), own.is_locked(7)

    assert in_fork(in_child) == (6, False, True, True)
    assert instance.neuron_count == 5 and instance.agent_count == 0 and instance.is_locked(7)


def test_a_fork_during_another_threads_update_can_update(state):
    is_in, may_go = threading.Event(), threading.Event()

    def update():
        with state.update():
            state.neuron_count = 1
            is_in.set()
            may_go.wait()

    thread = threading.Thread(target=update)
    thread.start()
    is_in.wait()

    def in_child():
        with state.update():
            state.synapse_count = 2
        return state.neuron_count, state.synapse_count

    try:
        assert in_fork(in_child) == (0, 2)
    finally:
        may_go.set()
        thread.join()
    assert (state.neuron_count, state.synapse_count) == (1, 0)


def test_a_fork_while_a_lock_of_the_copy_was_held_does_not_wait_for_it(state):
    """As a fork by a thread may find the memory where threads run at once."""
    at = state._region_len + spec.SHARED_FIELDS["lock"].offset
    state._memory[at : at + 8] = struct.pack("<Q", feagi_state._core.process_id())
    try:
        assert in_fork(lambda: state.register_agent("cam")) > 0
    finally:
        state._memory[at : at + 8] = bytes(8)


def test_threads_lose_no_write(state):
    def work():
        for _ in range(2000):
            state.add_neuron_count()
            state.add_genome_timestamp(3)
            with state.update():
                state.add_synapse_count(2)
                state.subtract_synapse_count(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (state.neuron_count, state.genome_timestamp, state.synapse_count) == (8000, 24000, 8000)
