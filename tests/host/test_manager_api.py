"""What a StateManager offers: what is documented, and no more."""

from __future__ import annotations

import ast
import inspect

import pytest

from common import ROOT
from feagi_state import CapacityError, InvalidField, InvalidOperation, InvalidValue, RegionClosed, Snapshot, StateError, StateManager, spec
from feagi_state._core import SharedRegion

COUNTERS = [name for name, field in spec.CORE_FIELDS.items() if field.writable and field.type in ("u32", "u64")]
DOCUMENTED = {
    "a region": "create attach instance close closed writable path profile tick",
    "fields": "add subtract update health_check hashes",
    "agents": "register_agent deregister_agent get_agent get_agents agents heartbeat evict_stale",
    "locks": "try_lock unlock take_over is_locked lock_owner get_locked_areas lock",
    "windows": "get_fcl_window set_fcl_window remove_fcl_window get_fcl_windows",
    "statistics": "init_area_stats get_area_stats set_area_stats change_area_stats get_all_area_stats",
    "events": "subscribe_events emit",
    "persistence": "create_snapshot save load restore",
}
API = {name for names in DOCUMENTED.values() for name in names.split()}
API |= {f"{verb}_{name}" for name in COUNTERS for verb in ("add", "subtract")}


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_a_state_manager_offers_what_is_documented_and_no_more():
    assert public(dir(StateManager)) == API
    with StateManager("tiny") as state:
        assert public(dir(state)) == API | set(spec.CORE_FIELDS) | set(spec.HASH_ATTRIBUTES)


@pytest.mark.parametrize("name", sorted(API))
def test_help_says_what_each_is_for(name):
    found = inspect.getattr_static(StateManager, name)
    assert (inspect.getdoc(found) or "").strip().endswith((".", ")"))


@pytest.mark.parametrize("name", sorted(API))
def test_a_signature_can_be_asked_for(name):
    found = getattr(StateManager, name)
    if callable(found):
        assert "cls" not in inspect.signature(found).parameters


def stub_docs():
    """What _core.pyi says of SharedRegion's attributes, by name."""
    tree = ast.parse((ROOT / "host" / "feagi_state" / "_core.pyi").read_text())
    region = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "SharedRegion")
    return {node.name: ast.get_docstring(node) for node in region.body if isinstance(node, ast.FunctionDef)}


def test_the_stub_and_the_extension_name_and_say_the_same():
    stub = stub_docs()
    own = {name for name in vars(SharedRegion) if not name.startswith("__")}
    assert own == {name for name in stub if not name.startswith("__")}
    for name in public(own):
        assert " ".join(inspect.getdoc(getattr(SharedRegion, name)).split()) == " ".join(stub[name].split()), name


# ----------------------------------------------------------------------------------------------------------- errors

JUNK = [None, True, -1, 1.5, float("nan"), float("inf"), 2**70, "", "x" * 300, "\ud800", "nul\0", b"\xff", [], [None], {}, object(), int]


def calls_with_junk(state):
    """Every method but those that end the object: with junk in place of each argument in turn, else with what it takes."""
    good = {"path": "there", "profile": "tiny", "mode": 0o600, "field": "neuron_count", "agent": "cam", "agent_id": "cam", "area_id": "v1"}
    for name in sorted(API - {"close", "instance"}):
        method = getattr(state, name)
        if not callable(method):
            continue
        parameters = inspect.signature(method).parameters
        for place in parameters.values():
            for junk in JUNK:
                values = {other.name: good.get(other.name, 1) for other in parameters.values() if other.default is other.empty}
                values["timeout_s"] = 0.01  # whatever waits
                values[place.name] = junk
                if name == "lock" and place.name == "timeout_s" and junk in (None, float("inf")):
                    continue  # waits for ever, as it should
                yield method, inspect.signature(method), {key: value for key, value in values.items() if key in parameters}


def use(result):
    """What comes of a call is entered if it can be."""
    if hasattr(result, "__enter__") and not isinstance(result, StateManager):
        with result:
            pass
    elif isinstance(result, StateManager):
        result.close()


