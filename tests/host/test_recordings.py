"""Recordings: what a Recorder writes, what a Recording reads, what a Replay and an export make of it."""

from __future__ import annotations

import csv
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import fastjsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from pyarrow import parquet

from feagi_state import (
    EventKind,
    InvalidValue,
    LinkError,
    LinkState,
    MemoryMapError,
    PersistenceError,
    Recorder,
    Recording,
    attach,
    connect,
    mirrors,
    spec,
)
from feagi_state._core import Mirror
from feagi_state.clock import now_ns, now_s
from feagi_state.mirror_files import OwnedMirror
from feagi_state.recording_format import TOPICS
from feagi_state.recording_writer import RecordingWriter
from places import HEADER_LEN, layout, page_of, section_at, word_of
from processes import program

PATIENCE_S = 30.0
TRAILER = {name: field.offset for name, field in spec.MIRROR_FIELDS.items()}
HASHES_AT = section_at("tiny", "hashes")
NEURONS_AT = HEADER_LEN + spec.CORE_FIELDS["neuron_count"].offset


class Owner:
    """Who writes a mirror."""

    def __init__(self, directory: Path | None = None) -> None:
        self.owned = OwnedMirror("board", directory)
        self.mirror = self.open("tiny")

    def open(self, profile: str) -> Mirror:
        """A mirror of another layout replaces the one that is there."""
        self.profile = profile
        self.mirror = self.owned.open(bytes(layout(profile)[0][:HEADER_LEN]), "a board", "/dev/ttyX")
        self.pages = [(page, length) for page, (_, length) in enumerate(layout(profile)[1])]
        self.live()
        return self.mirror

    def live(self, state: LinkState = LinkState.LIVE) -> None:
        self.mirror.set_trailer_u64(TRAILER["heard_ms"], int(now_s() * 1000))
        self.mirror.set_trailer_u32(TRAILER["link_state"], state)

    def count(self, neurons: int) -> None:
        self.mirror.publish((word_of(NEURONS_AT), struct.pack("<I", neurons)))


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.fixture
def owner(directory):
    made = Owner()
    yield made
    made.owned.close()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "run.mcap"


def until(true: Callable[[], object]) -> None:
    """Waits for what always comes."""
    deadline = now_s() + PATIENCE_S
    while not true():
        assert now_s() < deadline, "it did not come"
        time.sleep(0.001)


def replayed(file: Path, directory: Path | None = None) -> bytes:
    """The mirror's region after a replay."""
    with Recording(file).replay(speed=0, mirror_dir=directory) as replay:
        assert replay.wait(PATIENCE_S)
        return replay.mirror.region().read_region()


def messages(file: Path, topic: str) -> list[dict]:
    return [message.value for message in Recording(file) if message.topic == topic]


def noticed(recorder: Recorder, change: Callable[[], object], topic: str = "page") -> None:
    """Makes a change that the recorder sees before the next one."""
    before = recorder.summary.topics[topic]
    change()
    until(lambda: recorder.summary.topics[topic] > before)


def counted(owner: Owner, file: Path, values: Iterable[int]) -> None:
    """A recording of these numbers of neurons, each of which was seen."""
    with Recorder("board", file) as recorder:
        until(lambda: recorder.summary.messages)
        for value in values:
            owner.live()
            noticed(recorder, lambda value=value: owner.count(value))


# --------------------------------------------------------------------------------------------------- what is written


def test_a_recording_begins_with_the_whole_state(owner, file):
    owner.count(7)
    with Recorder("board", file) as recorder:
        assert (recorder.name, recorder.path, recorder.problem) == ("board", str(file), None)
    recording = Recording(file)
    first, *others = recording
    assert first.topic == "snapshot" and (recording.name, recording.device_name) == ("board", "a board")
    assert first.value["port"] == "/dev/ttyX"
    assert replayed(file) == owner.mirror.read_region()
    topics = {message.topic: message.value for message in others}
    assert topics["state"]["neuron_count"] == 7 and topics["state"]["burst_engine_state"] == "UNAVAILABLE"
    assert topics["link"]["state"] == "LIVE"
    assert topics["agents"] == {"agents": []} and topics["fcl_windows"] == {"default_window": 0, "fcl_windows": []}
    assert recorder.summary.topics == {topic: [m.topic for m in recording].count(topic) for topic in TOPICS}
    assert recorder.summary.messages == 1 + len(others) and recorder.summary.len_bytes == file.stat().st_size


