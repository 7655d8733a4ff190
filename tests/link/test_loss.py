"""The real code of both sides over a bad line: the mirror is never torn, never goes back, and ends equal to the device."""

from __future__ import annotations

import ctypes
import math

import pytest

from feagi_state import spec
from feagi_state.spec import LinkState
from simulation import FIELDS, HASHES_AT, PAGES, STEP_MS, Simulation


@pytest.mark.parametrize("rate", [0, 1e-3, 1e-2, 5e-2])
@pytest.mark.parametrize("seed", range(4))
def test_mirror_converges_and_is_never_torn_nor_stale_after_new(device: ctypes.CDLL, seed: int, rate: float) -> None:
    assert_converges(Simulation(device, seed, rate), resets=rate >= 1e-2)


@pytest.mark.parametrize("rate", [0, 1e-3, 1e-2, 5e-2])
@pytest.mark.parametrize("seed", range(4, 6))
def test_mirror_converges_with_a_device_that_takes_text(device: ctypes.CDLL, seed: int, rate: float) -> None:
    assert_converges(Simulation(device, seed, rate, takes_text=True), resets=rate >= 1e-2)


def assert_converges(simulation: Simulation, resets: bool) -> None:
    for step in range(400):
        for _ in range(simulation.random.choice([0, 0, 1, 3])):
            simulation.act()
        simulation.step()
        if resets and step == 200:
            simulation.boot()
    assert simulation.settle(), "the mirror did not become equal to the device"
    assert simulation.watcher.checked >= len(PAGES)
    changed = set().union(*(device.changed() for device in simulation.devices))
    unchanged = [at for page, (at, _) in enumerate(PAGES) if at >= HASHES_AT and page not in changed]
    assert not unchanged, "pages of sections that never changed were not tested"
    simulation.close()


def test_more_changes_in_flight_than_sequence_numbers_still_converge(device: ctypes.CDLL) -> None:
    """A host that answers nothing for long runs the device's numbers ahead until it starts a new session."""
    simulation = Simulation(device, 1, 0)
    assert simulation.settle()
    first = simulation.session.session
    for _ in range(2000):
        simulation.act()
        simulation.now_ms += STEP_MS
        simulation.device.tick(simulation.now_ms)
        simulation.device.output()  # into the void
    assert simulation.settle()
    assert simulation.session.session != first
    simulation.close()


def test_every_event_arrives_once_and_in_order_over_a_lossy_line(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 3, 0)
    assert simulation.settle()
    simulation.spoil(2e-2)
    sent = []
    for n in range(200):
        if simulation.device.do("event", 256 + n, n) == 0:
            sent.append((256 + n, n))
        for _ in range(4):
            simulation.step()
    assert simulation.settle()
    for _ in range(200):
        simulation.step()
    assert simulation.watcher.events == sent
    rejected = 200 - len(sent)
    assert simulation.session.counters["events_lost"] == rejected
    simulation.close()


def test_events_that_found_the_ring_full_are_counted_to_the_host(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 4, 0)
    assert simulation.settle()
    capacity = spec.PROFILES["tiny"].events
    accepted = sum(simulation.device.do("event", 300, n) == 0 for n in range(capacity + 7))
    assert accepted == capacity
    for _ in range(300):
        simulation.step()
    assert simulation.watcher.events == [(300, n) for n in range(capacity)]
    assert simulation.session.counters["events_lost"] == 7
    simulation.close()


