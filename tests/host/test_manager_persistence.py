"""Saved states: whole or not at all, whatever happens to the saving or to the file."""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feagi_state import (
    AgentNotFound,
    AgentType,
    AreaStats,
    BurstEngineState,
    EventKind,
    GenomeState,
    PersistenceError,
    StateManager,
    spec,
)
from places import field_at, header_at, section_at
from processes import as_nobody, program

HEAD = spec.IMAGE_LEN_BYTES
CONTENT = ("burst_frequency", "neuron_count", "genome_state", "fatigue_index", "brain_readiness", "genome_timestamp")


def fill(state: StateManager) -> None:
    state.burst_engine_state = BurstEngineState.PAUSED
    state.burst_frequency = 12.5
    state.neuron_count = 2**32 - 1
    state.genome_state = GenomeState.LOADED
    state.fatigue_index = 100
    state.brain_readiness = True
    state.genome_timestamp = 2**64 - 1
    state.agent_data_hash = 7
    state.register_agent("cam", AgentType.BOTH)
    state.register_agent("gone")
    state.deregister_agent("gone")
    state.try_lock(4)
    state.set_fcl_window(3, 33)
    state.set_fcl_window(5, 55)
    state.remove_fcl_window(5)
    state.set_fcl_window(None, 44)
    state.init_area_stats("v1")
    state.change_area_stats("v1", 1, 2, 3)


def content(state: StateManager) -> dict[str, object]:
    """What a saved state carries."""
    found = state.create_snapshot().as_dict()
    for name in ("version", "last_modified", "taken_at_ms", "locked_areas"):
        del found[name]
    for agent in found["agents"]:
        del agent["handle"]
    return {**found, "default": state.get_fcl_window(999)}


@pytest.fixture
def state():
    with StateManager("tiny") as made:
        fill(made)
        yield made


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "saved"


@pytest.fixture
def saved(state, path) -> bytes:
    state.save(path)
    return path.read_bytes()


def refuses(path: Path, says: str) -> None:
    """Neither load nor restore takes the file, and a running region stays as it is."""
    with pytest.raises(PersistenceError, match=says):
        StateManager.load(path)
    with StateManager("tiny") as running:
        fill(running)
        before = running.create_snapshot()
        with pytest.raises(PersistenceError, match=says):
            running.restore(path)
        assert running.create_snapshot() == before


# ----------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("profile", list(spec.PROFILES))
def test_what_was_saved_is_loaded(profile, path):
    with StateManager(profile) as state:
        fill(state)
        state.save(path)
        with StateManager.load(path) as loaded:
            assert content(loaded) == content(state)
            assert loaded.profile == profile and loaded.path is None and loaded.writable
            assert loaded.get_locked_areas() == [] and loaded.try_lock(4)
            loaded.heartbeat(loaded.get_agent("cam").handle)
            loaded.deregister_agent("cam")
            assert state.agent_count == 1 and loaded.agent_count == 0


def test_a_snapshot_is_saved_as_it_was(state, path):
    snapshot, before = state.create_snapshot(), content(state)
    state.neuron_count = 0
    snapshot.save(path)
    with StateManager.load(path) as loaded:
        assert content(loaded) == before
    saved_at = spec.IMAGE_FIELDS["saved_at"].offset
    assert struct.unpack_from("<Q", path.read_bytes(), saved_at)[0] == snapshot.taken_at_ms


def test_a_restore_replaces_all_but_the_locks(state, saved, path):
    before = content(state)
    version = state.version
    state.neuron_count = 1
    state.burst_engine_state = BurstEngineState.RUNNING
    state.deregister_agent("cam")
    new = state.register_agent("new")
    state.init_area_stats("v2")
    state.set_fcl_window(9, 9)
    state.agent_data_hash = 8
    state.unlock(4)
    state.try_lock(6)
    events = state.subscribe_events(timeout_s=0)
    state.restore(path)
    assert content(state) == before
    assert state.get_locked_areas() == [6]
    assert state.version > version
    assert {(event.kind, event.value if event.kind < 3 else "") for event in events} == {
        (EventKind.BURST_ENGINE_STATE_CHANGED, BurstEngineState.PAUSED),
        (EventKind.AGENT_REGISTERED, ""),
        (EventKind.AGENT_DEREGISTERED, ""),
    }
    with pytest.raises(AgentNotFound):
        state.heartbeat(new)
    assert state.get_area_stats("v1") == AreaStats(1, 2, 3)


def test_an_agent_that_stays_keeps_its_handle(state, saved, path):
    handle = state.get_agent("cam").handle
    events = state.subscribe_events(timeout_s=0)
    state.restore(path)
    state.heartbeat(handle)
    assert list(events) == []