def test_every_section_is_said_in_words_when_it_changes(owner, file):
    mirror = owner.open("micro")
    at = lambda section, entry=0: word_of(section_at("micro", section, entry))  # noqa: E731
    with Recorder("board", file):
        agent = struct.pack("<BBBxHHQQ32sII", 1, 1, 4, 5, 7, 1000, 2000, "näh".encode(), 2, 99) + b"hello"
        mirror.publish((at("agents", 3), agent))
        mirror.push_event(EventKind.AGENT_REGISTERED, 7 << 16 | 3, 5)
        mirror.publish((at("hashes"), struct.pack("<Q", 2**64 - 1)))
        mirror.publish((at("cortical_locks"), struct.pack("<IIQ", 12, 1, 2**63)))
        mirror.publish((at("fcl_windows"), struct.pack("<IIII", 12, 1, 40, 1)))
        mirror.publish((at("area_stats"), struct.pack("<BBxxIII16s", 1, 2, 10, 20, 30, b"v1")))
    assert messages(file, "agents")[-1]["agents"] == [
        {"agent_id": "näh", "agent_type": "MOTOR", "registered_at": 1000, "last_seen": 2000, "metadata": "hello", "handle": 7 << 16 | 3}
    ]
    [event] = messages(file, "event")
    assert (event["kind"], event["value"], event["lost"]) == ("AGENT_REGISTERED", "näh", 0)
    assert messages(file, "hashes")[-1]["brain_regions"] == 2**64 - 1
    assert messages(file, "locked_areas")[-1] == {"locked_areas": [{"area": 12, "owner": 2**63}]}
    assert messages(file, "fcl_windows")[-1]["fcl_windows"] == [{"area": 12, "window": 40}]
    assert messages(file, "area_stats")[-1]["area_stats"] == [
        {"area_id": "v1", "neuron_count": 10, "incoming_synapse_count": 20, "outgoing_synapse_count": 30}
    ]


def test_the_device_time_is_the_devices_and_the_log_time_the_hosts(owner, file):
    before = time.time_ns()
    unix_ms = before // 1_000_000 - 5000
    fields = spec.CORE_FIELDS
    stamp = lambda ms: owner.mirror.publish((word_of(HEADER_LEN + fields["last_modified"].offset), struct.pack("<Q", ms)))  # noqa: E731
    with Recorder("board", file) as recorder:
        noticed(recorder, lambda: stamp(unix_ms))
        owner.mirror.push_event(256, 1, unix_ms & 0xFFFFFFFF)
    state, event = ([m for m in Recording(file) if m.topic == topic][-1] for topic in ("state", "event"))
    assert state.device_time_ns == event.device_time_ns == unix_ms * 1_000_000
    assert before - 10**9 < state.log_time_ns <= event.log_time_ns < time.time_ns() + 10**9
    assert event.value["time_ms"] == unix_ms


