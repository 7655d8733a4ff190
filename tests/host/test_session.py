"""The host's role against a device role that was written from LINK.md alone, in virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_device import FakeDevice, TextFrames
from feagi_state import spec
from feagi_state._core import Mirror
from feagi_state.errors import CommandTimeout, LinkError, SerializationError, SessionLost
from feagi_state.frames import Deframer, decode, encode
from feagi_state.outbox import Outbox
from feagi_state.session import Hello, HostSession, Observer
from feagi_state.spec import CommandOp, Kind, LinkState, NakReason
from places import HEADER_LEN, header_at, layout, table_at, word_of

STEP_S = 0.01
LINK_STATE = spec.MIRROR_FIELDS["link_state"].offset


class Recorder(Observer):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.started: list[Hello] = []
        self.lives: list[Mirror] = []
        self.pages: list[tuple[int, ...]] = []
        self.events: list[tuple[int, int, int]] = []
        self.texts = b""
        self.logs: list[tuple[int, str]] = []
        self.mismatches: list[Hello] = []
        self.ended: list[str] = []
        self.kept: Mirror | None = None  # given again and again, as a file is

    def open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        if self.kept is None or self.kept.read_page(0)[:16] != header[:16]:
            self.kept = super().open_mirror(header, hello)
        return self.kept

    def session_started(self, hello: Hello) -> None:
        self.started.append(hello)

    def live(self, mirror: Mirror) -> None:
        self.lives.append(mirror)

    def published(self, pages: tuple[int, ...]) -> None:
        self.pages.append(pages)

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        self.events.append((kind, arg, time_ms))

    def text(self, data: bytes) -> None:
        self.texts += data

    def log(self, level: int, message: str) -> None:
        self.logs.append((level, message))

    def mismatch(self, hello: Hello) -> None:
        self.mismatches.append(hello)

    def session_ended(self, reason: str) -> None:
        self.ended.append(reason)


class Bench:
    """A host, a device, and a line between them that a function may spoil."""

    def __init__(self, device: FakeDevice | None = None) -> None:
        self.heard = Recorder()
        self.host = HostSession(self.heard, lambda: 0x1234)
        self.device = device or FakeDevice(77)
        self.now = 100.0
        self.to_host = self.to_device = lambda data: data
        self.host.port_opened(self.now)

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.now += STEP_S
            self.device.tick(self.now)
            data = self.to_host(self.device.take_output())
            if data:
                self.host.receive(data, self.now)
            self.host.poll(self.now)
            self.device.receive(self.to_device(self.host.take_output()), self.now)

    def until(self, condition, steps: int = 3000) -> None:
        for _ in range(steps):
            if condition():
                return
            self.step()
        raise AssertionError("it did not happen")

    def live(self) -> Bench:
        self.until(lambda: self.host.is_live and self.device.up)
        return self

    @property
    def mirror(self) -> Mirror:
        assert self.host.mirror is not None
        return self.host.mirror

    def equal(self) -> bool:
        return self.host.is_live and all(
            self.mirror.read_page(i) == self.device.page(i) for i in range(len(self.device.pages))
        )

    def host_sends(self) -> list[tuple[int, int, tuple[object, ...]]]:
        """What the host says next, decoded."""
        data = self.host.take_output()
        segments = TextFrames().feed(data) or Deframer().feed(data)
        return [tuple(decode(s, self.host.session)) for s in segments]

    def device_says(
        self, kind: int, seq: int = 0, items: tuple[object, ...] = ()
    ) -> list[tuple[int, int, tuple[object, ...]]]:
        """Gives the host a frame of its session; returns what it says then."""
        self.host.take_output()
        self.host.receive(encode(kind, seq, items, self.host.session), self.now)
        return self.host_sends()


def quiet_bench() -> Bench:
    """A live link whose device says nothing more by itself, and how far its deltas went."""
    bench = Bench().live()
    bench.step(5)
    bench.device.quiet = True
    return bench


# -------------------------------------------------------------------------------------------------------- session


def test_the_host_greets_first_and_acknowledges_the_devices_hello():
    bench = Bench()
    [(kind, seq, items)] = bench.host_sends()
    assert (kind, seq) == (Kind.HELLO, 0)
    hello = Hello(*items)
    assert (hello.proto, hello.schema, hello.npages, hello.boot) == (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 0, 0x1234)
    offer = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, len(bench.device.pages), 128, 0, "board")
    assert bench.device_says(Kind.HELLO, 0, offer) == [(Kind.HELLO_ACK, 0, (42,))]
    assert bench.host.session == 42 and bench.heard.started[0].name == "board"
    # Again, as long as it has applied nothing.
    assert bench.device_says(Kind.HELLO, 0, offer) == [(Kind.HELLO_ACK, 0, (42,))]
    assert len(bench.heard.started) == 1


@pytest.mark.parametrize(("heard", "hellos"), [(b"what is of another session\0", 2), (b"", 0)])
def test_the_host_repeats_its_hello_until_a_device_answers_if_anything_is_there(heard: bytes, hellos: int):
    bench = Bench()
    bench.host.take_output()
    said = []
    for _ in range(120):
        bench.now += STEP_S
        bench.host.receive(heard, bench.now)
        bench.host.poll(bench.now)
        said += bench.host_sends()
    assert [kind for kind, _, _ in said] == [Kind.HELLO] * hellos


@pytest.mark.parametrize("profile", ["tiny", "micro"])
def test_a_session_makes_the_mirror_equal_and_live(profile):
    device = FakeDevice(77, profile)
    device.set("neuron_count", 4711)
    bench = Bench(device).live()
    assert bench.equal()
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.LIVE
    assert bench.mirror.trailer_u32(spec.MIRROR_FIELDS["session"].offset) == device.offer
    device.set("neuron_count", 5)
    bench.until(bench.equal)
    assert bench.heard.pages[-1] == (1,)


def test_pages_may_arrive_in_any_order_even_before_the_header():
    for seed in range(20):
        device = FakeDevice(77, "micro")
        device.set("genome_timestamp", 2**40 + seed)
        device.shuffle_pages = random.Random(seed).shuffle
        assert Bench(device).live().equal()


def test_a_host_hello_of_its_own_echo_is_no_device():
    bench = Bench()
    echo = bench.host.take_output()
    bench.host.receive(echo, bench.now)
    assert bench.host.session == 0 and not bench.heard.mismatches
    assert bench.host.counters["frames"] == 0


def test_another_schema_is_reported_and_not_answered():
    bench = Bench(FakeDevice(77, schema=0xBAD))
    bench.step(300)
    assert bench.heard.mismatches and bench.heard.mismatches[0].schema == 0xBAD
    assert bench.host.session == 0
    # Its own hello crossed the first one of the device's; after that it is silent.
    assert set(bench.device.heard) <= {Kind.HELLO}
    assert len(bench.device.heard) <= 1
    bench.device.schema = spec.SCHEMA_HASH  # other firmware is installed
    bench.live()
    assert bench.equal()


def test_another_protocol_is_reported_as_well():
    bench = Bench()
    offer = (spec.PROTOCOL_VERSION + 1, spec.SCHEMA_HASH, 42, 200, len(bench.device.pages), 128, 0)
    assert bench.device_says(Kind.HELLO, 0, offer) == []
    assert bench.heard.mismatches[0].proto == spec.PROTOCOL_VERSION + 1


def test_a_new_session_shows_the_old_values_as_stale_until_all_of_the_new_ones_are_there():
    bench = Bench(FakeDevice(77, "micro")).live()
    bench.device.set("neuron_count", 4711)
    bench.until(bench.equal)
    mirror = bench.mirror
    old = mirror.read_region()
    # Another start of the board: what was written is gone, and its first deltas get lost.
    other = FakeDevice(99, "micro")
    other.set("synapse_count", 12)
    bench.device = other
    lines = iter(range(10**9))
    bench.to_host = lambda data: data if next(lines) % 7 == 0 else b""
    bench.to_device = lambda data: data
    states = []
    while not (bench.host.is_live and bench.host.session == other.offer):
        bench.step()
        if not bench.host.is_live:
            states.append(mirror.trailer_u32(LINK_STATE))
            assert mirror.read_region() == old
    assert set(states[1:]) == {LinkState.CONNECTING}
    assert bench.mirror is mirror and bench.equal()
    assert mirror.load_field(spec.CORE_FIELDS["neuron_count"].offset) == 0
    assert mirror.trailer_u32(LINK_STATE) == LinkState.LIVE


def test_other_firmware_with_other_capacities_gets_another_mirror():
    bench = Bench(FakeDevice(77, "tiny")).live()
    first = bench.mirror
    bench.device = FakeDevice(99, "micro")
    bench.until(lambda: bench.host.session == bench.device.offer and bench.host.is_live)
    assert bench.mirror is not first and bench.equal()


def test_a_device_that_restarts_with_the_same_session_id_is_asked_for_a_new_one():
    bench = Bench().live()
    bench.device.set("neuron_count", 3)
    bench.until(bench.equal)
    same = bench.device.offer
    bench.device = FakeDevice(same)
    bench.until(lambda: bench.device.up and bench.host.is_live and bench.device.offer != same)
    bench.until(bench.equal)
    assert "the device started again" in bench.heard.ended


@pytest.mark.parametrize("npages", [len(layout("tiny")[1]) + more for more in (-1, 1)])
def test_a_header_with_other_pages_than_the_hello_is_refused(npages):
    bench = Bench()
    device = bench.device
    bench.device_says(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, npages, 128, 0))
    [(kind, _, items)] = bench.device_says(Kind.DELTA, 1, (word_of(0), device.page(0)[:100]))
    assert (kind, items) == (Kind.NAK, (1, NakReason.BAD_DELTA))
    assert bench.host.mirror is None


def test_a_header_of_another_layout_is_refused():
    bench = Bench()
    header = bytearray(bench.device.page(0))
    header[table_at("agents")] ^= 64  # the agents' section lies elsewhere
    bench.device_says(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, len(bench.device.pages), 128, 0))
    [(kind, _, items)] = bench.device_says(Kind.DELTA, 1, (word_of(0), bytes(header)))
    assert (kind, items) == (Kind.NAK, (1, NakReason.BAD_DELTA))


def test_words_that_came_before_a_header_that_has_no_place_for_them_end_the_session():
    bench = Bench()
    bench.device_says(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, len(bench.device.pages), 128, 0))
    assert bench.device_says(Kind.DELTA, 1, (11, b"12345678"))[0][0] == Kind.ACK
    [(kind, _, _)] = bench.device_says(Kind.DELTA, 2, (word_of(0), bench.device.page(0)[:100]))
    assert kind == Kind.HELLO
    assert bench.host.session == 0 and bench.heard.ended


# --------------------------------------------------------------------------------------------------------- deltas


def test_a_delta_behind_a_gap_is_answered_with_nak_and_not_applied():
    bench = quiet_bench()
    last = bench.device.seq
    before = bench.mirror.read_region()
    bench.now += 1
    [(kind, seq, items)] = bench.device_says(Kind.DELTA, last + 2, (4, b"\x07"))
    assert (kind, seq, items) == (Kind.NAK, last, (last + 1, NakReason.GAP))
    assert bench.mirror.read_region() == before
    assert bench.device_says(Kind.DELTA, last + 3, (4, b"\x07")) == []  # not again within 20 ms
    bench.now += 0.021
    assert bench.device_says(Kind.DELTA, last + 4, (4, b"\x07"))[0][0] == Kind.NAK


def test_a_delta_that_is_here_already_is_acknowledged_and_not_applied_again():
    bench = quiet_bench()
    last = bench.device.seq
    assert bench.device_says(Kind.DELTA, last + 1, (4, b"\x07"))[0][:2] == (Kind.ACK, last + 1)
    assert bench.device_says(Kind.DELTA, last + 2, (4, b"\x08"))[0][:2] == (Kind.ACK, last + 2)
    for seq in (last + 2, last + 1, last - 100):
        assert bench.device_says(Kind.DELTA, seq & 255, (4, b"\x01"))[0][:2] == (Kind.ACK, last + 2)
    assert bench.mirror.load_field(16) == 8


def test_deltas_that_come_together_are_acknowledged_together():
    bench = quiet_bench()
    last, session = bench.device.seq, bench.host.session
    four = b"".join(encode(Kind.DELTA, last + n, (4, bytes((n,))), session) for n in (1, 2, 3, 4))
    bench.host.receive(four, bench.now)
    assert [frame[:2] for frame in bench.host_sends()] == [(Kind.ACK, last + 4)]
    assert bench.mirror.load_field(16) == 4
    bench.now += 1
    bench.host.receive(encode(Kind.DELTA, last + 5, (4, b"\x05"), session) + encode(Kind.DELTA, last + 7, (4, b"\x07"), session), bench.now)
    assert bench.host_sends() == [(Kind.NAK, last + 5, (last + 6, NakReason.GAP))]  # which acknowledges as well


def test_a_repair_applies_if_its_base_is_not_ahead():
    bench = quiet_bench()
    last = bench.device.seq
    bench.now += 1
    assert bench.device_says(Kind.REPAIR, last + 9, (last + 1, 4, b"\x05"))[0][0] == Kind.NAK
    assert bench.device_says(Kind.REPAIR, last + 9, ((last - 3) & 255, 4, b"\x05"))[0][:2] == (Kind.ACK, last + 9)
    assert bench.mirror.load_field(16) == 5
    assert bench.device_says(Kind.REPAIR, last + 9, (last, 4, b"\x06"))[0][:2] == (Kind.ACK, last + 9)
    assert bench.mirror.load_field(16) == 5
    assert bench.device_says(Kind.DELTA, last + 10, (4, b"\x06"))[0][:2] == (Kind.ACK, last + 10)


def test_sequence_numbers_wrap():
    bench = Bench().live()
    for n in range(600):
        bench.device.set("neuron_count", n)
        bench.step(2)
    bench.until(bench.equal)
    assert len(bench.heard.started) <= 2


def test_a_delta_that_cannot_be_applied_is_answered_with_bad_delta():
    bench = quiet_bench()
    last = bench.device.seq
    bench.now += 1
    [(kind, seq, items)] = bench.device_says(Kind.DELTA, last + 1, (4, b"\x07", 11, b"12345"))
    assert (kind, seq, items) == (Kind.NAK, last, (last + 1, NakReason.BAD_DELTA))
    assert bench.mirror.load_field(16) == 0
    assert bench.device_says(Kind.DELTA, last + 1, (4, b"\x07"))[0][0] == Kind.ACK


def test_a_keepalive_that_tells_of_a_missed_delta_is_answered_with_nak():
    bench = quiet_bench()
    last = bench.device.seq
    bench.now += 1
    assert bench.device_says(Kind.KEEPALIVE, last) == []
    assert bench.device_says(Kind.KEEPALIVE, last + 1)[0][0] == Kind.NAK


def test_frames_of_a_session_that_never_was_are_text():
    bench = quiet_bench()
    before = bench.mirror.read_region()
    wire = encode(Kind.DELTA, bench.device.seq + 1, (4, b"\x07"), bench.host.session ^ 5)
    bench.host.receive(wire, bench.now)
    assert bench.mirror.read_region() == before
    bench.step(20)
    assert bench.heard.texts == wire
    assert bench.host.counters["text_bytes"] == len(wire)


def test_frames_of_the_session_before_change_nothing_and_are_no_text():
    bench = quiet_bench()
    old = bench.host.session
    bench.device.quiet = False
    bench.device.restart(old ^ 1)
    bench.until(lambda: bench.host.session not in (0, old) and bench.equal())
    before = bench.mirror.read_region()
    bench.host.receive(encode(Kind.DELTA, bench.device.seq + 1, (4, b"\x07"), old), bench.now)
    assert bench.mirror.read_region() == before
    assert bench.heard.texts == b""


# --------------------------------------------------------------------------------------------------------- events


def test_events_arrive_once_in_order_and_lost_ones_are_counted():
    bench = quiet_bench()
    assert bench.device_says(Kind.EVENT, 2, (300, 2, 0)) == [(Kind.EVENT_ACK, 0, ())]
    assert bench.device_says(Kind.EVENT, 1, (300, 1, 5, 9)) == [(Kind.EVENT_ACK, 1, ())]
    assert bench.device_says(Kind.EVENT, 1, (300, 1, 5, 9)) == [(Kind.EVENT_ACK, 1, ())]
    assert bench.device_says(Kind.EVENT, 2, (300, 2, 6)) == [(Kind.EVENT_ACK, 2, ())]
    assert bench.heard.events == [(300, 1, 5), (300, 2, 6)]
    assert [bench.mirror.read_event(n) for n in range(3)] == [(300, 1, 5), (300, 2, 6), None]
    bench.host.poll(bench.now)
    assert bench.mirror.trailer_u64(spec.MIRROR_FIELDS["events_lost"].offset) == 9


def test_events_that_come_before_the_snapshot_is_complete_are_in_the_mirror_afterwards():
    bench = Bench(FakeDevice(77, "micro"))
    bench.step(3)
    for n in range(20):
        bench.device.event(300, n)
    bench.live()
    bench.until(lambda: len(bench.heard.events) == 20)
    assert [bench.mirror.read_event(n) for n in range(20)] == [(300, n, 0) for n in range(20)]


def test_event_numbers_wrap():
    bench = Bench().live()
    for n in range(600):
        bench.device.event(300, n)
    bench.until(lambda: len(bench.heard.events) == 600)
    assert [arg for _, arg, _ in bench.heard.events] == list(range(600))


# ------------------------------------------------------------------------------------------------------- commands


def run(bench: Bench, *words: int, timeout_s: float = 2.0):
    command = bench.host.command(words[0], words[1:], bench.now, timeout_s)
    bench.until(lambda: command.done)
    return command


def test_commands_are_answered():
    bench = Bench().live()
    command = run(bench, CommandOp.SET, 16, 1234)
    assert (command.error, command.status, command.values) == (None, 0, (1234,))
    assert run(bench, CommandOp.ADD, 16, 6).values == (1240,)
    assert run(bench, CommandOp.SUBTRACT, 16, 9999).values == (0,)
    assert run(bench, CommandOp.SET, 1, 200).status == -4


def test_a_command_is_repeated_until_it_is_answered_and_runs_once():
    bench = Bench().live()
    bench.device.replies_wanted = False
    command = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 5.0)
    bench.step(100)
    assert bench.device.heard.count(Kind.COMMAND) in (5, 6)
    bench.device.replies_wanted = True
    bench.until(lambda: command.done)
    assert command.values == (1,)
    assert len(bench.device.ran) == 1


def test_commands_go_one_at_a_time_and_in_order():
    bench = Bench().live()
    bench.device.replies_wanted = False
    commands = [bench.host.command(CommandOp.ADD, (16, 1), bench.now, 5.0) for _ in range(3)]
    bench.step(50)
    assert len(bench.device.ran) == 1
    bench.device.replies_wanted = True
    bench.until(lambda: all(command.done for command in commands))
    assert [command.values for command in commands] == [(1,), (2,), (3,)]


def test_a_command_without_an_answer_times_out_and_the_next_one_works():
    bench = Bench().live()
    bench.device.replies_wanted = False
    command = run(bench, CommandOp.ADD, 16, 1, timeout_s=0.5)
    assert isinstance(command.error, CommandTimeout) and "outcome is unknown" in str(command.error)
    late = encode(Kind.REPLY, command.seq, (0, 1), bench.host.session)
    bench.device.replies_wanted = True
    following = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 5.0)
    bench.host.receive(late, bench.now)
    assert not following.done
    bench.until(lambda: following.done)
    assert following.values == (2,)


def test_a_command_that_was_never_sent_says_so_when_it_times_out():
    bench = Bench()
    bench.device.quiet = True
    command = run(bench, CommandOp.ADD, 16, 1, timeout_s=0.5)
    assert isinstance(command.error, CommandTimeout) and "not sent" in str(command.error)


def test_a_command_whose_session_ends_has_an_unknown_outcome_and_is_not_repeated():
    bench = Bench().live()
    bench.device.replies_wanted = False
    sent = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 50.0)
    waiting = bench.host.command(CommandOp.ADD, (20, 1), bench.now, 50.0)
    bench.step(5)
    bench.device = FakeDevice(1234)
    bench.until(lambda: sent.done)
    assert isinstance(sent.error, SessionLost)
    bench.until(lambda: waiting.done)
    assert waiting.error is None and waiting.values == (1,)
    assert bench.device.ran == [(CommandOp.ADD, 20, 1)]


def test_a_command_that_the_device_cannot_take_is_refused_here():
    bench = Bench().live()
    with pytest.raises(SerializationError):
        bench.host.command(CommandOp.SET, (0, b"x" * 64, b"x" * 64), bench.now, 1.0)
    with pytest.raises(SerializationError):
        bench.host.command(CommandOp.SET, (0, 2**64), bench.now, 1.0)


def test_a_cancelled_command_is_out_of_the_way():
    bench = Bench().live()
    bench.device.replies_wanted = False
    first = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 50.0)
    bench.step(2)
    bench.host.cancel(first)
    bench.device.replies_wanted = True
    assert run(bench, CommandOp.ADD, 16, 1).values == (2,)
    assert not first.done


def test_digest_is_the_mirrors_before_the_next_frame_of_the_same_chunk():
    bench = Bench().live()
    bench.device.set("neuron_count", 7)
    command = bench.host.command(CommandOp.DIGEST, (), bench.now, 5.0)

    def and_a_change_behind_the_reply(data: bytes) -> bytes:
        if bench.device.reply is not None and not command.done:
            bench.device.set("neuron_count", 8)
            bench.device.tick(bench.now)
            data += bench.device.take_output()
        return data

    bench.to_host = and_a_change_behind_the_reply
    bench.until(lambda: command.done)
    assert command.values[0] == command.mirror_digest
    assert bench.mirror.load_field(16) == 8


def test_close_fails_commands_and_closes_the_mirror():
    bench = Bench().live()
    bench.device.replies_wanted = False
    done = []
    command = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 5.0, done.append)
    other = bench.host.command(CommandOp.ADD, (16, 1), bench.now, 5.0, done.append)
    bench.host.close()
    assert done == [command, other]
    assert isinstance(command.error, SessionLost) and isinstance(other.error, LinkError)
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.CLOSED


# ------------------------------------------------------------------------------------------- time, text, staleness


def test_silence_makes_the_mirror_stale_and_a_word_makes_it_live_again():
    bench = quiet_bench()
    for _ in range(int(spec.STALE_AFTER_MS / 1000 / STEP_S) + 2):
        bench.step()
    assert bench.host.link_state == LinkState.STALE
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.STALE
    bench.device.quiet = False
    bench.until(lambda: bench.host.link_state == LinkState.LIVE)
    assert len(bench.heard.lives) == 1


def test_text_does_not_keep_a_silent_device_alive():
    bench = quiet_bench()
    for _ in range(int(spec.STALE_AFTER_MS / 1000 / STEP_S) + 2):
        bench.now += STEP_S
        bench.host.receive(b"\0>>> \0", bench.now)
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.STALE


def test_a_lost_port_makes_the_mirror_stale_at_once():
    bench = Bench().live()
    bench.host.port_lost(bench.now)
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.STALE
    bench.host.port_opened(bench.now)
    bench.until(lambda: bench.host.is_live)
    assert bench.equal()


def test_pings_measure_the_round_trip_and_the_clocks():
    bench = Bench().live()
    bench.until(lambda: bench.host.round_trip_us > 0)
    assert bench.host.round_trip_us == pytest.approx(STEP_S * 1e6, abs=2)
    assert bench.host.clock_offset_us == pytest.approx(5_000_000, abs=STEP_S * 1e6)
    bench.step(2)
    fields = spec.MIRROR_FIELDS
    assert bench.mirror.trailer_u32(fields["round_trip_us"].offset) == bench.host.round_trip_us
    assert bench.mirror.trailer_u64(fields["clock_offset_us"].offset) == bench.host.clock_offset_us
    before = bench.host.round_trip_us
    bench.device_says(Kind.PONG, 0, (12345, 1, 1))  # of no ping of ours
    assert bench.host.round_trip_us == before
    bench.device.restart(99)
    bench.until(lambda: bench.host.session == 99)
    assert (bench.host.round_trip_us, bench.host.clock_offset_us) == (0, 0), "another start has another clock"


def test_a_host_tells_the_time_of_day_in_every_ack_of_a_hello_and_in_every_ping():
    bench = Bench()
    bench.host = HostSession(bench.heard, lambda: 0x1234, lambda: int(bench.now * 1000) + 1_700_000_000_000)
    bench.host.port_opened(bench.now)
    bench.live()
    assert bench.mirror.read_page(0)[header_at("flags")] == spec.FLAG_UNIX_TIME, "the snapshot is older than the time"
    bench.step(int(3.5 / STEP_S))
    assert len(bench.device.unix_ms) == 1 + bench.device.heard.count(Kind.PING) == 5
    assert int(bench.now * 1000) + 1_700_000_000_000 - bench.device.unix_ms[-1] < 1000
    assert bench.equal()


def test_a_host_that_does_not_know_the_time_says_nothing_of_it():
    bench = Bench().live()
    bench.step(int(1.5 / STEP_S))
    assert bench.device.heard.count(Kind.PING) == 2
    assert bench.device.unix_ms == []


def test_text_and_logs_reach_the_observer():
    bench = quiet_bench()
    bench.host.receive(b"\0Traceback (most recent call last):\r\n" + b"x" * 1000 + b"\0", bench.now)
    assert bench.heard.texts == b"\0Traceback (most recent call last):\r\n" + b"x" * 1000
    bench.device_says(Kind.LOG, 0, (20, "héllo"))
    assert bench.heard.logs == [(20, "héllo")]


def test_counters_reach_the_trailer():
    bench = Bench().live()
    bench.device.event(300, 1)
    run(bench, CommandOp.SET, 16, 1)
    bench.until(lambda: bool(bench.heard.events))
    bench.step(3)
    shown = {name: bench.mirror.trailer_u64(spec.MIRROR_FIELDS[name].offset) for name in bench.host.counters}
    assert shown == bench.host.counters
    assert shown["deltas"] and shown["events"] == 1 and shown["commands"] == 1 and shown["sessions"]


# ---------------------------------------------------------------------------------------------------- a bad line


class History(Recorder):
    """Checks that every publication is a page that the device had, and none older than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[list[bytes]] = []
        self.seen: list[int] = []

    def begin(self, device: FakeDevice) -> None:
        self.versions = [[device.page(i)] for i in range(len(device.pages))]
        self.seen = [0] * len(device.pages)

    def remember(self, device: FakeDevice) -> None:
        for i, versions in enumerate(self.versions):
            if versions[-1] != device.page(i):
                versions.append(device.page(i))

    def live(self, mirror: Mirror) -> None:
        super().live(mirror)
        self.published(tuple(range(mirror.pages)))

    def published(self, pages: tuple[int, ...]) -> None:
        mirror = self.lives[-1]
        for i in pages:
            now = mirror.read_page(i)
            later = [n for n in range(self.seen[i], len(self.versions[i])) if self.versions[i][n] == now]
            assert later, f"page {i} is torn or older than before"
            self.seen[i] = later[0]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.001, 0.01, 0.05]), st.sampled_from(["tiny", "micro"]))
