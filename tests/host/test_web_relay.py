"""A browser's link by way of a host: the relay between a board (a device role on a pseudo-terminal, served by a fleet) and the Python
host role in the browser's place."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_device import PtyDevice
from feagi_state import Fleet, spec
from feagi_state._core import Mirror, mirror_len
from feagi_state.clock import now_s
from feagi_state.commands import Batch
from feagi_state.device import Device
from feagi_state.errors import SessionLost
from feagi_state.frames import Deframer, Frame, decode, encode
from feagi_state.session import Hello, HostSession, Observer
from feagi_state.spec import CommandOp, Kind, LinkState, NakReason
from feagi_state.web_pages import PageCopy
from feagi_state.web_relay import Relay
from places import layout, section_at, word_of

PATIENCE_S = 20.0
NEURONS = spec.CORE_FIELDS["neuron_count"].offset
MEMORY = spec.CORE_FIELDS["memory_usage"].offset


class Browser(Observer):
    """The host role at the other end of a relay. `until` lets both go on."""

    def __init__(self, device: Device) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.relay = Relay(device, self.calls.put)
        self.host = HostSession(self)
        self.host.port_opened(now_s())
        self.hellos: list[Hello] = []
        self.events: list[tuple[int, int, int]] = []
        self.ended: list[str] = []
        self.texts = b""
        self.lines: list[tuple[int, str]] = []
        self.sent = 0  # bytes that the relay said
        self.stopped = False  # it takes nothing

    def session_started(self, hello: Hello) -> None:
        self.hellos.append(hello)

    def session_ended(self, reason: str) -> None:
        self.ended.append(reason)

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        self.events.append((kind, arg, time_ms))

    def text(self, data: bytes) -> None:
        self.texts += data

    def log(self, level: int, message: str) -> None:
        self.lines.append((level, message))

    def step(self) -> None:
        while not self.calls.empty():
            self.calls.get()()
        now = now_s()
        if not self.stopped:
            out = self.relay.take_output(now)
            self.sent += len(out)
            if out:
                self.host.receive(out, now)
        self.host.poll(now)
        self.relay.receive(self.host.take_output(), now)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = now_s() + PATIENCE_S
        while not holds():
            assert now_s() < deadline, (self.host.link_state, self.host.counters)
            self.step()
            time.sleep(0.002)

    def until_live(self) -> None:
        self.until(lambda: self.host.link_state == LinkState.LIVE)

    def field(self, offset: int) -> int:
        assert self.host.mirror is not None
        return self.host.mirror.load_field(offset)

    def say(self, kind: Kind, seq: int, items: tuple[object, ...] = ()) -> None:
        """A frame of this session that the host role would not send."""
        self.relay.receive(encode(kind, seq, items, self.host.session), now_s())

    def command(self, op: CommandOp, *arguments: int, timeout_s: float = PATIENCE_S):
        """The command, once it has an outcome."""
        asked = self.host.command(op, arguments, now_s(), timeout_s)
        self.until(lambda: asked.done)
        return asked


@pytest.fixture
def fleet(board: PtyDevice, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet([board.port], mirror_dir=tmp_path) as served:
        served.wait_live(PATIENCE_S)
        yield served


@pytest.fixture
def browser(fleet: Fleet) -> Browser:
    made = Browser(fleet.devices[0])
    made.until_live()
    return made


def equal(browser: Browser, board: PtyDevice) -> bool:
    with board.lock:
        theirs = board.device.digest()
    return browser.host.mirror is not None and browser.host.mirror.digest() == theirs


def test_the_browsers_mirror_becomes_the_boards(browser, board):
    browser.until(lambda: equal(browser, board))
    assert browser.host.counters["naks"] == 0
    with board.lock:
        board.device.set("neuron_count", 4242)
        board.device.write(section_at("micro", "hashes"), b"\x07" * 8)
        board.device.set("memory_usage", 0)
    browser.until(lambda: equal(browser, board))
    assert browser.field(NEURONS) == 4242


def test_it_is_the_board_to_the_browser(browser, board):
    [hello] = browser.hellos
    assert (hello.name, hello.npages) == ("board", len(board.device.pages))
    # FakeDevice's clock is 5 s ahead of this computer's, and so its uptime.
    assert abs(hello.uptime - (now_s() + 5) * 1000) < PATIENCE_S * 1000
    browser.until(lambda: browser.host.clock_offset_us != 0)
    assert abs(browser.host.clock_offset_us - 5_000_000) < 1_000_000


def test_only_what_changes_is_sent_and_what_changes_often_is_sent_now_and_then(browser, board):
    browser.until(lambda: equal(browser, board))
    before, deltas = browser.sent, browser.host.counters["deltas"]
    browser.stopped = True
    for value in range(1000, 2001):
        with board.lock:
            board.device.set("neuron_count", value)
    browser.until(lambda: browser.relay._device.state.neuron_count == 2000)
    browser.stopped = False
    browser.until(lambda: browser.field(NEURONS) == 2000)
    assert browser.host.counters["deltas"] - deltas <= 2
    assert browser.sent - before < 200


def test_a_page_that_never_rests_keeps_no_other_waiting():
    region, pages = layout("micro")
    mirror = Mirror(bytearray(mirror_len(len(region))), bytes(region))
    copy = PageCopy(mirror)
    while copy.take_delta(spec.LINK_MTU_BYTES):
        pass
    restless, other, *_ = (number for number, (_, length) in enumerate(pages) if number and length == spec.PAGE_LEN_BYTES)
    mirror.publish_page(other, b"\x07" * spec.PAGE_LEN_BYTES)
    words: set[int] = set()
    for value in (1, 2):
        mirror.publish_page(restless, bytes([value]) * spec.PAGE_LEN_BYTES)  # two such pages fit no delta
        words |= set(copy.take_delta(spec.LINK_MTU_BYTES)[::2])
    assert words == {word_of(pages[restless][0]), word_of(pages[other][0])}


def test_events_arrive_once_and_in_order(browser, board):
    with board.lock:
        for number in range(50):
            board.device.event(256 + number, number, number)
    browser.until(lambda: len(browser.events) == 50)
    assert browser.events == [(256 + number, number, number) for number in range(50)]
    assert browser.host.counters["events_lost"] == 0


def test_events_that_a_slow_browser_misses_are_counted(browser, board, fleet):
    [device] = fleet
    capacity = device.mirror.region().events_capacity
    count = capacity + 30
    browser.stopped = True
    with board.lock:
        for number in range(count):
            board.device.event(256, number)
    browser.until(lambda: device.link.events >= count)
    browser.stopped = False
    browser.until(lambda: bool(browser.events) and browser.events[-1][1] == count - 1)
    assert len(browser.events) + browser.host.counters["events_lost"] == count
    assert browser.host.counters["events_lost"] >= 30


def test_a_browser_hears_of_events_from_its_coming_on(browser, board, fleet):
    with board.lock:
        board.device.event(300, 1)
    browser.until(lambda: len(browser.events) == 1)
    second = Browser(fleet.devices[0])
    second.until_live()
    with board.lock:
        board.device.event(300, 2)
    second.until(lambda: bool(second.events))
    assert [arg for _, arg, _ in second.events] == [2]


def test_a_command_runs_on_the_board_and_its_answer_comes_back(browser, board):
    asked = browser.command(CommandOp.SET, NEURONS, 77)
    assert (asked.status, asked.values) == (0, (77,))
    asked = browser.command(CommandOp.ADD, NEURONS, 3)
    assert (asked.status, asked.values) == (0, (80,))
    assert browser.command(CommandOp.SET, 9999, 1).status == -5  # as the board says where there is no field
    assert board.device.ran == [(1, NEURONS, 77), (2, NEURONS, 3), (1, 9999, 1)]
    browser.until(lambda: browser.field(NEURONS) == 80)


def test_a_command_that_comes_again_runs_once(browser, board, fleet):
    for _ in range(5):
        browser.say(Kind.COMMAND, 9, (CommandOp.ADD, NEURONS, 1))
    browser.until(lambda: len(board.device.ran) == 1)
    for _ in range(5):
        browser.say(Kind.COMMAND, 9, (CommandOp.ADD, NEURONS, 1))
        browser.say(Kind.COMMAND, 8, (CommandOp.ADD, NEURONS, 1))  # an older one
        browser.step()
    fleet.devices[0].set("memory_usage", 5)  # behind whatever was asked for
    assert board.device.ran == [(2, NEURONS, 1), (1, MEMORY, 5)]


def test_a_flood_of_commands_is_one_command_at_a_time(browser, board, fleet):
    for seq in range(100):
        browser.say(Kind.COMMAND, seq, (CommandOp.ADD, NEURONS, 1))
    assert fleet.devices[0].set("memory_usage", 5) == 5  # the host's own has not to wait for them
    with board.lock:
        assert len(board.device.ran) <= 3


def test_nobody_knows_whether_a_command_ran_whose_session_ended(browser, board):
    with board.lock:
        board.device.replies_wanted = False
    asked = browser.host.command(CommandOp.SET, (NEURONS, 5), now_s(), PATIENCE_S)
    browser.until(lambda: len(board.device.ran) > 0)
    with board.lock:
        board.device.restart(999)
    browser.until(lambda: asked.done)
    assert isinstance(asked.error, SessionLost)
    assert board.device.ran == [(1, NEURONS, 5)]


def test_a_digest_is_the_boards(browser, board):
    asked = browser.command(CommandOp.DIGEST)
    assert asked.mirror_digest == asked.values[0]
    with board.lock:
        board.device.region[section_at("micro", "hashes")] ^= 1  # without a word of it to the host
    asked = browser.command(CommandOp.DIGEST)
    assert asked.mirror_digest != asked.values[0] == board.device.digest()


def test_the_relay_is_silent_when_the_board_is_so_that_the_browser_is_stale_when_the_host_is(browser, board, fleet):
    """Whatever the browser says meanwhile: half a second after the board's last frame nothing comes any more."""
    with board.lock:
        board.device.quiet = True
    browser.until(lambda: fleet.devices[0].link.age_s > 0.5)
    before = browser.sent
    asked = browser.host.command(CommandOp.DIGEST, (), now_s(), PATIENCE_S)
    browser.until(lambda: browser.host.link_state == LinkState.STALE)
    assert browser.sent == before
    with board.lock:
        board.device.quiet = False
    browser.until_live()
    browser.until(lambda: asked.done)
    assert len(browser.hellos) == 1  # it was one session


