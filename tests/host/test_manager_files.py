"""Regions as files: how they are made, who may open them, and files that are none."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import stat
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import feagi_state
from feagi_state import InvalidValue, MemoryMapError, StateManager, region_files, spec
from feagi_state._core import Mirror, mirror_len, shared_len
from places import header_at, layout, table_at
from processes import as_nobody, in_fork, program

LENGTHS = {name: shared_len(profile.id) for name, profile in spec.PROFILES.items()}
TINY = spec.PROFILES["tiny"].region_len


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "region"


@pytest.fixture
def region(path):
    """The bytes of a region's file."""
    with StateManager.create(path, "tiny") as state:
        state.register_agent("cam")
    return bytearray(path.read_bytes())


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# ----------------------------------------------------------------------------------------------------------- making


@pytest.mark.parametrize("profile", list(spec.PROFILES))
def test_what_one_writes_the_other_reads(path, profile):
    with StateManager.create(path, profile) as one, StateManager.attach(path) as other:
        assert (one.path, other.path, other.profile) == (path, path, profile)
        one.neuron_count = 5
        assert other.add_neuron_count(2) == 7 == one.neuron_count
        other.register_agent("cam")
        assert [agent.agent_id for agent in one.agents] == ["cam"]
    assert path.stat().st_size == LENGTHS[profile]


def test_a_region_outlives_its_makers(path):
    with StateManager.create(str(path)) as state:
        state.neuron_count = 5
    with StateManager.attach(os.fsencode(path)) as state:
        assert state.neuron_count == 5 and state.profile == "host"


@pytest.mark.parametrize(("mode", "umask"), [(None, 0o000), (None, 0o777), (0o600, 0o022), (0o640, 0o077), (0o666, 0o022)])
def test_a_file_is_for_its_owner_alone_unless_asked(path, mode, umask):
    old = os.umask(umask)
    try:
        StateManager.create(path, "tiny", **({} if mode is None else {"mode": mode})).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
    assert files_in(path.parent) == ["region"]


def test_all_of_the_file_is_there_so_that_the_disk_cannot_be_full_later(path):
    StateManager.create(path).close()
    assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_a_file_that_is_there_is_never_touched(path):
    path.write_text("mine")
    with pytest.raises(MemoryMapError, match="exist_ok"):
        StateManager.create(path)
    with pytest.raises(MemoryMapError, match="no region"):
        StateManager.create(path, exist_ok=True)
    assert path.read_text() == "mine" and files_in(path.parent) == ["region"]
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(MemoryMapError, match="exist_ok"):
        StateManager.create(path)
    assert path.is_symlink() and files_in(path.parent) == ["region"]


def test_create_or_attach(path):
    with StateManager.create(path, "tiny", exist_ok=True) as one, StateManager.create(path, "tiny", exist_ok=True) as other:
        one.neuron_count = 5
        assert other.neuron_count == 5
        with pytest.raises(MemoryMapError, match="'tiny', not 'micro'"):
            StateManager.create(path, "micro", exist_ok=True)
        with pytest.raises(MemoryMapError, match="already"):
            StateManager.create(path, "tiny")


def test_of_many_that_create_at_once_one_does(path):
    code = """
hear()
try:
    StateManager.create(sys.argv[1], "tiny").add_neuron_count(1)
    say("made")
except MemoryMapError:
    say("there")
"""
    with program(code, path) as one, program(code, path) as two, program(code, path) as three:
        programs = [one, two, three]
        for each in programs:
            each.say("go")
        assert sorted(each.hear() for each in programs) == ["made", "there", "there"]
    assert files_in(path.parent) == ["region"]
    with StateManager.attach(path) as state:
        assert state.neuron_count == 1


def test_create_or_attach_meets_one_who_is_faster(path, monkeypatch):
    real = os.link

    def late(source, target):
        monkeypatch.setattr(os, "link", real)
        StateManager.create(path, "tiny").add_neuron_count(5)
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    with StateManager.create(path, "tiny", exist_ok=True) as state:
        assert state.neuron_count == 5