def test_another_process_sees_a_restore_at_once(tmp_path):
    """Two states in turn: nobody ever sees a mixture."""
    code = """
state = StateManager.attach(sys.argv[1])
say("ready")
for i in range(300):
    state.restore(sys.argv[2 + i % 2])
say("done")
"""
    paths = [tmp_path / "zero", tmp_path / "one"]
    with StateManager("micro") as state:
        for number, path in enumerate(paths):
            state.neuron_count = state.synapse_count = number
            state.morphologies_hash = number
            state.init_area_stats("v1")
            state.change_area_stats("v1", number)
            if number:
                state.register_agent("cam")
            state.save(path)
    with StateManager.create(tmp_path / "region", "micro") as state, program(code, state.path, *paths) as other:
        state.restore(paths[0])
        assert other.hear() == "ready"
        finished = threading.Event()
        waiting = threading.Thread(target=lambda: (other.hear(), finished.set()))
        waiting.start()
        while not finished.is_set():
            seen = state.create_snapshot()
            counts = {seen.neuron_count, seen.synapse_count, seen.morphologies_hash, seen.area_stats["v1"].neuron_count}
            assert counts | {seen.agent_count, len(seen.agents)} in ({0}, {1})
        waiting.join()


def test_a_state_of_another_profile_is_not_restored(saved, path):
    with StateManager("micro") as running:
        before = running.create_snapshot()
        with pytest.raises(PersistenceError, match=r"'tiny'.*'micro'"):
            running.restore(path)
        assert running.create_snapshot() == before


def test_a_read_only_region_is_saved_but_not_restored(tmp_path, path):
    with StateManager.create(tmp_path / "region", "tiny") as state, StateManager.attach(state.path, readonly=True) as reader:
        fill(state)
        reader.save(path)
        with StateManager.load(path) as loaded:
            assert content(loaded) == content(state)
        with pytest.raises(TypeError, match="read-only"):
            reader.restore(path)


# -------------------------------------------------------------------------------------------------------- damage


def test_every_flipped_bit_is_noticed(saved, path):
    """Read by `load`; one bit of every byte also by `restore`."""
    with StateManager("tiny") as running:
        fill(running)
        before = running.create_snapshot()
        data = bytearray(saved)
        for at in range(len(data)):
            for bit in range(8):
                data[at] ^= 1 << bit
                path.write_bytes(data)
                with pytest.raises(PersistenceError, match="saved"):
                    running.restore(path) if bit == at % 8 else StateManager.load(path)
                data[at] ^= 1 << bit
        assert running.create_snapshot() == before


def test_every_truncation_is_noticed(saved, path):
    for length in range(len(saved)):
        path.write_bytes(saved[:length])
        with pytest.raises(PersistenceError, match="is empty" if not length else "no saved state" if length < 4 else "truncated"):
            StateManager.load(path)


def test_a_longer_file_is_refused(saved, path):
    for more in (b"\0", saved, bytes(10**6)):
        path.write_bytes(saved + more)
        refuses(path, "follow what was saved")


def with_crc(data: bytearray) -> bytearray:
    """As somebody would who means to deceive, or an older version in good faith."""
    at = spec.IMAGE_FIELDS["crc"].offset
    data[at : at + 4] = bytes(4)
    data[at : at + 4] = struct.pack("<I", zlib.crc32(data))
    return data


def test_another_layout_says_so(saved, path):
    at = HEAD + header_at("schema_hash")
    path.write_bytes(with_crc(bytearray(saved[:at] + b"\1\2\3\4" + saved[at + 4 :])))
    refuses(path, "another layout.*0x04030201")
    at = HEAD + header_at("layout_version")
    for version, age in ((0, "an older"), (9, "a newer")):
        path.write_bytes(with_crc(bytearray(saved[:at] + struct.pack("<H", version) + saved[at + 2 :])))
        refuses(path, f"{age} layout: version {version}")
    at = spec.IMAGE_FIELDS["image_version"].offset
    for version, age in ((0, "an older"), (9, "a newer")):
        path.write_bytes(with_crc(bytearray(saved[:at] + struct.pack("<I", version) + saved[at + 4 :])))
        refuses(path, f"{age} version: format {version}")


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (spec.HEADER_LEN_BYTES + spec.CORE_FIELDS["burst_engine_state"].offset, b"\x08", "core block"),
        (spec.HEADER_LEN_BYTES + spec.CORE_FIELDS["fatigue_index"].offset, b"\x65", "core block"),
        (spec.HEADER_LEN_BYTES + spec.CORE_FIELDS["agent_count"].offset, b"\x02", "agent table"),
        (section_at("tiny", "cortical_locks") + field_at("lock", "used"), b"\x07", "locks or windows"),
        (section_at("tiny", "area_stats") + field_at("stat", "state"), b"\x02", "statistics"),
        (header_at("profile"), b"\x02", "header"),
        (header_at("profile"), b"\x00", "header"),
        (header_at("region_len"), b"\xff\xff\xff\xff", "header"),
        (0, b"FGSX", "no region"),
    ],
)
def test_a_state_that_cannot_be_is_refused_although_its_crc_is_right(saved, path, at, value, says):
    at += HEAD
    path.write_bytes(with_crc(bytearray(saved[:at] + value + saved[at + len(value) :])))
    refuses(path, says)


@given(st.data())
def test_no_file_leads_astray(data):
    with StateManager("tiny") as state, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        fill(state)
        state.save(path)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(with_crc(content) if data.draw(st.booleans()) else content)
        try:
            loaded = StateManager.load(path)
        except PersistenceError:
            return
        with loaded:
            assert loaded.agent_count == len(loaded.agents) and loaded.create_snapshot().as_dict()


