"""Flow control: neither side overruns what the other has announced, whatever the other does, and whatever the line does."""

from __future__ import annotations

import ctypes
import tracemalloc
from collections.abc import Iterator

import pytest

from faulty_line import Faults
from feagi_state import spec
from feagi_state.frames import Frame, decode, encode
from feagi_state.session import HostSession
from feagi_state.spec import CommandOp, Kind
from simulation import FIELDS, STEP_MS, Device, Simulation

HELLOS_LEN_BYTES = 64  # a hello and a hello_ack come on top of what was announced
MTU_BYTES = 249
DELTAS = (Kind.DELTA, Kind.REPAIR)
COUNT = FIELDS.index("neuron_count")


# ------------------------------------------------------------------------------------------------- to the device


class Standing(Simulation):
    """A device whose program stands still at times: what arrives then stays in its stream's buffer."""

    def __init__(self, library: ctypes.CDLL, seed: int, rate: float = 0) -> None:
        super().__init__(library, seed, rate)
        self.unread = b""
        self.most_unread_bytes = 0

    def settle_both(self) -> Standing:
        """Both sides are in a session in which everything has been said."""
        assert self.settle()
        return self

    def step_with(self, *, standing: bool) -> None:
        """STEP_MS of both sides."""
        self.now_ms += STEP_MS
        self.to_device.put(self.session.take_output(), self.now)
        self.unread += self.to_device.line.take(self.now)
        self.most_unread_bytes = max(self.most_unread_bytes, len(self.unread))
        if not standing:
            self.device.tick(self.now_ms - self.booted_ms)
            self.device.receive(self.unread)
            self.unread = b""
            self.to_host.put(self.device_output(), self.now)
        self.host_step()


@pytest.mark.parametrize("rate", [0, 1e-3, 1e-2])
@pytest.mark.parametrize("seed", range(6))
def test_a_host_never_has_more_under_way_than_the_device_can_hold(device: ctypes.CDLL, seed: int, rate: float) -> None:
    simulation = Standing(device, seed).settle_both()
    simulation.to_host.line.faults = Faults.at(rate)  # answers are lost; a line to the device may not say things twice itself
    draw, field, until, standing, commands = simulation.random, spec.CORE_FIELDS["neuron_count"].offset, 0, False, []
    for _ in range(3000):
        if simulation.now_ms >= until:
            standing = not standing
            until = simulation.now_ms + draw.choice([5, 20, 100, 700, 4000, 6000] if standing else [5, 20, 100, 500, 2000])
        for _ in range(draw.choice([0, 0, 0, 1, 5])):
            simulation.act()
        if draw.random() < 0.2:
            arguments = (field, draw.getrandbits(32))
            commands.append(simulation.session.command(CommandOp.SET, arguments, simulation.now, draw.choice([0.01, 0.1, 1.0])))
        simulation.step_with(standing=standing)
    assert 60 < simulation.most_unread_bytes <= spec.LINK_RXBUF_BYTES + HELLOS_LEN_BYTES
    assert rate or sum(command.error is None for command in commands if command.done) > 5
    assert simulation.settle()
    simulation.close()


