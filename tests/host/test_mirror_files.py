"""Mirrors as files: where they lie, who owns them, what readers see, and files that lie."""

from __future__ import annotations

import mmap
import os
import signal
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from feagi_state import (
    AgentType,
    BurstEngineState,
    InvalidField,
    LinkState,
    MemoryMapError,
    StaleMirror,
    StateError,
    attach,
    mirrors,
    spec,
)
from feagi_state._core import Mirror
from feagi_state.clock import now_s
from feagi_state.mirror import MirrorView
from feagi_state.mirror_files import OwnedMirror, default_dir, mirror_path, safe_name
from places import HEADER_LEN, TRAILER_LEN, header_at, layout, section_at, table_at, trailer_at, word_of

TINY_LEN = spec.PROFILES["tiny"].region_len
OFFSETS = {name: field.offset for name, field in spec.MIRROR_FIELDS.items()}


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


HOUR_LATER = ["unshare", "--time", "--boottime", "3600"]


def serve(name: str = "board", profile: str = "micro", port: str = "/dev/ttyX") -> tuple[OwnedMirror, Mirror]:
    owned = OwnedMirror(name)
    return owned, owned.open(bytes(layout(profile)[0][:HEADER_LEN]), name, port)


@pytest.mark.parametrize("offset_us", [5_000_000, 0, -1, -(2**62)])
def test_the_devices_clock_may_be_ahead_or_behind(offset_us):
    _, mirror = serve()
    mirror.set_trailer_u64(OFFSETS["clock_offset_us"], offset_us % 2**64)
    assert attach("board").link.clock_offset_us == offset_us


def heard_now(mirror: Mirror, ago_s: float = 0.0) -> None:
    mirror.set_trailer_u64(OFFSETS["heard_ms"], int((now_s() - ago_s) * 1000))
    mirror.set_trailer_u32(OFFSETS["link_state"], LinkState.LIVE)


# ---------------------------------------------------------------------------------------------------------- where


def test_the_directory_is_the_chosen_one_or_one_in_memory(monkeypatch, tmp_path):
    assert default_dir() == tmp_path / "mirrors"
    monkeypatch.delenv("FEAGI_STATE_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_dir() == tmp_path / "feagi-state"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    assert default_dir().name == f"feagi-state-{os.getuid()}"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_dir().name == f"feagi-state-{os.getuid()}"


def test_only_the_user_can_open_what_is_made(directory):
    owned, _ = serve()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(owned.path.stat().st_mode) == 0o600
    shared = OwnedMirror("shared", mode=0o644)
    shared.open(bytes(layout("tiny")[0][:HEADER_LEN]), "", "")
    assert stat.S_IMODE(shared.path.stat().st_mode) == 0o644
    assert sorted(path.name for path in directory.iterdir()) == [
        "board.lock",
        "board.mirror",
        "shared.lock",
        "shared.mirror",
    ]


def test_a_directory_that_somebody_else_prepared_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("FEAGI_STATE_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "feagi-state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MemoryMapError, match="FEAGI_STATE_DIR"):
        OwnedMirror("board")


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MemoryMapError, match="file"):
        OwnedMirror("board", tmp_path / "file" / "dir")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Board 7", "Board-7"),
        ("../../etc/x", "etc-x"),
        ("", "device"),
        ("...", "device"),
        ("é", "device"),
        ("a" * 99, "a" * 64),
    ],
)
def test_names_are_made_safe_for_a_file(text, name):
    assert safe_name(text) == name


def test_a_name_with_a_living_owner_gets_a_number():
    first, second, third = OwnedMirror("board"), OwnedMirror("board"), OwnedMirror("board")
    assert [owned.name for owned in (first, second, third)] == ["board", "board-2", "board-3"]
    second.close()
    assert OwnedMirror("board").name == "board-2"