def test_a_board_that_starts_again_is_another_session(browser, board):
    with board.lock:
        board.device.set("neuron_count", 11)
        board.device.restart(4321)
    browser.until(lambda: len(browser.hellos) == 2)
    browser.until_live()
    browser.until(lambda: equal(browser, board))
    assert browser.ended == ["the device started a new session"]


def test_a_browser_that_says_no_begins_again(browser, board):
    browser.say(Kind.NAK, 0, (1, NakReason.BAD_DELTA))
    browser.until(lambda: len(browser.hellos) == 2)
    browser.until_live()
    browser.until(lambda: equal(browser, board))


def test_a_browser_that_acknowledges_nothing_is_told_little(browser, board):
    browser.until(lambda: equal(browser, board))
    before = browser.sent
    for value in range(200):
        with board.lock:
            board.device.set("neuron_count", value)
        out = browser.relay.take_output(now_s())  # which nobody answers
        browser.sent += len(out)
        time.sleep(0.002)
    assert browser.sent - before < spec.LINK_WINDOW * 250 + 200


def test_what_the_board_prints_arrives(browser, board, fleet):
    device = fleet.devices[0]
    subscription = device.on_text(browser.relay.text)
    board.say(b"hello from the board\r\n")
    browser.until(lambda: b"hello from the board" in browser.texts)
    subscription.close()
    browser.relay.text(b"x" * 100_000)
    assert len(browser.relay.take_output(now_s())) < 10_000


