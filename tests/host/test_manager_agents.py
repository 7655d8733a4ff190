"""The registry of a StateManager."""

from __future__ import annotations

import threading

import pytest

from feagi_state import (
    AgentAlreadyRegistered,
    AgentInfo,
    AgentNotFound,
    AgentType,
    CapacityError,
    InvalidOperation,
    InvalidValue,
    StateManager,
)
from processes import program


@pytest.fixture
def state():
    """Its clock is the test's."""
    with StateManager("micro", cached_clock=True) as made:
        made.tick(1_000)
        yield made


def test_an_agent_from_registration_to_deregistration(state):
    handle = state.register_agent("cam", AgentType.MOTOR, "160x120")
    assert handle > 0
    info = AgentInfo("cam", AgentType.MOTOR, 1_000, 1_000, "160x120", handle)
    assert state.get_agent("cam") == state.get_agent(b"cam") == info
    assert state.get_agents() == state.agents == [info]
    assert state.agent_count == 1
    state.deregister_agent("cam")
    assert state.get_agents() == [] and state.agent_count == 0
    with pytest.raises(AgentNotFound, match="'cam'"):
        state.get_agent("cam")
    again = state.register_agent("cam")
    assert again != handle and state.get_agent("cam") == AgentInfo("cam", AgentType.SENSORY, 1_000, 1_000, None, again)


def test_an_agent_info_is_as_good(state):
    handle = state.register_agent(AgentInfo("cam", AgentType.BOTH, metadata="x"))
    assert state.get_agent("cam") == AgentInfo("cam", AgentType.BOTH, 1_000, 1_000, "x", handle)
    state.deregister_agent("cam")
    state.register_agent(AgentInfo("cam"))
    assert state.get_agent("cam").agent_type is AgentType.SENSORY
    with pytest.raises(InvalidOperation, match="AgentInfo"):
        state.register_agent(AgentInfo("mic"), AgentType.MOTOR)
    with pytest.raises(InvalidOperation):
        state.register_agent(AgentInfo("mic"), metadata="x")
    assert state.agent_count == 1


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (AgentType.VISUALIZATION, AgentType.VISUALIZATION),
        (4, AgentType.INFRASTRUCTURE),
        ("motor", AgentType.MOTOR),
        ("Both", AgentType.BOTH),
        (" INFRASTRUCTURE ", AgentType.INFRASTRUCTURE),
        ("toaster", AgentType.SENSORY),
        ("", AgentType.SENSORY),
    ],
)
def test_types_are_numbers_or_texts(state, given, taken):
    state.register_agent("cam", given)
    assert state.get_agent("cam").agent_type is taken


@pytest.mark.parametrize("wrong", [5, -1, 1.5, None])
def test_a_type_that_there_is_not_is_refused(state, wrong):
    with pytest.raises(InvalidValue, match="agent type"):
        state.register_agent("cam", wrong)
    assert state.agent_count == 0


@pytest.mark.parametrize("name", ["x", "x" * 31, "ü" * 15, "世" * 10, "a\0b", "\U0001f9e0"])
def test_ids_of_one_to_31_bytes(state, name):
    state.register_agent(name)
    assert state.get_agent(name).agent_id == name
    assert state.get_agent(name.encode()).agent_id == name
    state.heartbeat(name)
    state.deregister_agent(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("x" * 32, "32 bytes of UTF-8, at most 31"),
        ("世" * 11, "33 bytes of UTF-8, at most 31"),
        ("\ud800", "UTF-8"),
        (b"\xff", "UTF-8"),
        (None, "text"),
        (5, "text"),
    ],
)
def test_an_id_that_does_not_fit_is_refused_with_both_lengths(state, name, says):
    with pytest.raises(InvalidValue, match=says):
        state.register_agent(name)
    assert state.agent_count == 0