def test_a_killed_owner_leaves_its_name_free(directory):
    code = (
        "import time; from feagi_state.mirror_files import OwnedMirror\n"
        "owned = OwnedMirror('board'); print(owned.name, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "board\n"
    assert OwnedMirror("board").name == "board-2"
    process.kill()
    process.wait()
    process.stdout.close()
    assert OwnedMirror("board").name == "board"


def test_mirrors_are_listed_by_name(directory):
    assert mirrors() == []
    serve("b")
    serve("a")
    assert mirrors() == ["a", "b"]
    assert mirrors(directory) == ["a", "b"]
    assert mirror_path("a") == directory / "a.mirror"


# ------------------------------------------------------------------------------------------------------- reading


def test_a_view_reads_state_agents_and_link():
    owned, mirror = serve()
    heard_now(mirror)
    mirror.publish(
        (0, struct.pack("<BBBBBBBx", 2, 3, 3, 0, 0, 0, 1), 3, struct.pack("<f", 30.5), 4, b"\x2a", 18, b"\x55\x01")
    )
    entry = struct.pack("<BBBxHHQQ32sII", 1, 1, 4, 5, 7, 1000, 2000, "näh".encode(), 2, 99) + b"hello"
    mirror.publish((word_of(section_at("micro", "agents", 3)), entry))
    mirror.publish((word_of(section_at("micro", "agents", 1)), b"\x02" + entry[1:]))  # deregistered
    view = attach("board")
    assert view.name == "board" and view.path == owned.path and not view.stale
    assert view.state.burst_engine_state is BurstEngineState.RUNNING
    assert view.state.burst_frequency == 30.5 and view.state.neuron_count == 42
    assert view.state.brain_readiness is True and view.state.fatigue_index == 0x55
    assert view.state.as_dict() == {name: getattr(view.state, name) for name in spec.CORE_FIELDS}
    [agent] = view.agents
    assert (agent.agent_id, agent.agent_type, agent.metadata) == ("näh", AgentType.MOTOR, "hello")
    assert (agent.registered_at, agent.last_seen, agent.handle) == (1000, 2000, 7 << 16 | 3)
    link = view.link
    assert (link.state, link.device_name, link.port, link.owner_pid) == (
        LinkState.LIVE,
        "board",
        "/dev/ttyX",
        os.getpid(),
    )
    assert link.age_s is not None and link.counters["frames"] == 0 and not link.stale


def test_state_of_a_view_is_read_only_and_knows_its_names():
    serve()
    view = attach("board")
    for name, says in {
        "neuron_count": r"read-only: ask the device with set\('neuron_count', 5\)",
        "morphologies_hash": "the device's own program sets morphologies_hash",
        "neuron_cuont": "did you mean neuron_count",
    }.items():
        with pytest.raises(InvalidField, match=says):
            setattr(view.state, name, 5)
    with pytest.raises(InvalidField, match="did you mean neuron_count"):
        _ = view.state.neuron_cuont
    assert not hasattr(view.state, "__anything__")
    assert {*spec.CORE_FIELDS, *spec.HASH_ATTRIBUTES} < set(dir(view.state))


def test_unknown_enum_numbers_read_as_the_first_member():
    _, mirror = serve()
    mirror.publish((0, b"\xee\xee\xee"))
    assert attach("board").state.burst_engine_state is BurstEngineState.UNAVAILABLE


def test_another_process_reads_without_disturbing_the_owner():
    _, mirror = serve()
    heard_now(mirror)
    mirror.publish((4, struct.pack("<I", 4711)))
    code = (
        "import feagi_state\n"
        "with feagi_state.attach('board') as view:\n"
        "    print(view.state.neuron_count, view.stale)\n"
        "    stream = view.events(timeout_s=30, from_start=True)\n"
        "    print([next(stream).arg for _ in range(2)], flush=True)\n"
        "    print(next(stream).arg)\n"
    )
    mirror.push_event(300, 1, 0)
    mirror.push_event(300, 2, 0)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "4711 False\n"
    assert process.stdout.readline() == "[1, 2]\n"
    mirror.push_event(300, 3, 0)
    assert process.communicate()[0] == "3\n"
    assert process.returncode == 0


OWNER = """
import struct, sys
from feagi_state import spec
from feagi_state.mirror_files import OwnedMirror
mirror = OwnedMirror("board").open(bytes.fromhex(sys.argv[1]), "board", "port")
core_words, agents_word, agent_words = map(int, sys.argv[2:])
mirror.set_trailer_u32(spec.MIRROR_FIELDS["link_state"].offset, 2)
n = 0
while True:
    n += 1
    word = struct.pack("<I", n)
    mirror.publish((0, word * core_words, 16, word * 16, agents_word, word * agent_words))
    if n == 1000:
        print("ready", flush=True)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_an_owner_killed_while_it_publishes_leaves_whole_pages_and_a_name_to_take_over(attempt):
    region, pages = layout("micro")
    core_words = pages[1][1] // 4
    agents = section_at("micro", "agents")
    agent_words = (section_at("micro", "agents", 1) - agents) // 4
    numbers = [str(n) for n in (core_words, word_of(agents), agent_words)]
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, region[:HEADER_LEN].hex(), *numbers], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    view = attach("board")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    before = view._core.read_page(1)
    assert len(set(struct.unpack(f"<{core_words}I", before))) == 1
    assert len(set(struct.unpack(f"<{agent_words}I", view._core.read_agent(0)))) == 1
    assert view.stale
    owned, mirror = serve(port="port")
    assert owned.name == "board"
    assert mirror.read_page(1) == before == view._core.read_page(1)
    mirror.publish((4, b"\x07"))
    assert view.state.neuron_count == 7


# ----------------------------------------------------------------------------------------------------- staleness


@pytest.mark.parametrize("state", [LinkState.CLOSED, LinkState.CONNECTING, LinkState.STALE])
def test_a_mirror_that_is_not_live_is_stale_but_gives_its_last_values(state):
    _, mirror = serve()
    heard_now(mirror)
    mirror.publish((4, b"\x07"))
    view = attach("board")
    view.require_live()
    mirror.set_trailer_u32(OFFSETS["link_state"], state)
    assert view.stale and view.link.stale
    assert view.state.neuron_count == 7
    with pytest.raises(StaleMirror, match=state.name):
        view.require_live()


def test_an_owner_that_died_is_noticed_by_its_silence():
    _, mirror = serve()
    heard_now(mirror, ago_s=spec.STALE_AFTER_MS / 1000 + 1)
    view = attach("board")
    assert view.link.state == LinkState.STALE
    assert view.stale and view.link.stale
    with pytest.raises(StaleMirror, match="link is STALE"):
        view.require_live()
    with pytest.raises(StaleMirror):
        view.wait_live(timeout_s=0)
    heard_now(mirror)
    view.wait_live(timeout_s=0)


def test_a_mirror_that_never_heard_anything_is_stale():
    _, mirror = serve()
    mirror.set_trailer_u32(OFFSETS["link_state"], LinkState.LIVE)
    assert attach("board").stale
    assert attach("board").link.age_s is None


@pytest.mark.skipif(subprocess.call([*HOUR_LATER, "true"], stderr=subprocess.DEVNULL) != 0, reason="only root can be where another hour has passed")
def test_a_computer_that_slept_takes_no_mirror_for_live():
    """Linux's monotonic clock stands still while the computer sleeps. Here another process's clock has gone on an hour."""
    _, mirror = serve()
    heard_now(mirror)
    look = [sys.executable, "-c", "import feagi_state; print(feagi_state.attach('board').link.age_s)"]
    age_s, age_later_s = (float(subprocess.check_output(how + look)) for how in ([], HOUR_LATER))
    assert age_s < 1800 < 3600 <= age_later_s


# ------------------------------------------------------------------------------------------ taking over, replacing


def test_the_next_owner_of_the_same_device_takes_the_file_over_with_values_and_events():
    owned, mirror = serve()
    mirror.publish((4, b"\x07"))
    mirror.push_event(300, 1, 2)
    view = attach("board")
    inode = owned.path.stat().st_ino
    owned.close()
    again, taken = serve()
    assert again.path.stat().st_ino == inode
    assert view.state.neuron_count == 7 and taken.read_event(0) == (300, 1, 2)
    taken.publish((4, b"\x08"))
    assert view.state.neuron_count == 8


@pytest.mark.parametrize("change", [{"profile": "tiny"}, {"port": "/dev/ttyY"}], ids=["another layout", "another port"])
def test_another_device_gets_a_new_file_and_views_follow(change):
    owned, mirror = serve()
    mirror.publish((4, b"\x07"))
    mirror.push_event(300, 1, 0)
    heard_now(mirror)
    view = attach("board")
    stream = view.events(timeout_s=0, from_start=True)
    owned.close()
    _, other = serve(**change)
    assert mirror.trailer_u32(OFFSETS["link_state"]) == LinkState.CLOSED
    other.publish((4, b"\x09"))
    other.push_event(300, 2, 0)
    heard_now(other)
    assert view.state.neuron_count == 9 and not view.stale
    # The old file's events first, then the new one's.
    assert [event.arg for event in stream] == [1, 2]


def test_the_same_owner_replaces_its_file_for_other_firmware():
    owned, mirror = serve()
    heard_now(mirror)
    view = attach("board")
    other = owned.open(bytes(layout("tiny")[0][:HEADER_LEN]), "board", "/dev/ttyX")
    assert other is not mirror and owned.open(bytes(layout("tiny")[0][:HEADER_LEN]), "board", "/dev/ttyX") is other
    heard_now(other)
    assert not view.stale and view._core.region_len == other.region_len


def test_events_that_were_overwritten_are_counted_for_each_reader():
    _, mirror = serve(profile="tiny")
    view = attach("board")
    slow, late = view.events(timeout_s=0), None
    capacity = mirror.events_capacity
    for n in range(capacity + 10):
        mirror.push_event(300, n, 0)
        if n == 4:
            late = view.events(timeout_s=0)
    assert [event.arg for event in slow] == list(range(10, capacity + 10)) and slow.lost == 10
    assert late is not None and next(late).arg == 10 and late.lost == 5
    assert slow.get() is None
    mirror.push_event(300, 99, 5)
    event = slow.get(timeout_s=1)
    assert event is not None and (event.arg, event.time_ms, event.position) == (99, 5, capacity + 10)


def test_times_are_of_the_kind_that_the_header_says():
    _, mirror = serve(profile="tiny")
    view = attach("board")
    last_modified = HEADER_LEN + spec.CORE_FIELDS["last_modified"].offset
    mirror.publish((word_of(last_modified), (90_000).to_bytes(8, "little")))
    mirror.push_event(300, 1, 89_000)
    assert not view.unix_time
    assert [event.time_ms for event in view.events(0, from_start=True)] == [89_000]
    now_ms = 1_700_000_000_000
    mirror.publish((word_of(header_at("flags")), b"\1", word_of(last_modified), now_ms.to_bytes(8, "little")))
    for ago_ms in (20 * 86_400_000, 1, 0, -3):
        mirror.push_event(300, 1, (now_ms - ago_ms) % 2**32)
    assert view.unix_time
    times = [event.time_ms for event in view.events(0, from_start=True)]
    assert times[1:] == [now_ms - 20 * 86_400_000, now_ms - 1, now_ms, now_ms + 3]


def test_a_closed_view_says_so():
    serve()
    view = attach("board")
    view.close()
    with pytest.raises(ValueError):
        _ = view.state.neuron_count


# ------------------------------------------------------------------------------------------------ files that lie


def test_a_mirror_that_is_not_there_is_named_with_those_that_are(directory):
    with pytest.raises(MemoryMapError, match="connect a device first"):
        attach("board")
    serve("other")
    with pytest.raises(MemoryMapError, match="other"):
        attach("board")
    with pytest.raises(StateError):
        attach(directory)


def genuine() -> bytearray:
    owned, _ = serve("genuine", "tiny")
    data = bytearray(owned.path.read_bytes())
    assert MirrorView(owned.path).state.neuron_count == 0
    owned.close()
    return data


@pytest.mark.parametrize(
    ("what", "at", "value"),
    [
        ("empty", 0, None),
        ("truncated", 1000, None),
        ("without its shadow", TINY_LEN + TRAILER_LEN + 4 * 256, None),
        ("another magic", header_at("magic"), b"ELF\0"),
        ("another schema", header_at("schema_hash"), b"\1\2\3\4"),
        ("another version of the mirror", trailer_at("tiny", "mirror_version"), b"\x09"),
        ("no trailer", trailer_at("tiny", "magic"), b"\0\0\0\0"),
        ("a region longer than the file", header_at("region_len"), struct.pack("<I", 0x7FFFFFFF)),
        *((f"{name} outside of the file", table_at(name), struct.pack("<I", 0xFFFFFF00)) for name in spec.SECTIONS),
        *((f"more {name} than fit", table_at(name, "capacity"), struct.pack("<H", 65535)) for name in spec.SECTIONS),
    ],
)
def test_a_hostile_file_is_refused_and_replaced_by_an_owner(directory, what, at, value):
    data = genuine()
    data = data[:at] if value is None else data[:at] + value + data[at + len(value) :]
    path = directory / "board.mirror"
    path.write_bytes(data)
    with pytest.raises(MemoryMapError, match=r"board\.mirror"):
        attach("board")
    with pytest.raises(MemoryMapError):
        attach(path)
    _, mirror = serve("board", "tiny")
    mirror.publish((4, b"\x05"))
    assert attach("board").state.neuron_count == 5


def test_a_symbolic_link_in_a_mirrors_place_is_replaced_and_not_written_through(directory, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(genuine())
    before = target.read_bytes()
    (directory / "board.mirror").symlink_to(target)
    _, mirror = serve("board", "tiny")
    mirror.publish((4, b"\x05"))
    assert target.read_bytes() == before
    assert not (directory / "board.mirror").is_symlink()


def test_agents_with_impossible_lengths_are_cut():
    _, mirror = serve()
    entry = struct.pack("<BBBxHHQQ32sII", 1, 99, 255, 65535, 1, 0, 0, b"\xff" * 32, 2, 0)
    mirror.publish((word_of(section_at("micro", "agents")), entry))
    [agent] = attach("board").agents
    assert len(agent.agent_id) == 31 and agent.agent_type == AgentType.SENSORY
    assert len(agent.metadata or "") <= 24


def test_a_view_is_mapped_read_only():
    serve()
    view = attach("board")
    assert not view._core.writable
    with pytest.raises(TypeError):
        view._core.publish((4, b"\x05"))
    with open(view.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        assert Mirror(memory).writable is False