def test_a_time_since_the_devices_start_is_placed_by_its_clock(owner, file):
    """A device that started 100 s ago by the link's measure, and says that something was 10 s after its start."""
    owner.mirror.set_trailer_u64(TRAILER["clock_offset_us"], (100_000_000 - now_ns() // 1000) % 2**64)
    owner.mirror.set_trailer_u32(TRAILER["round_trip_us"], 1000)
    with Recorder("board", file):
        owner.mirror.push_event(256, 1, 10_000)
    [event] = (message for message in Recording(file) if message.topic == "event")
    assert 90 <= (event.log_time_ns - event.device_time_ns) / 1e9 < 90 + PATIENCE_S


def test_what_no_time_can_be_is_the_hosts(owner, file):
    with Recorder("board", file):
        owner.mirror.publish((word_of(HEADER_LEN + spec.CORE_FIELDS["last_modified"].offset), b"\xff" * 8))
    state = [message for message in Recording(file) if message.topic == "state"][-1]
    assert state.device_time_ns == state.log_time_ns


def test_other_tools_find_channels_with_schemas(owner, file):
    owner.count(1)
    with Recorder("board", file):
        owner.mirror.push_event(300, 5, 6)
    with file.open("rb") as opened:
        reader = make_reader(opened, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None and summary.chunk_indexes
        assert {index.compression for index in summary.chunk_indexes} == {"zstd"}
        checks = {number: fastjsonschema.compile(json.loads(schema.data)) for number, schema in summary.schemas.items()}
        assert {channel.topic for channel in summary.channels.values()} >= {"/board/state", "/board/event", "/board/agents"}
        for schema, channel, message in reader.iter_messages():
            assert schema is not None and (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            assert schema.name.startswith("feagi_state.")
            checks[schema.id](json.loads(message.data))


# ------------------------------------------------------------------------------------------ the round trip, any state

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.integers(1, 12), st.binary(min_size=128, max_size=128)),
        st.tuples(st.just("event"), st.integers(1, 0xFFFF), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("link"), st.sampled_from(list(LinkState)), st.just(0)),
        st.tuples(st.just("layout"), st.sampled_from(["tiny", "micro"]), st.just(0)),
        st.tuples(st.just("look"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_a_replay_ends_with_the_bytes_and_events_of_the_recorded_mirror(tmp_path_factory, steps):
    """Whatever is in the pages: a device may write anything. And all that is said of it is as its schema says."""
    directory = tmp_path_factory.mktemp("property")
    owner, file = Owner(directory), directory / "run.mcap"
    events = []
    with Recorder("board", file, mirror_dir=directory) as recorder:
        until(lambda: recorder.summary.messages)
        for what, first, second in steps:
            if what == "page":
                page = min(first, len(owner.pages) - 1)
                owner.mirror.publish_page(page, second[: owner.pages[page][1]])
            elif what == "event":
                owner.mirror.push_event(first, second, 5)
                events.append((first, second, 5))
            elif what == "link":
                owner.live(first)
            elif what == "look":
                noticed(recorder, lambda: owner.count(recorder.summary.messages))
            elif first != owner.profile:
                noticed(recorder, lambda first=first: owner.open(first), "snapshot")
    owner.owned.close()
    checks = {topic: fastjsonschema.compile(found.json_schema()) for topic, found in TOPICS.items()}
    for message in Recording(file):
        checks[message.topic](message.value)
    assert replayed(file, directory) == owner.mirror.read_region()
    found = [(kind_number(event["kind"]), event["arg"], event["time_ms"] & 0xFFFFFFFF) for event in messages(file, "event")]
    assert found == events


def kind_number(text: str) -> int:
    return EventKind[text] if text in EventKind.__members__ else int(text)


def test_a_replays_ring_has_the_events_of_the_recorded_one(owner, file):
    with Recorder("board", file):
        for n in range(10):
            owner.mirror.push_event(1 + n % 5, n, n)
    with Recording(file).replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S)
        found = [(event.kind, event.arg, event.time_ms) for event in replay.mirror.events(0.0, from_start=True)]
    assert found == [(1 + n % 5, n, n) for n in range(10)]


# ------------------------------------------------------------------------------- nobody waits, and nothing goes uncounted


def test_each_version_and_event_is_in_the_file_or_counted(owner, file):
    page, versions, events = page_of("tiny", NEURONS_AT), 3000, 500
    with Recorder("board", file) as recorder:
        for n in range(versions):
            owner.count(n)
            if n < events:
                owner.mirror.push_event(256, n, 0)
    pages = [found for found in messages(file, "page") if found["page"] == page]
    assert sum(1 + found["passed_over"] for found in pages) == versions
    assert sum(found["passed_over"] for found in pages) == recorder.summary.passed_over
    got = messages(file, "event")
    assert sum(1 + found["lost"] for found in got) == events
    assert sum(found["lost"] for found in got) == recorder.summary.events_lost
    assert [found["arg"] for found in got] == sorted(found["arg"] for found in got)
    assert replayed(file) == owner.mirror.read_region()


def test_a_disk_that_stands_still_holds_up_nobody(owner, file, monkeypatch):
    """What does not fit the queue is passed over, and counted; the end is right all the same."""
    goes_on, stands = threading.Event(), threading.Event()
    flush = RecordingWriter.flush

    def slow(self: RecordingWriter) -> float:
        stands.set()
        assert goes_on.wait(PATIENCE_S)
        return flush(self)

    monkeypatch.setattr(RecordingWriter, "flush", slow)
    monkeypatch.setattr("feagi_state.recorder._LOOKS_WAITING", 4)
    recorder = Recorder("board", file)
    assert stands.wait(PATIENCE_S)
    numbers = iter(range(1, 1001))

    def all_published() -> bool:
        owner.count(number := next(numbers))
        return number == 1000

    until(all_published)
    goes_on.set()
    recorder.close()
    pages = messages(file, "page")
    assert len(pages) <= 4 + 2, "the queue, the one that was being written, and the last look"
    assert sum(1 + found["passed_over"] for found in pages) == 1000
    assert replayed(file) == owner.mirror.read_region()


FULL_DISK = """
import resource
from feagi_state import recording_writer
recording_writer._FLUSH_S = 0.05  # a small disk has small chunks
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
recorder = Recorder("board", sys.argv[1])
assert recorder.wait(60)
say(recorder.problem)
try:
    recorder.close()
except PersistenceError as error:
    say(type(error).__name__, error is recorder.problem, recorder.summary.len_bytes)
"""


def test_a_full_disk_is_said_and_leaves_what_fits(owner, file):
    with program(FULL_DISK, file) as child:
        thread_ends = threading.Event()

        def fill() -> None:
            while not thread_ends.wait(0.002):
                owner.mirror.publish_page(5, os.urandom(owner.pages[5][1]))

        filler = threading.Thread(target=fill)
        filler.start()
        assert child.hear() == f"{file} cannot be written: File too large; what was written before can be read"
        assert child.hear() == "PersistenceError True 30000"
        thread_ends.set()
        filler.join()
    recording = Recording(file)
    assert len(list(recording)) > 10 and recording.truncated


def test_a_killed_recorder_leaves_what_it_had_written(owner, file):
    with program("recorder = Recorder('board', sys.argv[1]); say('on'); hear()", file) as child:
        assert child.hear() == "on"
        count = 0

        def is_written() -> bool:
            nonlocal count
            count += 1
            owner.count(count)
            return file.stat().st_size > 8000

        until(is_written)
        child.kill()
    recording = Recording(file)
    values = [message.value["neuron_count"] for message in recording if message.topic == "state"]
    assert recording.truncated and len(values) > 2 and values == sorted(set(values))
    with recording.replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S) and replay.mirror.state.neuron_count == values[-1]


# ------------------------------------------------------------------------------------------------- files that are wrong


@pytest.fixture
def good(owner, file, monkeypatch) -> bytes:
    """The bytes of a recording with several chunks."""
    monkeypatch.setattr("feagi_state.recording_writer._FLUSH_S", 0.005)
    with Recorder("board", file) as recorder:
        for n in range(1, 40):
            owner.mirror.push_event(256, n, n)
            noticed(recorder, lambda n=n: owner.count(n))
    return file.read_bytes()


def test_a_recording_that_is_cut_anywhere_is_read_up_to_there_or_refused(good, file, tmp_path):
    whole = list(Recording(file))
    cut = tmp_path / "cut.mcap"
    for length in (*range(0, len(good), 97), len(good) - 1):
        cut.write_bytes(good[:length])
        try:
            recording = Recording(cut)
        except PersistenceError as error:
            assert "truncated" in str(error)
            continue
        found = list(recording)
        assert found == whole[: len(found)] and (recording.truncated or found == whole)


def test_a_recording_with_flipped_bits_is_read_right_or_refused(good, file, tmp_path):
    whole = list(Recording(file))
    spoilt, wrong = tmp_path / "spoilt.mcap", 0
    for at in range(0, len(good), 37):
        spoilt.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        found = []
        try:
            recording = Recording(spoilt)
            for message in recording:
                found.append(message)
            assert found == whole or recording.truncated
        except PersistenceError:
            wrong += 1
        assert found == whole[: len(found)]
    assert wrong > 10


@pytest.mark.parametrize(("number", "has_end"), [(1, True), (-1, True), (1, False)])
def test_a_chunk_that_is_no_chunk_any_more_is_missed(good, file, number, has_end):
    """Readers of MCAP pass over what they do not know: a replay would go on with a wrong state."""
    with file.open("rb") as opened:
        summary = make_reader(opened).get_summary()
    assert summary is not None and len(summary.chunk_indexes) > 2
    at = summary.chunk_indexes[number].chunk_start_offset
    end = len(good) if has_end else summary.chunk_indexes[-1].chunk_start_offset + 500
    file.write_bytes(good[:at] + b"\x7f" + good[at + 1 : end])
    recording = Recording(file)
    with pytest.raises(PersistenceError, match=r"message \d+ follows where \d+ should|it has \d+ messages of \d+"):
        list(recording)


def write_mcap(file: Path, topic: str, *values: object) -> None:
    """An MCAP file of somebody."""
    from mcap.writer import Writer

    with file.open("wb") as opened:
        writer = Writer(opened)
        writer.start()
        channel = writer.register_channel(topic, "json", 0)
        for number, value in enumerate(values):
            writer.add_message(channel, 1, json.dumps(value).encode(), 1, number)
        writer.finish()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"hello", "is no recording: it begins with b'hello'"),
        (("/imu",), "has no message"),
        (("/imu", {"x": 1}), "is no recording of feagi-state"),
        (("/board/state", {"x": 1}), "is no recording of feagi-state"),
        (("/board/snapshot", {"schema": "0x00000001"}), "schema 0x00000001, this version has"),
        (("/board/snapshot", [1]), "is damaged"),
    ],
)
def test_what_is_no_recording_of_ours_is_refused(file, content, says):
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        write_mcap(file, *content)
    with pytest.raises(PersistenceError, match=says):
        Recording(file)