def test_files_that_are_no_saved_state(tmp_path, path):
    refuses(path, "there is no file")
    refuses(tmp_path, "no regular file")
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "no regular file")
    path.write_text("hello")
    refuses(path, "no saved state: it begins with b'hell'")
    StateManager.create(tmp_path / "region", "tiny").close()
    refuses(tmp_path / "region", r"region: StateManager.attach\(path\)")


def test_no_permission_to_read_or_write():
    with tempfile.TemporaryDirectory() as folder, StateManager("tiny") as state:
        os.chmod(folder, 0o755)
        path = Path(folder) / "saved"
        state.save(path)
        before = path.read_bytes()

        def attempt():
            with pytest.raises(PersistenceError, match="Permission denied"):
                StateManager.load(path)
            with pytest.raises(PersistenceError, match="Permission denied"):
                state.save(path)

        as_nobody(attempt)
        assert path.read_bytes() == before and os.listdir(folder) == ["saved"]


# --------------------------------------------------------------------------------------------------------- saving


@pytest.mark.parametrize(("mode", "umask"), [(None, 0o000), (0o644, 0o077), (0o600, 0o022)])
def test_a_saved_file_is_for_its_owner_alone_unless_asked(state, path, mode, umask):
    path.write_text("old")
    path.chmod(0o666)
    old = os.umask(umask)
    try:
        state.save(path, **({} if mode is None else {"mode": mode}))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
    assert os.listdir(path.parent) == ["saved"]


def test_where_a_link_leads_the_file_is_replaced(state, path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    state.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and path.read_bytes().startswith(b"FGIM")


def test_living_memory_is_not_overwritten(state, tmp_path):
    with StateManager.create(tmp_path / "region", "tiny") as region:
        for save in (region.save, state.save):
            with pytest.raises(PersistenceError, match="a region that processes share"):
                save(tmp_path / "region")
    for place in (tmp_path, Path("/dev/null")):
        with pytest.raises(PersistenceError, match="no regular file"):
            state.save(place)
    with pytest.raises(PersistenceError, match="No such file"):
        state.save(tmp_path / "absent" / "saved")


class Crash(BaseException):
    """The process ends here: whatever comes after it is no part of the saving."""


STEPS = ("fchmod", "write", "fsync", "close", "replace", "open")


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), Crash()])
@pytest.mark.parametrize("step", STEPS)
def test_a_saving_that_fails_anywhere_leaves_the_old_file_or_the_new_one(state, path, monkeypatch, old, failure, step):
    if old:
        state.save(path)
    was = path.read_bytes() if old else None
    state.neuron_count = 77
    with monkeypatch.context() as patch:

        def fail(*args, **kwargs):
            if step == "write":  # the first half is written
                os_write(args[0], bytes(args[1])[: len(args[1]) // 2])
            raise failure

        os_write = os.write
        # `open` is that of the directory, after the renaming: files are opened by tempfile.
        patch.setattr(f"feagi_state.persistence.os.{step}" if step != "open" else "feagi_state.persistence._sync_directory", fail)
        with pytest.raises(PersistenceError if isinstance(failure, OSError) else Crash):
            state.save(path)
    if step == "open":
        with StateManager.load(path) as loaded:
            assert loaded.neuron_count == 77
    else:
        assert (path.read_bytes() if path.exists() else None) == was
    assert sorted(os.listdir(path.parent)) == (["saved"] if path.exists() else []), "nothing is left beside it"
    state.save(path)
    with StateManager.load(path) as loaded:
        assert loaded.neuron_count == 77


def test_a_save_is_forced_to_the_disk_before_it_is_renamed(state, path, monkeypatch):
    order = []
    for name in ("write", "fsync", "replace"):
        real = getattr(os, name)

        def traced(*args, name=name, real=real):
            what = name
            if name == "fsync":
                what += " directory" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else " file"
            order.append(what)
            return real(*args)

        monkeypatch.setattr(os, name, traced)
    state.save(path)
    assert order == ["write", "fsync file", "replace", "fsync directory"]


def test_short_writes_are_gone_on_with(state, path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:100]))
    state.save(path)
    monkeypatch.undo()
    with StateManager.load(path) as loaded:
        assert content(loaded) == content(state)


@pytest.mark.slow
def test_whoever_is_killed_while_saving_leaves_a_whole_file(tmp_path):
    code = """
state = StateManager("micro")
say("ready")
number = 0
while True:
    number += 1
    state.neuron_count = state.synapse_count = number
    state.save(sys.argv[1])
"""
    path = tmp_path / "saved"
    with StateManager("micro") as state:
        state.save(path)
    last = 0
    for _ in range(30):
        with program(code, path) as saving:
            saving.hear()
            seen = path.stat().st_ino
            while path.stat().st_ino == seen:
                pass
            saving.kill()
        with StateManager.load(path) as loaded:
            assert loaded.neuron_count == loaded.synapse_count
            last = max(last, loaded.neuron_count)
    assert last > 0