@pytest.mark.parametrize("function", ["posix_fallocate", "fchmod", "link"])
def test_what_the_system_refuses_leaves_nothing_behind(path, monkeypatch, function):
    def refuse(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(MemoryMapError, match="No space left"):
        StateManager.create(path)
    assert files_in(path.parent) == []


def test_a_disk_that_is_full_is_an_error_at_creation(path):
    def create():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with pytest.raises(MemoryMapError, match="cannot be made: File too large"):
            StateManager.create(path)
        StateManager.create(path, "tiny").close()

    in_fork(create)
    assert files_in(path.parent) == ["region"]


@pytest.mark.parametrize("where", ["absent/region", "file/region"])
def test_a_folder_that_is_none(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(MemoryMapError, match="cannot be made"):
        StateManager.create(tmp_path / where)


def test_a_folder_that_may_not_be_written():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)

        def create():
            with pytest.raises(MemoryMapError, match="Permission denied"):
                StateManager.create(Path(folder) / "region")

        as_nobody(create)
        assert files_in(Path(folder)) == []
        os.chmod(folder, 0o755)


@pytest.mark.parametrize("wrong", ["", "a\0b", b"", None, 5])
def test_what_is_no_path_is_refused(wrong):
    for call in (StateManager.create, StateManager.attach):
        with pytest.raises(InvalidValue, match="no path"):
            call(wrong)


@pytest.mark.parametrize("mode", [-1, 0o10000, "600"])
def test_what_is_no_mode_is_refused(path, mode):
    with pytest.raises(InvalidValue, match="file mode"):
        StateManager.create(path, mode=mode)
    assert files_in(path.parent) == []


# -------------------------------------------------------------------------------------------------------- attaching


def test_a_read_only_attach_maps_read_only(path):
    with StateManager.create(path, "tiny") as owner, StateManager.attach(path, readonly=True) as reader:
        owner.neuron_count = 5
        assert not reader.writable and reader.neuron_count == 5
        assert reader.create_snapshot() == owner.create_snapshot()
        before = owner.create_snapshot()
        owner.init_area_stats("v1")
        for write in (
            lambda: setattr(reader, "neuron_count", 1),
            reader.add_neuron_count,
            lambda: setattr(reader, "morphologies_hash", 1),
            lambda: reader.register_agent("cam"),
            lambda: reader.deregister_agent("cam"),
            lambda: reader.heartbeat("cam"),
            lambda: reader.evict_stale(1),
            lambda: reader.try_lock(1),
            lambda: reader.unlock(1),
            lambda: reader.lock(1).__enter__(),
            lambda: reader.set_fcl_window(1, 1),
            lambda: reader.set_fcl_window(None, 1),
            lambda: reader.remove_fcl_window(1),
            lambda: reader.init_area_stats("v1"),
            lambda: reader.set_area_stats("v1", 1),
            lambda: reader.change_area_stats("v1", 1),
            lambda: reader.emit(300),
            lambda: reader.update().__enter__(),
        ):
            with pytest.raises(TypeError, match="read-only"):
                write()
        maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
        assert [words[1] for words in maps] == ["r--s"]  # the owner's has the name under which it was made
        assert owner.neuron_count == before.neuron_count


def test_a_reader_that_may_only_read():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "region"
        with StateManager.create(path, "tiny", mode=0o644) as state:
            state.neuron_count = 5

            def attach():
                with pytest.raises(MemoryMapError, match="readonly=True"):
                    StateManager.attach(path)
                with StateManager.attach(path, readonly=True) as reader:
                    return reader.neuron_count

            assert as_nobody(attach) == 5
            os.chmod(path, 0o600)

            def refused():
                for readonly in (True, False):
                    with pytest.raises(MemoryMapError, match=r"Permission denied$"):
                        StateManager.attach(path, readonly=readonly)

            as_nobody(refused)


def test_another_process_namespace_may_only_read(path, monkeypatch):
    real = region_files.pid_namespace()
    assert real == os.stat("/proc/self/ns/pid").st_ino
    monkeypatch.setattr("feagi_state.manager.pid_namespace", lambda: real + 1)
    state = StateManager.create(path, "tiny")
    state.neuron_count = 5
    monkeypatch.undo()
    with pytest.raises(MemoryMapError, match="readonly=True"):
        StateManager.attach(path)
    with pytest.raises(MemoryMapError, match="namespace"):
        StateManager.create(path, "tiny", exist_ok=True)
    with StateManager.attach(path, readonly=True) as reader:
        assert reader.neuron_count == 5
    state.close()


@pytest.mark.parametrize("which", ["manager", "region"])
def test_an_unknown_process_namespace_is_no_obstacle(path, monkeypatch, which):
    if which == "region":
        monkeypatch.setattr("feagi_state.manager.pid_namespace", lambda: 0)
    state = StateManager.create(path, "tiny")
    monkeypatch.setattr("feagi_state.manager.pid_namespace", lambda: 0 if which == "manager" else 77)
    StateManager.attach(path).close()
    state.close()


# --------------------------------------------------------------------------------------------- files that are none


def refused(path: Path, says: str) -> None:
    for readonly in (False, True):
        with pytest.raises(MemoryMapError, match=says):
            StateManager.attach(path, readonly=readonly)


def test_no_file(path):
    refused(path, "there is no file .*region: StateManager.create")
    path.symlink_to("nowhere")
    refused(path, "there is no file")


def test_no_regular_file(path, tmp_path):
    refused(tmp_path, "no regular file")
    os.mkfifo(path)
    refused(path, "no regular file")  # and does not wait for a writer
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "no regular file")
    refused(Path("/dev/zero"), "no regular file")
    refused(tmp_path / "region" / "below", "cannot be opened: Not a directory")