SNAPSHOT = {"name": "board", "device_name": "x", "port": "", "schema": f"{spec.SCHEMA_HASH:#010x}"}


@pytest.mark.parametrize("region", [{}, {"region": "?"}, {"region": 5}, {"region": ""}, {"region": "AAAA" * 100}])
def test_a_snapshot_that_is_no_region_is_refused(file, region):
    write_mcap(file, "/board/snapshot", {**SNAPSHOT, **region})
    with pytest.raises(PersistenceError, match="is damaged"):
        Recording(file).replay(speed=0)
    assert mirrors() == []


def test_files_that_are_not_there_or_no_files(tmp_path, owner):
    with pytest.raises(PersistenceError, match="there is no file"):
        Recording(tmp_path / "none")
    with pytest.raises(PersistenceError, match="no regular file"):
        Recording(tmp_path)
    with pytest.raises(PersistenceError, match="No such file"):
        Recorder("board", tmp_path / "none" / "run.mcap")
    with pytest.raises(PersistenceError, match="no regular file"):
        Recorder("board", tmp_path, overwrite=True)
    with pytest.raises(PersistenceError, match="a device's mirror"):
        Recorder("board", owner.owned.path, overwrite=True)
    with pytest.raises(MemoryMapError, match="there is no mirror"):
        Recorder("nobody", tmp_path / "run.mcap")
    assert not (tmp_path / "run.mcap").exists()