@settings(max_examples=40)
def test_whatever_the_line_does_the_mirror_is_never_torn_and_ends_equal(seed, rate, profile):
    source = random.Random(seed)

    def spoil(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            luck = source.random()
            if luck < rate / 3:
                continue
            out.append(byte ^ 1 << source.randrange(8) if luck < rate * 2 / 3 else byte)
            if luck > 1 - rate / 6:
                out += source.choice([b"\0", b">>> \r\n", bytes([byte]), source.randbytes(9)])
        return bytes(out)

    device = FakeDevice(source.randrange(1, 2**32), profile)
    device.shuffle_pages = source.shuffle
    bench = Bench(device)
    heard = History()
    heard.begin(device)
    bench.host._observer = heard
    bench.to_host = bench.to_device = spoil
    counters = [field.offset for field in spec.CORE_FIELDS.values() if field.size == 4]
    sent = []
    for n in range(300):
        what = source.random()
        if what < 0.3:
            device.write(HEADER_LEN + source.choice(counters), source.randbytes(4))
        elif what < 0.5:
            at, length = source.choice(device.pages[4:])
            device.write(at, source.randbytes(length // 4 * 4))
        elif what < 0.55:
            sent.append((300, n, 0))
            device.event(300, n)
        heard.remember(device)
        bench.step()
    bench.to_host = bench.to_device = lambda data: data
    bench.until(lambda: bench.equal() and len(heard.events) >= len(sent))
    if len(heard.started) <= 2:  # a new session may bring unacknowledged events again
        assert heard.events == sent


# --------------------------------------------------------------------------------------------- a line with a prompt


def test_a_device_that_takes_text_gets_text_and_another_one_frames():
    for takes_text in (False, True):
        bench = Bench(FakeDevice(77, takes_text=takes_text)).live()
        run(bench, CommandOp.SET, 16, 5)
        bench.step(5)
        assert bench.equal()
        assert bench.host.takes_text == takes_text


def test_a_held_line_is_stale_and_silent_until_the_device_says_hello():
    bench = Bench(FakeDevice(77, takes_text=True)).live()
    session = bench.host.session
    command = bench.host.command(CommandOp.SET, (16, 5), bench.now, 60.0)
    bench.host.hold(bench.now)
    assert bench.mirror.trailer_u32(LINK_STATE) == LinkState.STALE
    assert isinstance(command.error, SessionLost)
    waiting = bench.host.command(CommandOp.SET, (16, 6), bench.now, 60.0)
    bench.device.quiet = True
    for _ in range(300):
        bench.now += STEP_S
        bench.host.receive(b">", bench.now)
        bench.host.poll(bench.now)
        assert bench.host.take_output() == b""
    bench.device.quiet = False
    bench.device.restart(78)
    bench.live()
    assert bench.host.session != session
    bench.until(lambda: waiting.done)
    assert waiting.error is None


def test_the_last_hello_of_a_program_that_was_interrupted_ends_no_hold():
    bench = Bench(FakeDevice(77, takes_text=True)).live()
    bench.host.hold(bench.now)
    bench.device.restart(78)
    bench.step(3)
    assert bench.host.is_held


def test_what_a_prompt_says_is_passed_on_whole_and_at_once():
    """The raw REPL's answers have zeros at their end; what follows them is another's turn."""
    bench = Bench(FakeDevice(77, takes_text=True)).live()
    bench.host.hold(bench.now)
    bench.heard.texts = b""
    for said in (b"R\x01\x80\x00\x01", b"\x01\0\0\0r", b"\0qqq", b"\x04\0\0", b"\0\x01\0\0\0", b"OK\0text\x04\x04>", b"\0" + b"x" * 1000 + b"\0"):
        bench.host.receive(said, bench.now)
        assert bench.heard.texts == said
        bench.heard.texts = b""


def test_text_and_frames_of_a_hold_come_apart():
    """What began as a frame may be text: it comes once nothing follows."""
    bench = Bench(FakeDevice(77, takes_text=True)).live()
    bench.host.hold(bench.now)
    bench.heard.texts = b""
    bench.host.receive(b"\x09\x01", bench.now)  # as a hello begins
    assert bench.heard.texts == b""
    bench.host.poll(bench.now + 0.5)
    assert bench.heard.texts == b"\x09\x01"
    bench.now += 1
    bench.device.restart(78)
    bench.device.tick(bench.now)
    bench.host.receive(b"before" + bench.device.take_output() + b"behind", bench.now)
    assert bench.heard.texts == b"\x09\x01beforebehind"
    assert not bench.host.is_held


def test_no_hello_of_a_host_has_a_ctrl_c():
    """It may come to a program at a prompt's line, which that would end, before the device has said what form it takes."""
    for takes_text in (False, True):
        out = Outbox(lambda: random.getrandbits(32))
        out.hear(spec.HELLO_SEQ_TEXT if takes_text else 0)
        for k in range(1000):
            out.greet(k * 1234.567)
            assert b"\x03" not in out.take()