def test_the_last_lines_of_the_log_wait_for_the_session(fleet):
    browser = Browser(fleet.devices[0])
    for number in range(100):
        browser.relay.log(number, f"line {number}")
    browser.until_live()
    browser.until(lambda: bool(browser.lines))
    assert browser.lines == [(number, f"line {number}") for number in range(84, 100)]
    browser.relay.log(255, "more")
    browser.until(lambda: len(browser.lines) == 17)
    assert browser.lines[-1] == (255, "more") and len(browser.hellos) == 1


def test_a_browser_that_comes_later_hears_what_the_board_is(board, fleet):
    device, line = fleet.devices[0], "MicroPython v1.25.0; PYBv1.1 with STM32F405RG; soft reset"
    with board.lock:
        board.device.send(Kind.LOG, 0, (20, line))
        board.device.send(Kind.LOG, 0, (30, "no camera"))
    browser = Browser(device)
    browser.until(lambda: device.about == line)
    browser.until_live()
    browser.until(lambda: bool(browser.lines))
    assert browser.lines == [(20, line)]
    with board.lock:
        board.device.restart(7777)
    browser.until(lambda: device.about is None)


@pytest.mark.parametrize("mtu", [spec.LINK_MTU_BYTES, spec.LINK_MTU_LEAST_BYTES])
@pytest.mark.parametrize("character", ["x", "\u00e9", "\u20ac", "\U0001f9e0"])
def test_a_long_line_is_cut_between_two_characters(board, fleet, mtu, character):
    relay, deframer, now = Relay(fleet.devices[0], lambda call: call()), Deframer(), now_s()
    relay.receive(encode(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 5, mtu, 0, 253, 1)), now)
    for before in range(4):
        relay.log(30, "x" * before + character * 300)
    session, lines = 0, []
    while len(lines) < 4:
        assert now_s() < now + PATIENCE_S, "no lines came"
        for segment in deframer.feed(relay.take_output(now_s())):
            frame = decode(segment, session)
            if frame.kind == Kind.HELLO:
                session = frame.items[2]
                relay.receive(encode(Kind.HELLO_ACK, 0, (session,)), now_s())
            elif frame.kind == Kind.LOG:
                assert frame.seq == 0 and len(segment) - 5 <= mtu  # CRC and COBS
                lines.append(frame.items)
        time.sleep(0.002)
    most, size = min(200, mtu - 6), len(character.encode())  # LINK.md: kind, seq, level and the text's head are 6 bytes
    assert lines == [(30, "x" * before + character * ((most - before) // size)) for before in range(4)]


@pytest.mark.parametrize("garbage", [b"\x00" * 5000, b"\xff" * 5000, bytes(range(256)) * 20, b"\x00\x05\x01\x01\x01\x01\x00" * 700])
def test_garbage_changes_nothing(browser, board, garbage):
    for _ in range(20):
        browser.relay.receive(garbage, now_s())
    browser.relay.receive(b"\x00", now_s())
    assert browser.command(CommandOp.SET, MEMORY, 5).values == (5,)
    assert len(browser.hellos) == 1


def test_no_browser_is_told_more_at_once_than_it_takes(board, fleet):
    """By hand: a host with room for frames of 150 bytes, one at a time."""
    relay, deframer = Relay(fleet.devices[0], lambda call: call()), Deframer()

    def heard(session: int, kind: Kind) -> tuple[list[Frame], int]:
        """The next frames, once there are some of this kind, and the bytes of the longest body."""
        deadline = now_s() + PATIENCE_S
        while now_s() < deadline:
            segments = deframer.feed(relay.take_output(now_s()))
            frames = [decode(segment, session) for segment in segments]
            if any(frame.kind == kind for frame in frames):
                return frames, max(map(len, segments)) - 5  # CRC and COBS
            time.sleep(0.002)
        raise AssertionError(f"no {kind.name} came")

    relay.receive(encode(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 5, spec.LINK_MTU_LEAST_BYTES, 0, 253, 1)), now_s())
    [[hello], _] = heard(0, Kind.HELLO)
    session, mtu = hello.items[2:4]
    assert mtu == spec.LINK_MTU_LEAST_BYTES
    relay.receive(encode(Kind.HELLO_ACK, 0, (session,)), now_s())
    for seq in range(1, 4):
        with board.lock:
            for at, length in board.device.pages[1:]:
                board.device.write(at, bytes([seq]) * length)  # more than one delta of them
        frames, longest = heard(session, Kind.DELTA)
        assert [frame.seq for frame in frames if frame.kind == Kind.DELTA] == [seq] and longest <= mtu
        relay.receive(encode(Kind.ACK, seq, (spec.LINK_WINDOW,), session), now_s())


def test_what_a_session_asked_for_is_not_sent_after_its_end(browser, board, fleet):
    """Nor does it wait in the board's queue, where there is room for a number of commands only."""
    with board.lock:
        board.device.replies_wanted = False
    blocking = fleet.devices[0]
    first = Batch([(CommandOp.SET, (MEMORY, 1))], now_s() + PATIENCE_S, lambda: None)
    blocking.start(first)  # which the board does not answer, so that others wait behind it
    for _ in range(3):
        browser.say(Kind.COMMAND, 1, (CommandOp.ADD, NEURONS, 1))
        sessions = len(browser.hellos)
        browser.say(Kind.NAK, 0, (1, NakReason.BAD_DELTA))
        browser.until(lambda sessions=sessions: len(browser.hellos) > sessions)
        browser.until_live()
    browser.say(Kind.COMMAND, 1, (CommandOp.ADD, NEURONS, 1))
    browser.relay.close()
    with board.lock:
        board.device.replies_wanted = True
    assert blocking.set("memory_usage", 5) == 5
    assert set(board.device.ran) == {(1, MEMORY, 1), (1, MEMORY, 5)}