def test_a_file_that_is_there_is_overwritten_only_on_demand(owner, file):
    counted(owner, file, [5])
    before = file.read_bytes()
    with pytest.raises(PersistenceError, match="is there already"):
        Recorder("board", file)
    assert file.read_bytes() == before
    owner.count(9)
    with Recorder("board", file, overwrite=True):
        pass
    assert messages(file, "state")[0]["neuron_count"] == 9


@pytest.mark.parametrize(("package", "extra"), [("mcap", "record"), ("pyarrow", "parquet")])
def test_a_package_that_is_not_there_is_named_with_its_extra(owner, file, tmp_path, monkeypatch, package, extra):
    counted(owner, file, [])
    recording = Recording(file)
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    uses = [lambda: recording.export(tmp_path / "tables", "parquet")]
    if package == "mcap":
        uses = [lambda: Recorder("board", tmp_path / "other.mcap"), lambda: Recording(file)]
    for use in uses:
        with pytest.raises(PersistenceError, match=rf'pip install "feagi-state\[{extra}\]"'):
            use()
    assert not (tmp_path / "other.mcap").exists()


# ------------------------------------------------------------------------------------------------------------ replays


def test_a_replay_is_a_mirror_of_its_own_that_says_what_it_is(owner, file):
    counted(owner, file, [5])
    with Recording(file).replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S)
        assert replay.name == "board-replay" and sorted(mirrors()) == ["board", "board-replay"]
        with attach(replay.name) as view:
            assert view.link.replayed and view.link.port == "replay:run.mcap" and view.link.device_name == "a board"
            assert view.is_served and not view.stale and view.state.neuron_count == 5
        with pytest.raises(LinkError, match="is a replay, which takes no commands"):
            connect(replay.name)
        with Recording(file).replay(speed=0, name="board-replay") as second:
            assert second.name == "board-replay-2"
    with attach("board-replay") as view, attach("board") as live:
        assert view.link.state == LinkState.CLOSED and not view.is_served
        assert not live.link.replayed