@pytest.mark.parametrize(("content", "says"), [(b"", "is empty"), (b"hello", "begins with b'hell'"), (bytes(10_000), "no region"), (b"FGST", "truncated")])
def test_other_files(path, content, says):
    path.write_bytes(content)
    refused(path, says)


def test_a_truncated_region(path, region):
    for length in (8, 127, 128, 500, TINY - 1, TINY + 8, TINY + 191, LENGTHS["tiny"] - 1):
        path.write_bytes(region[:length])
        refused(path, "truncated")
    path.write_bytes(region[:TINY])
    refused(path, "bare region")
    path.write_bytes(region + b"x")
    refused(path, f"{LENGTHS['tiny']} would be right")


def test_another_layout(path, region):
    at = header_at("layout_version")
    for version, age in ((0, "an older"), (spec.LAYOUT_VERSION + 1, "a newer")):
        path.write_bytes(region[:at] + struct.pack("<H", version) + region[at + 2 :])
        refused(path, f"is of {age} layout: version {version} .* this is version {spec.LAYOUT_VERSION}")
    at = header_at("schema_hash")
    path.write_bytes(region[:at] + struct.pack("<I", 0x12345678) + region[at + 4 :])
    refused(path, f"is of another layout: .*0x12345678.*0x{spec.SCHEMA_HASH:08x}")


def test_another_sharing_protocol(path, region):
    path.write_bytes(region[: TINY + 4] + struct.pack("<I", 99) + region[TINY + 8 :])
    refused(path, "version 99 of the protocol")
    path.write_bytes(region[:TINY] + bytes(4) + region[TINY + 4 :])
    refused(path, "damaged")


def test_a_mirror_says_how_it_is_attached(path):
    memory = bytearray(mirror_len(TINY))
    Mirror(memory, bytes(layout("tiny")[0])).close()
    path.write_bytes(memory)
    refused(path, r"mirror.*feagi_state.attach\(path\)")
    assert not feagi_state.attach(path).agents
    with pytest.raises(MemoryMapError, match="mirror"):
        StateManager.create(path, "tiny", exist_ok=True)


def test_a_saved_state_says_how_it_is_loaded(path):
    with StateManager("tiny") as state:
        state.save(path)
    refused(path, r"saved state.*load\(path\)")


def test_a_region_is_no_mirror(path, region):
    path.write_bytes(region)
    with pytest.raises(MemoryMapError, match="no mirror"):
        feagi_state.attach(path)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (header_at("profile"), b"\0"),
        (header_at("profile"), b"\x09"),
        (header_at("profile"), b"\x02"),
        (header_at("region_len"), b"\xff\xff\xff\xff"),
        (header_at("region_len"), b"\0\0\0\0"),
        (table_at("agents"), b"\xff\xff\xff\xff"),
        (table_at("agents", "capacity"), b"\xff\xff"),
        (table_at("events"), b"\x01"),
    ],
)
def test_a_header_that_lies(path, region, at, value):
    path.write_bytes(region[:at] + value + region[at + len(value) :])
    refused(path, "damaged")


@given(st.data())
def test_no_content_of_a_file_leads_astray(data):
    """Whatever a region's file says: it is refused, or all that one can read is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "region"
        StateManager.create(path, "tiny").close()
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(0, 127), st.integers(TINY, TINY + 400)))
            for i, byte in enumerate(data.draw(st.binary(min_size=1, max_size=8))):
                content[min(at + i, len(content) - 1)] = byte
        path.write_bytes(content)
        try:
            state = StateManager.attach(path, readonly=True)
        except MemoryMapError:
            return
        with state:
            snapshot = state.create_snapshot()
            assert set(snapshot.as_dict()) > set(spec.CORE_FIELDS)
            assert [getattr(state, name) for name in spec.CORE_FIELDS]
            for _event in state.subscribe_events(from_start=True, timeout_s=0):
                pass
            state.health_check()
            assert all(len(agent.agent_id.encode()) <= 93 for agent in state.agents)
