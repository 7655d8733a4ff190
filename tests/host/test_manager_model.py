"""A StateManager beside a model of it in plain Python: the same answers to any sequence of calls, also through another mapping."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feagi_state import (
    AgentAlreadyRegistered,
    AgentNotFound,
    AgentType,
    AreaNotFound,
    AreaStats,
    CapacityError,
    EventKind,
    NotLockOwner,
    StateManager,
    spec,
)

U32 = 2**32 - 1
SLOTS = {"tiny": (4, 8, 4), "micro": (16, 16, 16)}  # agents, areas of a table, statistics
FIELDS = {name: found for name, found in spec.CORE_FIELDS.items() if found.writable}
COUNTERS = [name for name, found in FIELDS.items() if found.type in ("u32", "u64")]
EVENTS = {"burst_engine_state": EventKind.BURST_ENGINE_STATE_CHANGED, "genome_state": EventKind.GENOME_STATE_CHANGED}

ids = st.sampled_from([f"agent {number}" for number in range(6)] + ["ü" * 15, "x" * 31])
areas = st.sampled_from([*range(9), 2**31, U32])
area_ids = st.sampled_from(["v1", "v2", "v3", "ü" * 8, "x" * 16])
owners = st.integers(1, 3)
u32s = st.one_of(st.integers(0, U32), st.sampled_from([0, 1, U32 - 1, U32]))


def a_value(name: str) -> st.SearchStrategy[Any]:
    found = FIELDS[name]
    if found.enum is not None:
        return st.sampled_from(list(found.enum))
    if found.type == "bool":
        return st.booleans()
    if found.type == "f32":
        return st.floats(width=32, allow_nan=False)
    return st.integers(0, 120 if found.unit == "%" else found.maximum)


writes = st.sampled_from(list(FIELDS)).flatmap(lambda name: st.tuples(st.just("set"), st.just(name), a_value(name)))
changes = st.tuples(st.sampled_from(["add", "subtract"]), st.sampled_from(COUNTERS), u32s)
hashes = st.tuples(st.just("hash"), st.sampled_from(list(spec.HASHES_FIELDS)), st.integers(0, 2**64 - 1))


@dataclass
class Model:
    """What a state holds, and which areas have places in its tables."""

    fields: dict[str, Any] = field(default_factory=lambda: {n: f.enum(0) if f.enum else 0 for n, f in FIELDS.items()})
    hashes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(spec.HASHES_FIELDS, 0))
    agents: dict[str, tuple[AgentType, str | None]] = field(default_factory=dict)
    windows: dict[int, int] = field(default_factory=dict)
    had_window: set[int] = field(default_factory=set)
    default: int = spec.FCL_WINDOW_DEFAULT
    stats: dict[str, list[int]] = field(default_factory=dict)

    def copy(self) -> Model:
        stats = {name: list(counts) for name, counts in self.stats.items()}
        return Model({**self.fields}, {**self.hashes}, {**self.agents}, {**self.windows}, {*self.had_window}, self.default, stats)

    def write(self, kind: str, name: str, value: Any) -> Any:
        if kind == "hash":
            self.hashes[name] = value
        elif kind == "set":
            self.fields[name] = min(100, value) if FIELDS[name].unit == "%" else value
        elif kind == "add":
            self.fields[name] = min(FIELDS[name].maximum, self.fields[name] + value)
        else:
            self.fields[name] = max(0, self.fields[name] - value)
        return self.fields.get(name)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()

    @initialize(profile=st.sampled_from(list(SLOTS)))
    def make(self, profile: str) -> None:
        self.state = StateManager.create(os.path.join(self.folder, "region"), profile)
        self.reader = StateManager.attach(self.state.path, readonly=True)
        self.profile = profile
        self.agents_most, self.areas_most, self.stats_most = SLOTS[profile]
        self.metadata_most = spec.PROFILES[profile].agent_metadata_len
        self.model = Model()
        self.locks: dict[int, int] = {}
        self.had_lock: set[int] = set()
        self.saved: Model | None = None
        self.version = 0
        self.events = self.reader.subscribe_events()
        self.expected: list[tuple[int, Any]] = []

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.state.close()
            self.reader.close()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------------------------- fields and hashes

    def apply(self, kind: str, name: str, value: Any) -> Any:
        if kind == "hash":
            return setattr(self.state, f"{name}_hash", value)
        if kind == "set":
            return setattr(self.state, name, value)
        return getattr(self.state, f"{kind}_{name}")(value)

    def tell(self, before: dict[str, Any]) -> None:
        for name, kind in EVENTS.items():
            if self.model.fields[name] != before[name]:
                self.expected.append((kind, self.model.fields[name]))

    @rule(write=st.one_of(writes, changes, hashes))
    def write_one(self, write: tuple[str, str, Any]) -> None:
        before = {**self.model.fields}
        value = self.model.write(*write)
        answer = self.apply(*write)
        assert answer is None or answer == value
        self.tell(before)

    @rule(group=st.lists(st.one_of(writes, changes, hashes), max_size=8), commit=st.booleans())
    def write_group(self, group: list[tuple[str, str, Any]], commit: bool) -> None:
        before, after = self.model.copy(), self.model.copy()
        version = self.state.version
        try:
            with self.state.update():
                for write in group:
                    value = after.write(*write)
                    answer = self.apply(*write)
                    assert answer is None or answer == value
                assert all(getattr(self.state, name) == value for name, value in after.fields.items())
                assert self.reader.create_snapshot().version == version
                if not commit:
                    raise ZeroDivisionError
            self.model = after
        except ZeroDivisionError:
            assert self.state.version == version
        self.tell(before.fields)

    # ------------------------------------------------------------------------------------------------------ agents

    @rule(name=ids, agent_type=st.sampled_from(AgentType), metadata=st.one_of(st.none(), st.text(max_size=6)))
    def register(self, name: str, agent_type: AgentType, metadata: str | None) -> None:
        if len((metadata or "").encode()) > self.metadata_most:
            metadata = None
        if name in self.model.agents:
            with pytest.raises(AgentAlreadyRegistered):
                self.state.register_agent(name, agent_type, metadata)
        elif len(self.model.agents) == self.agents_most:
            with pytest.raises(CapacityError):
                self.state.register_agent(name, agent_type, metadata)
        else:
            handle = self.state.register_agent(name, agent_type, metadata)
            self.model.agents[name] = (agent_type, metadata or None)
            self.expected.append((EventKind.AGENT_REGISTERED, name))
            assert self.reader.get_agent(name).handle == handle
            self.state.heartbeat(handle)

    @rule(name=ids)
    def deregister(self, name: str) -> None:
        if name not in self.model.agents:
            with pytest.raises(AgentNotFound):
                self.state.deregister_agent(name)
            return
        handle = self.state.get_agent(name).handle
        self.state.deregister_agent(name)
        del self.model.agents[name]
        self.expected.append((EventKind.AGENT_DEREGISTERED, name))
        with pytest.raises(AgentNotFound):
            self.state.heartbeat(handle)

    @rule(name=ids)
    def heartbeat(self, name: str) -> None:
        if name in self.model.agents:
            self.state.heartbeat(name)
        else:
            with pytest.raises(AgentNotFound):
                self.state.heartbeat(name)

    # ------------------------------------------------------------------------------------------------------- areas

    @rule(area=areas, owner=owners)
    def try_lock(self, area: int, owner: int) -> None:
        if area not in self.had_lock and len(self.had_lock) == self.areas_most:
            with pytest.raises(CapacityError):
                self.state.try_lock(area, owner)
            return
        self.had_lock.add(area)
        assert self.state.try_lock(area, owner) is (area not in self.locks)
        self.locks.setdefault(area, owner)

    @rule(area=areas, owner=owners)
    def unlock(self, area: int, owner: int) -> None:
        if self.locks.get(area) == owner:
            self.state.unlock(area, owner)
            del self.locks[area]
        else:
            with pytest.raises(NotLockOwner):
                self.state.unlock(area, owner)

    @rule(area=st.one_of(st.none(), areas), window=u32s)
    def set_window(self, area: int | None, window: int) -> None:
        if area is None:
            self.state.set_fcl_window(None, window)
            self.model.default = window
        elif area not in self.model.had_window and len(self.model.had_window) == self.areas_most:
            with pytest.raises(CapacityError):
                self.state.set_fcl_window(area, window)
        else:
            self.state.set_fcl_window(area, window)
            self.model.had_window.add(area)
            self.model.windows[area] = window

    @rule(area=areas)
    def remove_window(self, area: int) -> None:
        assert self.state.remove_fcl_window(area) is (self.model.windows.pop(area, None) is not None)

    @rule(name=area_ids)
    def init_stats(self, name: str) -> None:
        if name not in self.model.stats and len(self.model.stats) == self.stats_most:
            with pytest.raises(CapacityError):
                self.state.init_area_stats(name)
            return
        self.state.init_area_stats(name)
        self.model.stats[name] = [0, 0, 0]

    @rule(name=area_ids, amounts=st.tuples(*[st.integers(-U32, U32)] * 3), absolute=st.booleans())
    def change_stats(self, name: str, amounts: tuple[int, int, int], absolute: bool) -> None:
        if absolute:
            amounts = tuple(map(abs, amounts))
        call = self.state.set_area_stats if absolute else self.state.change_area_stats
        if name not in self.model.stats:
            with pytest.raises(AreaNotFound):
                call(name, *amounts)
            return
        call(name, *amounts)
        old = [0, 0, 0] if absolute else self.model.stats[name]
        self.model.stats[name] = [max(0, min(U32, count + amount)) for count, amount in zip(old, amounts)]

    # ------------------------------------------------------------------------------------------------- persistence

    @rule()
    def save(self) -> None:
        self.state.save(os.path.join(self.folder, "saved"))
        self.saved = self.model.copy()

    @precondition(lambda self: self.saved is not None)
    @rule()
    def load(self) -> None:
        assert self.saved is not None
        with StateManager.load(os.path.join(self.folder, "saved")) as loaded:
            self.compare(loaded, self.saved, {})

    @precondition(lambda self: self.saved is not None)
    @rule()
    def restore(self) -> None:
        assert self.saved is not None
        self.drain()
        before = {**self.model.fields}
        self.model = self.saved.copy()
        self.state.restore(os.path.join(self.folder, "saved"))
        # Which agents stay in their slots is the table's affair; each one that does not has its event.
        self.tell(before)
        of_agents = (EventKind.AGENT_REGISTERED, EventKind.AGENT_DEREGISTERED)
        assert [e for e in self.arrived() if e[0] not in of_agents] == self.expected
        self.expected = []

    # ------------------------------------------------------------------------------------------------- what holds

    def arrived(self) -> list[tuple[int, Any]]:
        found = []
        while (event := self.events.get()) is not None:
            found.append((event.kind, event.value))
        return found

    def drain(self) -> None:
        assert self.arrived() == self.expected and self.events.lost == 0
        self.expected = []

    def compare(self, state: StateManager, model: Model, locks: dict[int, int]) -> None:
        snapshot = state.create_snapshot()
        for name, value in model.fields.items():
            for read in (getattr(state, name), getattr(snapshot, name)):
                assert struct.pack("<d", read) == struct.pack("<d", value), name
        assert snapshot.hashes == state.hashes == model.hashes
        agents = {agent.agent_id: (agent.agent_type, agent.metadata) for agent in state.get_agents()}
        assert agents == model.agents and snapshot.agents == state.agents
        assert snapshot.agent_count == state.agent_count == len(agents)
        assert len({agent.handle for agent in snapshot.agents}) == len(agents)
        assert snapshot.locked_areas == locks and state.get_locked_areas() == sorted(locks)
        assert state.get_fcl_windows() == snapshot.fcl_windows == model.windows
        assert state.get_fcl_window(12345) == model.default
        assert snapshot.area_stats == state.get_all_area_stats() == {name: AreaStats(*counts) for name, counts in model.stats.items()}

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "state"):
            return
        self.drain()
        self.compare(self.reader, self.model, self.locks)
        assert self.state.version >= self.version
        self.version = self.state.version
        for area in (0, 8, U32):
            assert self.state.is_locked(area) is (area in self.locks)
            assert self.reader.get_fcl_window(area) == self.model.windows.get(area, self.model.default)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40)