@pytest.mark.parametrize(("profile", "most"), [("tiny", 0), ("micro", 24), ("host", 256)])
def test_metadata_up_to_the_profiles_length(profile, most):
    with StateManager(profile) as state:
        state.register_agent("cam", metadata="m" * most)
        assert state.get_agent("cam").metadata == ("m" * most or None)
        with pytest.raises(InvalidValue, match=f"{most + 2} bytes of UTF-8, this region's profile takes {most}"):
            state.register_agent("mic", metadata="ü" * (most // 2 + 1))
        state.register_agent("empty", metadata="")
        assert state.get_agent("empty").metadata is None


def test_a_second_agent_of_this_id_is_refused(state):
    state.register_agent("cam", AgentType.MOTOR)
    with pytest.raises(AgentAlreadyRegistered, match="'cam'"):
        state.register_agent("cam")
    assert state.get_agent("cam").agent_type is AgentType.MOTOR


@pytest.mark.parametrize(("profile", "most"), [("tiny", 4), ("micro", 16), ("host", 256)])
def test_a_full_registry_says_how_many_there_are(profile, most):
    with StateManager(profile) as state:
        handles = {state.register_agent(f"agent {i}") for i in range(most)}
        assert len(handles) == most == state.agent_count
        with pytest.raises(CapacityError, match=f"there are {most}"):
            state.register_agent("one more")
        assert {agent.agent_id for agent in state.agents} == {f"agent {i}" for i in range(most)}
        state.deregister_agent("agent 2")
        state.register_agent("one more")
        assert state.agent_count == most


@pytest.mark.parametrize("unknown", ["nobody", "", "x" * 500])
def test_an_unknown_id_is_an_error_by_name(state, unknown):
    for call in (state.get_agent, state.deregister_agent, state.heartbeat):
        with pytest.raises(AgentNotFound):
            call(unknown)


def test_a_heartbeat_by_id_and_by_handle(state):
    handle = state.register_agent("cam")
    state.tick(2_000)
    state.heartbeat("cam")
    assert state.get_agent("cam").last_seen == 2_000
    state.tick(3_000)
    state.heartbeat(handle)
    assert (state.get_agent("cam").last_seen, state.get_agent("cam").registered_at) == (3_000, 1_000)
    state.deregister_agent("cam")
    state.register_agent("cam")  # very likely in the same slot
    for old in (handle, handle ^ 0x10000, 0, 0xFFFF, 2**32, 2**70, -1):
        with pytest.raises(AgentNotFound, match="handle"):
            state.heartbeat(old)


def test_stale_agents_are_evicted(state):
    for name, at in (("old", 1_000), ("newer", 5_000), ("new", 9_000)):
        state.tick(at)
        state.register_agent(name)
    events = state.subscribe_events(timeout_s=0)
    state.tick(10_000)
    assert state.evict_stale(9) == 0  # just so long ago
    assert state.evict_stale(4.999) == 2
    assert [agent.agent_id for agent in state.agents] == ["new"] and state.agent_count == 1
    assert sorted(event.value for event in events) == ["newer", "old"]
    assert state.evict_stale(0) == 1
    assert state.evict_stale(0) == 0
    for wrong in (-1, float("inf"), float("nan"), "5", None):
        with pytest.raises(InvalidValue, match="age"):
            state.evict_stale(wrong)


def test_an_agent_from_the_future_is_not_stale(state):
    state.tick(5_000)
    state.register_agent("cam")
    state.tick(1_000)
    assert state.evict_stale(0) == 0


def test_the_registry_is_whole_at_every_instant_of_a_registration(tmp_path):
    """Another process registers and deregisters two agents in turn; nobody ever sees a count that is not the list's."""
    code = """
state = StateManager.attach(sys.argv[1])
say("ready")
for i in range(30000):
    state.register_agent("cam", "motor", "m" * (i % 25))
    state.deregister_agent("cam")
say("done")
"""
    with StateManager.create(tmp_path / "region", "micro") as state, program(code, tmp_path / "region") as other:
        state.register_agent("always")
        other.hear()
        counts = set()
        finished = threading.Event()
        waiting = threading.Thread(target=lambda: (other.hear(), finished.set()))
        waiting.start()
        while not finished.is_set():
            snapshot = state.create_snapshot()
            assert snapshot.agent_count == len(snapshot.agents)
            counts.add(snapshot.agent_count)
            for agent in state.get_agents():
                assert agent.agent_id == "always" or set(agent.metadata or "m") == {"m"}
        waiting.join()
        assert counts <= {1, 2}
        assert [agent.agent_id for agent in state.agents] == ["always"]