def test_lost_events_are_counted_when_their_count_meets_events_that_the_host_has_already(device: ctypes.CDLL) -> None:
    """Of four events' acknowledgements only the first arrives; then the ring overflows and the other three are sent again."""
    simulation = Simulation(device, 4, 0)
    assert simulation.settle()
    for n in range(4):
        assert simulation.device.do("event", 300, n) == 0
    events = b"\0".join([b"", *simulation.next_segments(), b""])
    simulation.session.take_output()
    simulation.session.receive(events, simulation.now_ms / 1000)
    acks = [s for s in simulation.session.take_output().split(b"\0") if s]
    simulation.device.receive(b"\0" + acks[0] + b"\0")
    capacity = spec.PROFILES["tiny"].events
    answers = [simulation.device.do("event", 301, n) for n in range(capacity + 7)]
    rejected = len(answers) - answers.count(0)
    assert rejected > 0
    for _ in range(400):
        simulation.step()
    assert simulation.session.counters["events_lost"] == rejected
    assert len(simulation.watcher.events) == 4 + answers.count(0)
    simulation.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_command_runs_at_most_once_whatever_the_line_does(device: ctypes.CDLL, seed: int) -> None:
    simulation = Simulation(device, 100 + seed, 0)
    assert simulation.settle()
    simulation.spoil(2e-2)
    field = spec.CORE_FIELDS["neuron_count"].offset
    answered = unknown = 0
    for _ in range(40):
        command = simulation.session.command(spec.CommandOp.ADD, (field, 1), simulation.now_ms / 1000, 5.0)
        while not command.done:
            simulation.step()
        if command.error is None:
            answered += 1
        else:
            unknown += 1
    assert simulation.settle()
    assert simulation.watcher.mirror is not None
    count = simulation.watcher.mirror.load_field(field)
    assert answered <= count <= answered + unknown
    assert answered > 20
    simulation.close()


def test_a_command_that_the_line_says_again_after_the_next_one_does_not_run_again(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 104)
    assert simulation.settle()
    said = []
    for _ in range(2):
        simulation.session.command(spec.CommandOp.ADD, (spec.CORE_FIELDS["neuron_count"].offset, 1), simulation.now, 5.0)
        said.append(simulation.session.take_output())
        simulation.device.receive(said[-1])
        simulation.step()
    assert simulation.device.field("neuron_count") == 2
    simulation.device.receive(said[0])
    assert simulation.device.field("neuron_count") == 2
    simulation.device.receive(said[1])
    assert simulation.device.field("neuron_count") == 2
    simulation.close()


def test_an_old_session_that_the_line_says_again_is_not_taken_up(device: ctypes.CDLL) -> None:
    """The watcher looks at every page that is published, and at every event."""
    simulation = Simulation(device, 105)
    simulation.device.do("event", 256, 1)
    said = []
    take = simulation.to_host.line.take
    simulation.to_host.line.take = lambda now: said.append(take(now)) or said[-1]  # type: ignore[func-returns-value]
    assert simulation.settle()
    first, begun = simulation.session.session, b"".join(said)
    simulation.open_port()
    assert simulation.settle() and simulation.session.session != first
    simulation.device.do("set", FIELDS.index("neuron_count"), 7)
    simulation.device.do("event", 256, 2)
    assert simulation.settle()
    simulation.session.receive(begun, simulation.now)
    assert simulation.settle()
    simulation.close()


def digest(simulation: Simulation) -> tuple[int, int] | None:
    """(device's, mirror's), or None where loss spoiled the answer or kept the device from ever having sent everything."""
    command = simulation.session.command(spec.CommandOp.DIGEST, (), simulation.now_ms / 1000, 5.0)
    while not command.done:
        simulation.act()  # the device writes at every poll
        simulation.step()
    return None if command.mirror_digest is None else (command.values[0], command.mirror_digest)


@pytest.mark.parametrize("rate", [0, 2e-3])
def test_a_digest_that_is_given_is_of_equal_states_however_busy_the_device(device: ctypes.CDLL, rate: float) -> None:
    simulation = Simulation(device, 9, 0)
    assert simulation.settle()
    simulation.spoil(rate)
    answers = [digest(simulation) for _ in range(30)]
    given = [answer for answer in answers if answer is not None]
    assert len(given) >= (30 if rate == 0 else 5)
    assert all(theirs == ours for theirs, ours in given)
    simulation.close()


def test_a_device_does_not_answer_its_own_hello_echoed(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 5, 0)
    before = simulation.device.session
    hello = simulation.next_segments()[0]
    simulation.device.receive(b"\0" + hello + b"\0")
    assert simulation.device.session == before
    simulation.close()