def test_whatever_is_given_all_that_is_raised_is_a_state_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = 0
    with StateManager("tiny", cached_clock=True) as state:
        for method, signature, values in calls_with_junk(state):
            by_place = [values.pop(p.name) for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY]
            try:
                use(method(*by_place, **values))
            except StateError as error:
                assert str(error)
                refused += 1
        assert state.agent_count == len(state.agents)
    assert refused > 500


def test_no_value_of_a_field_or_hash_raises_anything_but_a_state_error():
    with StateManager("tiny") as state:
        for name in [*spec.CORE_FIELDS, *spec.HASH_ATTRIBUTES, "anything"]:
            for junk in JUNK:
                try:
                    setattr(state, name, junk)
                except StateError as error:
                    assert name in str(error)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: s.tick(-1), InvalidValue, "-1 is no time"),
        (lambda s: s.tick("now"), InvalidValue, "'now' is no time"),
        (lambda s: s.heartbeat(1.5), InvalidValue, "1.5 is no text"),
        (lambda s: s.heartbeat("\ud800"), InvalidValue, "is no text that UTF-8 can write"),
        (lambda s: s.add(5, 1), InvalidField, "a state has no 5"),
        (lambda s: s.add("neuron_count", "1"), InvalidValue, "neuron_count is an int"),
        (lambda s: setattr(s, "agents", []), InvalidField, "agents cannot be set"),
        (lambda s: setattr(s, "register_agent", 1), InvalidField, "register_agent cannot be set"),
        (lambda s: setattr(s, "brain_readiness", "yes"), InvalidValue, "brain_readiness is True or False, not 'yes'"),
        (lambda s: s.regster_agent("cam"), InvalidField, "did you mean register_agent"),
        (lambda s: s.create_snapshot().neuron_cuont, InvalidField, "did you mean neuron_count"),
        (lambda s: s.create_snapshot().agent, InvalidField, "a state has no 'agent': did you mean agents"),
        (lambda s: s.lock(1, "soon").__enter__(), InvalidValue, "'soon' is no timeout"),
        (lambda s: s.subscribe_events(timeout_s="soon"), InvalidValue, "'soon' is no timeout"),
        (lambda s: s.subscribe_events(1.5), InvalidValue, "1.5 is no kind of event"),
        (lambda s: s.subscribe_events("AGENT_REGISTERED"), InvalidValue, "'AGENT_REGISTERED' is no kind of event"),
        (lambda s: s.save(5), InvalidValue, "5 is no path"),
        (lambda s: s.save("x", mode="rw"), InvalidValue, "'rw' is no file mode"),
        (lambda s: s.restore(None), InvalidValue, "None is no path"),
        (lambda s: StateManager.attach(["x"]), InvalidValue, "is no path"),
        (lambda s: StateManager.create(b"nul\0"), InvalidValue, "is no path"),
    ],
)
def test_an_error_says_what_was_wrong(call, error, says):
    with StateManager("tiny") as state, pytest.raises(error, match=says) as raised:
        call(state)
    assert type(raised.value) is error


def test_a_region_that_is_mapped_read_only_says_how_to_write_it(tmp_path):
    with StateManager.create(tmp_path / "region", "tiny"), StateManager.attach(tmp_path / "region", readonly=True) as state:
        for write in (state.add_neuron_count, lambda: state.emit(300), state.update().__enter__, lambda: state.register_agent("cam")):
            with pytest.raises(InvalidOperation, match=r"read-only.*readonly=True"):
                write()


def test_an_update_that_is_closed_under_way_says_so():
    state = StateManager("tiny")
    with pytest.raises(RegionClosed), state.update():
        state.neuron_count = 1
        state.close()


def test_a_table_that_is_full_is_a_capacity_error_everywhere():
    with StateManager("tiny") as state:
        for fill in (lambda n: state.register_agent(str(n)), state.try_lock, lambda n: state.set_fcl_window(n, 1), lambda n: state.init_area_stats(str(n))):
            with pytest.raises(CapacityError):
                for number in range(1000):
                    fill(number)


# --------------------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_offers_what_is_documented_and_no_more():
    sections = {"hashes", "agents", "locked_areas", "fcl_windows", "fcl_window", "area_stats"}
    assert public(dir(Snapshot)) == {*spec.CORE_FIELDS, *spec.HASH_ATTRIBUTES, *sections, "profile", "taken_at_ms", "as_dict", "save"}