def test_a_replay_is_stale_while_the_recorded_mirror_was(owner, file):
    with Recorder("board", file) as recorder:
        until(lambda: recorder.summary.messages)
        noticed(recorder, lambda: owner.live(LinkState.STALE), "link")
        noticed(recorder, lambda: owner.count(3))
    with Recording(file).replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S)
        assert replay.mirror.link.state == LinkState.STALE and replay.mirror.state.neuron_count == 3


def test_a_replay_begins_where_it_is_told(owner, file):
    counted(owner, file, range(1, 6))
    recording = Recording(file)
    third = next(m for m in recording if m.topic == "state" and m.value["neuron_count"] == 3)
    start_s = (third.log_time_ns - recording.began_ns) / 1e9
    with recording.replay(start_s=start_s, speed=1e-9) as replay:
        replay.mirror.wait_live(PATIENCE_S)
        assert replay.mirror.state.neuron_count == 3
        assert not replay.wait(0)


class Watched(Recording):
    """A recording that says, before each message is read, whether its replay's mirror is live."""

    def __iter__(self):
        self.seen: list[tuple[int, bool]] = []
        for message in super().__iter__():
            with suppress(MemoryMapError), attach("board-replay") as view:
                self.seen.append((message.log_time_ns, not view.stale))
            yield message


@pytest.mark.parametrize("speed", [0, 1e9])
def test_a_replay_is_not_live_before_it_is_where_it_begins(owner, file, speed):
    with Recorder("board", file) as recorder:
        until(lambda: recorder.summary.messages)
        for value in range(1, 30):
            owner.live()
            # Two pages, which are recorded as of one time.
            data = struct.pack("<I", value)
            noticed(recorder, lambda data=data: owner.mirror.publish((word_of(NEURONS_AT), data, word_of(HASHES_AT), data)))
    recording = Watched(file)
    pages = [message.log_time_ns for message in recording if message.topic == "page"]
    start_ns = next(time_ns for time_ns in pages[10:] if pages.count(time_ns) > 1)
    with recording.replay(start_s=(start_ns - recording.began_ns) / 1e9, speed=speed) as replay:
        assert replay.wait(PATIENCE_S)
    live = [time_ns for time_ns, is_live in recording.seen if is_live]
    assert live and min(live) > start_ns


