"""What a StateManager offers: what is documented, and no more."""

from __future__ import annotations

import ast
import inspect

import pytest

from common import ROOT
from feagi_state import Snapshot, StateManager, spec

COUNTERS = [name for name, field in spec.CORE_FIELDS.items() if field.writable and field.type in ("u32", "u64")]
DOCUMENTED = {
    "a region": "create attach instance close closed writable path profile tick",
    "fields": "add subtract update health_check hashes get_hash set_hash",
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
        assert public(dir(state)) == API | set(spec.CORE_FIELDS)


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
    region = StateManager.__mro__[-3]
    assert region.__name__ == "SharedRegion"
    stub = stub_docs()
    own = {name for name in vars(region) if not name.startswith("__")}
    assert own == {name for name in stub if not name.startswith("__")}
    for name in public(own):
        assert " ".join(inspect.getdoc(getattr(region, name)).split()) == " ".join(stub[name].split()), name


def test_a_snapshot_offers_what_is_documented_and_no_more():
    sections = {"hashes", "agents", "locked_areas", "fcl_windows", "fcl_window", "area_stats"}
    assert public(dir(Snapshot)) == {*spec.CORE_FIELDS, *sections, "profile", "taken_at_ms", "as_dict", "save"}