def test_a_device_that_stood_still_finds_all_that_was_said(device: ctypes.CDLL) -> None:
    """Its buffer was not overrun: no frame is damaged, and what had no room comes afterwards."""
    simulation = Standing(device, 1).settle_both()
    rejected = simulation.device.rejected
    for round_ in range(30):
        simulation.device.do("set", COUNT, round_)
        commands = [simulation.session.command(CommandOp.ADD, (16, 1), simulation.now, 20.0) for _ in range(3)]
        for _ in range(3000 // STEP_MS):
            simulation.step_with(standing=True)
        while not all(command.done for command in commands):
            simulation.step_with(standing=False)
        assert not any(command.error for command in commands)
    assert simulation.device.rejected == rejected
    assert simulation.device.field("neuron_count") == 29 + 3
    simulation.close()


def test_room_comes_back_when_every_answer_was_lost(device: ctypes.CDLL) -> None:
    simulation = Standing(device, 2).settle_both()
    for _ in range(20):  # commands that are lost on their way, one after the other
        simulation.session.command(CommandOp.ADD, (16, 1), simulation.now, 0.001)
        simulation.session.take_output()
        simulation.now_ms += STEP_MS
        simulation.session.poll(simulation.now)
    command = simulation.session.command(CommandOp.ADD, (16, 1), simulation.now, 5.0)
    assert not command.sent, "there was room for all that was lost"
    while not command.done:
        simulation.step()
    assert command.error is None
    simulation.close()


def test_a_host_that_stood_still_takes_nothing_old_for_a_sign_of_room(device: ctypes.CDLL) -> None:
    simulation = Standing(device, 3).settle_both()

    def say() -> int:
        """Bytes of a command, given up at once."""
        simulation.session.command(CommandOp.ADD, (16, 1), simulation.now, 0.001)
        sent_bytes = len(simulation.session.take_output())
        simulation.now_ms += STEP_MS
        simulation.session.poll(simulation.now)
        return sent_bytes

    simulation.device.do("set", COUNT, 1)
    simulation.now_ms += STEP_MS
    simulation.device.tick(simulation.now_ms - simulation.booted_ms)
    simulation.to_host.put(simulation.device_output(), simulation.now)  # the last that the device says before it stands still
    under_way_bytes = sum(say() for _ in range(20))
    simulation.now_ms += spec.WINDOW_MS + 100  # the host stands still, too, and then reads it
    simulation.host_step()
    under_way_bytes += sum(say() for _ in range(5))
    assert 100 < under_way_bytes <= spec.LINK_RXBUF_BYTES
    simulation.close()


def test_a_command_longer_than_the_devices_buffer_is_refused(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 3)
    assert simulation.settle()
    with pytest.raises(ValueError, match=r"bytes on the line; the device takes 128"):
        simulation.session.command(CommandOp.SET, (0, bytes(64), bytes(60)), simulation.now, 1.0)
    simulation.close()


# --------------------------------------------------------------------------------------------------- to the host


class Host:
    """A host that says what a test wants, to a device in virtual time."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.now_ms = 0
        self.said = self.run()

    def run(self, ms: int = STEP_MS) -> list[Frame]:
        """What the device says in so long."""
        said = []
        for _ in range(ms // STEP_MS):
            self.now_ms += STEP_MS
            self.device.tick(self.now_ms)
            out = self.device.output()
            said += [decode(segment, self.device.session) for segment in out.split(b"\0") if segment]
        return said

    def say(self, kind: Kind, seq: int, *items: int) -> list[Frame]:
        """A frame; what the device says then."""
        self.device.receive(encode(kind, seq, items, self.device.session))
        return self.run()

    def greet(self, mtu: int = MTU_BYTES, rxbuf: int = 4096) -> list[Frame]:
        """A hello; what the device says then."""
        return self.say(Kind.HELLO, 0, spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 5, mtu, 0, rxbuf, 0)

    def start(self) -> list[Frame]:
        """The session that is offered begins; what the device says then."""
        return self.say(Kind.HELLO_ACK, 0, self.device.session)

    def settle(self, window: int = spec.LINK_WINDOW) -> None:
        """Acknowledges until everything was said."""
        frames = self.run()
        while any(frame.kind in DELTAS for frame in frames):
            frames = self.say(Kind.ACK, frames[-1].seq, window)


@pytest.fixture
def host(device: ctypes.CDLL) -> Iterator[Host]:
    host = Host(Device(device, 77))
    yield host
    host.device.close()


def deltas_in_flight(frames: list[Frame]) -> int:
    return sum(frame.kind in DELTAS for frame in frames)


@pytest.mark.parametrize(("window", "deltas"), [(0, 1), (1, 1), (2, 2), (4, 4), (255, 4)])
def test_a_device_sends_as_many_deltas_as_the_last_ack_takes(host: Host, window: int, deltas: int) -> None:
    host.greet()
    seq = host.start()[-1].seq
    for _ in range(10):  # of the snapshot and what it brings
        frames = host.say(Kind.ACK, seq, window)
        seq = next((frame.seq for frame in reversed(frames) if frame.kind in DELTAS), seq)
    sent = []
    for value in range(8):
        host.device.do("set", COUNT, value)
        sent += host.run()
    assert deltas_in_flight(sent) == deltas


@pytest.mark.parametrize(("rxbuf", "deltas"), [(0, 1), (413, 1), (414, 2), (620, 2), (621, 3), (828, 4), (65535, 4)])
def test_a_device_has_as_many_deltas_in_flight_as_the_host_can_hold(host: Host, rxbuf: int, deltas: int) -> None:
    for name in range(4):
        host.device.do("register", f"agent {name}")
    for area in range(8):
        host.device.do("hash", area % 4, 2**64 - 1)
        host.device.do("stat", f"area {area} of 16 bytes"[:16])
        host.device.do("lock", area, 2**64 - 1)
        host.device.do("window", area, 2**32 - 1)
    host.greet(rxbuf=rxbuf)
    snapshot = host.start()
    assert deltas_in_flight(snapshot) == deltas
    assert deltas_in_flight(host.say(Kind.ACK, snapshot[-1].seq, 4)) <= deltas


@pytest.mark.parametrize("mtu", [spec.LINK_MTU_LEAST_BYTES, 170, spec.LINK_MTU_BYTES, MTU_BYTES, 65535])
def test_a_device_sends_no_longer_frame_than_the_host_takes(host: Host, mtu: int) -> None:
    least = min(mtu, spec.LINK_MTU_BYTES)
    hello = host.greet(mtu)[-1]
    assert hello.items[3] == least
    bodies = []
    device = host.device
    for seed in range(40):  # pages with gaps of every kind, which take the most
        for area in range(4):
            device.do("window", area, seed * 77 + area)
            device.do("hash", area, (seed * 0x9E3779B97F4A7C15 + area) % 2**64)
        device.do("register", f"agent {seed}")
        device.do("deregister", f"agent {seed - 3}")
        frames = host.start() if seed == 0 else host.run()
        while any(frame.kind in DELTAS for frame in frames):
            bodies += [len(encode(frame.kind, frame.seq, frame.items, 1)) - 7 for frame in frames]
            frames = host.say(Kind.NAK if seed % 4 == 3 and len(bodies) % 2 else Kind.ACK, *answer(frames, seed, len(bodies)))
    assert least - 60 < max(bodies) <= least


def answer(frames: list[Frame], seed: int, count: int) -> tuple[int, ...]:
    """What an ack, or a nak now and then, says to these frames."""
    seq = next(frame.seq for frame in reversed(frames) if frame.kind in DELTAS)
    if seed % 4 == 3 and count % 2:
        first = next(frame.seq for frame in frames if frame.kind in DELTAS)
        return (first - 1) & 255, first, spec.NakReason.GAP
    return seq, 4


def test_a_device_does_not_answer_a_host_that_takes_no_page(host: Host) -> None:
    session = host.device.session
    assert host.greet(spec.LINK_MTU_LEAST_BYTES - 1) == []
    assert host.device.session == session
    assert host.greet(spec.LINK_MTU_LEAST_BYTES) != []


def test_a_host_does_not_answer_a_device_that_would_send_more_than_it_takes() -> None:
    session = HostSession(random_u32=lambda: 5)
    session.port_opened(0.0)
    session.take_output()
    hello = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42)
    session.receive(encode(Kind.HELLO, 0, (*hello, MTU_BYTES + 1, 20, 128, 0)), 0.1)
    assert session.take_output() == b"" and session.session == 0
    session.poll(1.0)
    [said] = [decode(segment, 0) for segment in session.take_output().split(b"\0") if segment]
    assert said.kind == Kind.HELLO and said.items[3] == MTU_BYTES, "it says what it takes"
    session.receive(encode(Kind.HELLO, 0, (*hello, MTU_BYTES, 20, 128, 0)), 1.1)
    assert session.session == 42


def test_a_host_that_stands_still_is_sent_no_more_than_was_agreed(device: ctypes.CDLL) -> None:
    """A device sends the same again and again, but never more than a window at once; then it offers a new session."""
    simulation = Simulation(device, 4)
    assert simulation.settle()
    sent = []
    for _ in range(spec.HOST_SILENCE_MS // STEP_MS + 20):
        simulation.act()
        simulation.now_ms += STEP_MS
        simulation.device.tick(simulation.now_ms - simulation.booted_ms)
        sent.append(len(simulation.device_output()))
    a_window = spec.LINK_WINDOW * (spec.LINK_MTU_BYTES + 7) + spec.LINK_EVENTS_WINDOW * 25
    tries = spec.HOST_SILENCE_MS // spec.RETRANSMIT_MS
    assert max(sent) <= a_window
    assert sum(sent) <= a_window * (tries + 2)
    assert not simulation.device.is_up
    assert simulation.settle(), "it goes on when the host does"
    simulation.close()


# ---------------------------------------------------------------------------------------- whatever bytes there are

MANY_BYTES = 1_000_000
CHUNK_BYTES = 4096
KEPT_MOST_BYTES = 300_000  # by a session that says what it hears to nobody


def valid_frames(session: int) -> bytes:
    """A bit of everything that a device may say, and never the header that would bring it somewhere."""
    items = [
        (Kind.DELTA, 1, (16, b"\1\2\3\4")),
        (Kind.REPAIR, 9, (0, 16, bytes(range(1, 100)))),
        (Kind.EVENT, 1, (300, 1, 2)),
        (Kind.REPLY, 4, (0, 1)),
        (Kind.PONG, 0, (1, 2, 3)),
        (Kind.LOG, 0, (20, "x" * 150)),
        (Kind.KEEPALIVE, 77, ()),
    ]
    return b"".join(encode(*frame, session) for frame in items)


HOSTILE = {
    "a frame without an end": b"\x05abcd" * 20,
    "the longest COBS blocks": b"\xff" * 101,
    "zeros": b"\0" * 100,
    "segments a bit too long": (b"\x01" * 255 + b"\0"),
    "frames of the session": valid_frames(42),
    "hellos": encode(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, 20, 128, 0)),
    "hellos of other versions": encode(Kind.HELLO, 0, (1, 1, 42, 200, 20, 128, 0)),
    "deltas in order, without a header": b"".join(encode(Kind.DELTA, n & 255, (16, b"1234"), 42) for n in range(1, 257)),
    "events in order": b"".join(encode(Kind.EVENT, n & 255, (300, n, n), 42) for n in range(1, 257)),
}
VALID = [name for name, stream in HOSTILE.items() if len(stream) > 300 or "hello" in name]  # which take longer


@pytest.mark.parametrize("name", HOSTILE)
def test_a_host_survives_any_number_of_bytes_in_constant_memory(name: str) -> None:
    session = HostSession(random_u32=lambda: 5)
    session.port_opened(0.0)
    session.receive(encode(Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 42, 200, 20, 128, 0)), 0.0)
    stream = (HOSTILE[name] * (CHUNK_BYTES // len(HOSTILE[name]) + 1))[: max(CHUNK_BYTES, len(HOSTILE[name]))]
    chunks = MANY_BYTES // len(stream) // (10 if name in VALID else 1)
    now = 0.0

    def feed(count: int) -> None:
        nonlocal now
        for _ in range(count):
            now += 0.001
            session.receive(stream, now)
            session.poll(now)
            session.take_output()

    feed(chunks // 10)  # what is kept up to some number is there
    tracemalloc.start()
    feed(chunks)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept <= KEPT_MOST_BYTES
    assert peak <= 8 * KEPT_MOST_BYTES, "for one read"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_device_survives_any_number_of_bytes(device: ctypes.CDLL, name: str) -> None:
    """Its memory is constant since it allocates none: that nothing is written beyond it is for the sanitizers."""
    simulation = Simulation(device, 11)
    assert simulation.settle()
    before = simulation.device.region()
    for _ in range(MANY_BYTES // 10 // len(HOSTILE[name])):
        simulation.device.receive(HOSTILE[name])
    assert simulation.device.region() == before
    assert simulation.settle()
    simulation.close()