def test_a_loop_begins_again(owner, file):
    counted(owner, file, [1, 2])
    recording = Recording(file)
    *_, last = recording
    speed = (last.log_time_ns - recording.began_ns) / 1e9 / 0.2
    with recording.replay(loop=True, speed=speed) as replay, attach(replay.name) as view:
        values = []
        for change in view.changes("neuron_count", timeout_s=PATIENCE_S):
            values.append(change.value)
            if len(values) == 4:
                break
        assert set(values) <= {0, 1, 2} and len(set(values)) > 1
        assert replay.wait(PATIENCE_S)


def test_a_damaged_recording_ends_its_replay_with_the_reason(good, file):
    with file.open("rb") as opened:
        summary = make_reader(opened).get_summary()
    assert summary is not None and len(summary.chunk_indexes) > 1
    at = summary.chunk_indexes[-1].chunk_start_offset + 60
    file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with Recording(file).replay(speed=0) as replay, pytest.raises(PersistenceError, match="damaged"):
        replay.wait(PATIENCE_S)


@pytest.mark.parametrize("how", [{"speed": -1}, {"speed": float("nan")}, {"speed": "fast"}, {"start_s": -1}, {"speed": 0, "loop": True}])
def test_speeds_and_starts_that_cannot_be(owner, file, how):
    counted(owner, file, [])
    with pytest.raises(InvalidValue):
        Recording(file).replay(**how)
    assert mirrors() == ["board"]


# ------------------------------------------------------------------------------------------------------------ exports


def test_tables_have_what_the_messages_have(owner, file, tmp_path):
    owner.mirror.publish((word_of(HEADER_LEN + spec.CORE_FIELDS["burst_frequency"].offset), struct.pack("<f", float("nan"))))
    owner.mirror.publish((word_of(section_at("tiny", "cortical_locks")), struct.pack("<IIQ", 12, 1, 2**63)))
    owner.mirror.publish((word_of(section_at("tiny", "hashes")), struct.pack("<Q", 2**64 - 1)))
    counted(owner, file, range(1, 6))
    recording = Recording(file)
    paths = recording.export(tmp_path / "tables")
    assert [Path(path).name for path in paths] == [f"{topic}.csv" for topic in dict.fromkeys(m.topic for m in recording) if topic not in ("snapshot", "page")]
    with (tmp_path / "tables" / "state.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [int(row["neuron_count"]) for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[0]["burst_frequency"] == "" and rows[0]["brain_readiness"] == "false" and rows[0]["genome_state"] == "MISSING"
    recording.export(tmp_path / "tables", "parquet")
    state = parquet.read_table(tmp_path / "tables" / "state.parquet")
    assert state.column("neuron_count").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert str(state.schema.field("log_time").type) == "timestamp[us, tz=UTC]"
    assert state.column("log_time").cast("int64").to_pylist() == [m.log_time_ns // 1000 for m in recording if m.topic == "state"]
    assert parquet.read_table(tmp_path / "tables" / "locked_areas.parquet").to_pylist()[0]["owner"] == 2**63
    assert parquet.read_table(tmp_path / "tables" / "hashes.parquet").to_pylist()[0]["brain_regions"] == 2**64 - 1
    [agents] = parquet.read_table(tmp_path / "tables" / "agents.parquet").to_pylist()
    assert agents["agent_id"] is None and agents["log_time"] is not None, "no agent is a row as well"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_that_are_there_are_overwritten_only_on_demand(owner, file, tmp_path, kind):
    counted(owner, file, [])
    recording = Recording(file)
    recording.export(tmp_path / "tables", kind)
    with pytest.raises(PersistenceError, match="is there already"):
        recording.export(tmp_path / "tables", kind)
    recording.export(tmp_path / "tables", kind, overwrite=True)
    (tmp_path / "taken").write_text("")
    with pytest.raises(PersistenceError, match="cannot be written"):
        recording.export(tmp_path / "taken", kind)
    with pytest.raises(InvalidValue, match="csv, parquet"):
        recording.export(tmp_path / "tables", "excel")