def test_a_device_ends_its_session_when_nobody_listens_any_more(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 6, 0)
    assert simulation.settle()
    assert simulation.device.is_up
    for _ in range(spec.HOST_SILENCE_MS // STEP_MS + 2):
        simulation.now_ms += STEP_MS
        simulation.device.tick(simulation.now_ms)
        simulation.device.output()
    assert not simulation.device.is_up
    simulation.close()


def test_a_host_that_stood_still_is_stale_until_it_has_caught_up(device: ctypes.CDLL) -> None:
    """What the line kept for it tells of the time when it stopped."""
    simulation = Simulation(device, 8, 0)
    assert simulation.settle()
    for number in range(100):
        simulation.now_ms += spec.STALE_AFTER_MS // 90
        simulation.device.do("hash", 0, number)
        simulation.device_step()
    kept = simulation.to_host.line.take(simulation.now)
    simulation.session.receive(kept[: len(kept) // 2], simulation.now)
    assert simulation.session.link_state == LinkState.STALE
    simulation.session.receive(kept[len(kept) // 2 :], simulation.now)
    simulation.to_device.line.longest_bytes = 0  # and so no ping is answered
    for _ in range(10):
        simulation.step()
        assert simulation.session.link_state == LinkState.STALE
    simulation.to_device.line.longest_bytes = math.inf
    session = simulation.session.session
    assert simulation.settle()
    for _ in range(2 * spec.PING_PERIOD_MS // STEP_MS):
        simulation.step()
    assert (simulation.session.link_state, simulation.session.session) == (LinkState.LIVE, session)
    assert simulation.is_equal()
    simulation.close()


def test_text_between_polls_costs_no_frame(device: ctypes.CDLL) -> None:
    """A program that prints at every poll, as on a line that is shared with the REPL."""
    simulation = Simulation(device, 7, 0)
    assert simulation.settle()
    naks = simulation.session.counters["naks"]
    for n in range(100):
        simulation.session.receive(b"burst %d\r\n" % n, simulation.now_ms / 1000)
        simulation.act()
        simulation.step()
    assert simulation.settle()
    assert simulation.session.counters["naks"] == naks
    assert simulation.watcher.texts.count(b"burst") == 100
    simulation.close()


def test_noise_and_hostile_bytes_do_not_disturb_the_device(device: ctypes.CDLL) -> None:
    simulation = Simulation(device, 11, 0)
    assert simulation.settle()
    before = simulation.device.region()
    for length in (1, 2, 253, 254, 255, 256, 1000, 5000):
        simulation.device.receive(simulation.random.randbytes(length))
        simulation.device.receive(b"\xff" * length)
        simulation.device.receive(b"\0" * length)
    assert simulation.device.region() == before
    assert simulation.settle()
    simulation.close()


def test_nothing_that_a_prompt_obeys_goes_to_a_device_that_takes_text(device: ctypes.CDLL) -> None:
    """From the first hello on: no Ctrl-C, which would end the program, and no other control character but the frame's own."""
    simulation = Simulation(device, 5, takes_text=True)
    allowed = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\x1e\x15")
    for _ in range(500):
        simulation.act()
        simulation.step()
        assert set(simulation.said) <= allowed
    assert simulation.session.is_live and simulation.session.counters["deltas"] > 100
    simulation.close()


@pytest.mark.parametrize(
    "typed",
    [b"hello", b"\x1e", b"\x1eAAA", b"\x1eQQ==\x15", b"\x1eA\x15", b"\x15\x15", b"\x1e\xff\x80\x15", b"\x1e" + b"A" * 5000 + b"\x15"],
    ids=lambda typed: typed[:8].hex(),
)
def test_what_is_typed_at_a_device_that_takes_text_does_no_harm(device: ctypes.CDLL, typed: bytes) -> None:
    """One that is cut off by the next frame's beginning, or is no base64, or longer than any frame."""
    simulation = Simulation(device, 6, takes_text=True)
    assert simulation.settle()
    session = simulation.session.session
    for _ in range(50):
        simulation.device.receive(typed)
        simulation.act()
        simulation.step()
    assert simulation.settle() and simulation.session.session == session
    simulation.close()


def test_a_host_that_comes_to_a_device_in_another_hosts_session_says_hello_in_its_form(device: ctypes.CDLL) -> None:
    for takes_text in (False, True):
        simulation = Simulation(device, 7, takes_text=takes_text)
        assert simulation.settle()
        before = simulation.session.session
        simulation.open_port()
        for _ in range(600 // STEP_MS):  # far less than it takes the device to miss the other host
            simulation.step()
        assert simulation.session.is_live and simulation.session.session != before
        simulation.close()
