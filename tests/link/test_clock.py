"""The region's clock: time since start until a host tells the time of day, Unix time from then on (LINK.md, Time)."""

from __future__ import annotations

import ctypes

import pytest

from feagi_state import spec
from feagi_state.sections import AgentInfo, decode_agents
from simulation import CLOCK_PAGE, FIELDS, STEP_MS, UNIX_MS, Simulation

NEURONS = FIELDS.index("neuron_count")
HOUR_MS = 3_600_000
LATE_MS = 2 * STEP_MS  # what a frame of the host takes to the device, and a bit


@pytest.fixture
def simulate(device: ctypes.CDLL):
    made = []

    def simulation(rate: float = 0, knows_time: bool = True) -> Simulation:
        made.append(Simulation(device, 21 + len(made), rate, knows_time))
        return made[-1]

    yield simulation
    for one in made:
        one.close()


def at(simulation: Simulation, ms: int, *words: object) -> str:
    """Something that the application does so many ms after the device's start, with no host on the line yet."""
    simulation.now_ms = ms
    simulation.device.tick(ms)
    return simulation.device.do(*words)


def agents(simulation: Simulation) -> dict[str, AgentInfo]:
    mirror = simulation.watcher.mirror
    assert mirror is not None
    return {agent.agent_id: agent for agent in decode_agents(mirror.read_section(spec.SECTIONS["agents"]), mirror.agent_len)}


def last_modified(simulation: Simulation) -> int:
    """As the mirror has it."""
    assert simulation.watcher.mirror is not None
    return int(simulation.watcher.mirror.load_field(spec.CORE_FIELDS["last_modified"].offset))


def is_unix(simulation: Simulation) -> bool:
    assert simulation.watcher.mirror is not None
    header = simulation.watcher.mirror.read_page(0)
    return bool(header[spec.HEADER_FIELDS["flags"].offset] & spec.FLAG_UNIX_TIME)


def device_time(simulation: Simulation) -> int:
    """The region's clock, by a write of now."""
    simulation.device.do("set", NEURONS, 1)
    page = simulation.device.history[CLOCK_PAGE][-1]
    return int.from_bytes(page[8:16], "little")


def error(simulation: Simulation) -> int:
    """How much the device's clock is ahead of the host's."""
    return device_time(simulation) - simulation.unix_ms


def run(simulation: Simulation, ms: int) -> list[int]:
    """Both sides for so long; the device's time at each step."""
    times = []
    for _ in range(ms // STEP_MS):
        simulation.step()
        times.append(device_time(simulation))
    return times


def test_times_from_before_the_first_session_become_unix_time_and_ages_stay(simulate):
    simulation = simulate()
    at(simulation, 1000, "register", "old")
    at(simulation, 2000, "register", "young")
    at(simulation, 2500, "event", 300, 1)
    at(simulation, 3000, "heartbeat", "old")
    at(simulation, 4000, "set", NEURONS, 5)
    seen = []
    live = simulation.watcher.live
    simulation.watcher.live = lambda mirror: (live(mirror), seen.append((is_unix(simulation), last_modified(simulation))))
    assert simulation.settle()
    assert seen[0] == (True, last_modified(simulation)), "the snapshot began in another kind of time"
    assert is_unix(simulation)
    began = last_modified(simulation) - 4000
    assert UNIX_MS - LATE_MS <= began <= UNIX_MS
    found = agents(simulation)
    assert (found["old"].registered_at, found["old"].last_seen) == (began + 1000, began + 3000)
    assert (found["young"].registered_at, found["young"].last_seen) == (began + 2000, began + 2000)
    run(simulation, 500)
    assert simulation.watcher.event_times == [(began + ms) % 2**32 for ms in (1000, 2000, 2500)]


def test_eviction_goes_by_ages_across_the_change(simulate):
    simulation = simulate()
    at(simulation, 1000, "register", "old")
    at(simulation, 3000, "register", "young")
    at(simulation, 4000, "set", NEURONS, 5)
    assert simulation.settle()
    assert simulation.device.do("evict", 10_000) == 0
    assert simulation.device.do("evict", 2000) == 1
    assert simulation.settle()
    assert list(agents(simulation)) == ["young"]


def test_a_host_that_does_not_tell_the_time_changes_nothing(simulate):
    simulation = simulate(knows_time=False)
    at(simulation, 1000, "register", "old")
    assert simulation.settle()
    run(simulation, 3000)
    assert simulation.settle()
    assert not is_unix(simulation)
    assert agents(simulation)["old"].registered_at == 1000
    assert last_modified(simulation) < 10_000


def test_a_time_before_the_devices_were_made_is_none(simulate):
    simulation = simulate()
    simulation.unix_error_ms = -UNIX_MS + 5000
    at(simulation, 1000, "register", "old")
    assert simulation.settle()
    assert not is_unix(simulation)
    assert agents(simulation)["old"].registered_at == 1000


def test_a_host_that_learns_the_time_within_a_session_tells_it(simulate):
    simulation = simulate()
    simulation.unix_error_ms = -UNIX_MS
    at(simulation, 1000, "register", "old")
    assert simulation.settle()
    simulation.unix_error_ms = 0
    for _ in range(2 * spec.PING_PERIOD_MS // STEP_MS):
        simulation.step()
    assert simulation.settle()
    assert is_unix(simulation)
    assert UNIX_MS - LATE_MS <= agents(simulation)["old"].registered_at - 1000 <= UNIX_MS
    assert last_modified(simulation) == agents(simulation)["old"].registered_at


def test_a_program_that_keeps_the_clock_is_left_alone(simulate):
    simulation = simulate()
    simulation.device.keep_clock()
    at(simulation, 1000, "register", "old")
    assert simulation.settle()
    run(simulation, 2500)
    assert not is_unix(simulation)
    assert device_time(simulation) < 10_000


def test_the_flag_and_the_time_outlive_the_host(simulate):
    simulation = simulate()
    assert simulation.settle()
    simulation.session.port_lost(simulation.now_ms / 1000)
    run(simulation, 1000)
    assert -LATE_MS <= error(simulation) <= 0
    simulation.open_port()
    assert simulation.settle()
    assert is_unix(simulation)
    assert -LATE_MS <= error(simulation) <= 0


def test_a_clock_that_is_a_little_behind_goes_forward_at_once_and_moves_no_times(simulate):
    simulation = simulate()
    assert simulation.settle()
    simulation.device.do("register", "cam")
    assert simulation.settle()
    before = agents(simulation)["cam"]
    simulation.unix_error_ms = 300
    run(simulation, 2 * spec.PING_PERIOD_MS)
    assert -LATE_MS <= error(simulation) <= 0
    assert simulation.settle()
    assert agents(simulation)["cam"] == before


def test_a_clock_that_is_ahead_is_led_back_without_going_back(simulate):
    simulation = simulate()
    assert simulation.settle()
    before = error(simulation)
    for ahead_ms in (300, HOUR_MS):
        simulation.unix_error_ms = -ahead_ms
        times = run(simulation, 5000)
        assert times == sorted(times)
        went_back = before + ahead_ms - error(simulation)
        assert 4 <= went_back <= 6
        simulation.unix_error_ms = 0
        times += run(simulation, 2000)
        assert times == sorted(times)
        assert -LATE_MS <= error(simulation) <= 0


@pytest.mark.parametrize("step_ms", [1500, HOUR_MS])
def test_a_clock_that_is_far_behind_makes_a_step_and_ages_stay(simulate, step_ms):
    simulation = simulate()
    assert simulation.settle()
    simulation.device.do("register", "cam")
    run(simulation, 1000)
    assert simulation.settle()
    before, written = agents(simulation)["cam"], last_modified(simulation)
    simulation.unix_error_ms = step_ms
    for _ in range(2 * spec.PING_PERIOD_MS // STEP_MS):
        simulation.step()
    assert simulation.settle()
    stepped = agents(simulation)["cam"].registered_at - before.registered_at
    assert step_ms - LATE_MS <= stepped <= step_ms + LATE_MS
    assert agents(simulation)["cam"].last_seen - before.last_seen == stepped
    assert last_modified(simulation) - written == stepped
    assert -LATE_MS <= error(simulation) <= 0


def test_a_host_whose_clock_was_set_back_is_followed_in_the_next_session(simulate):
    simulation = simulate()
    assert simulation.settle()
    simulation.device.do("register", "cam")
    simulation.unix_error_ms = -HOUR_MS
    run(simulation, 2500)
    assert error(simulation) > HOUR_MS - 100
    age = device_time(simulation) - agents(simulation)["cam"].registered_at
    simulation.open_port()
    assert simulation.settle()
    assert -LATE_MS <= error(simulation) <= 0
    new_age = device_time(simulation) - agents(simulation)["cam"].registered_at
    assert age <= new_age < age + 1000


def test_a_device_that_was_held_up_does_not_take_old_pings_for_the_time(simulate):
    simulation = simulate()
    assert simulation.settle()
    last = run(simulation, 1000)[-1]
    for _ in range(3000 // STEP_MS):  # pings of 3 s wait in the device's buffer
        simulation.now_ms += STEP_MS
        simulation.session.poll(simulation.now_ms / 1000)
    times = [last, *run(simulation, 3000)]
    assert times == sorted(times)
    assert -LATE_MS <= error(simulation) <= 0


def test_time_does_not_go_back_on_a_bad_line(simulate):
    simulation = simulate(rate=1e-2)
    run(simulation, 2000)
    times = run(simulation, 8000)
    assert times == sorted(times)
    assert -spec.PING_PERIOD_MS < error(simulation) <= 0
    assert simulation.settle()


@pytest.mark.parametrize("ppm", [-900, 900])
def test_a_bad_crystal_is_led(simulate, ppm):
    simulation = simulate()
    assert simulation.settle()
    started = simulation.now_ms
    booted = simulation.booted_ms
    times = []
    while simulation.now_ms - started < 20_000:
        simulation.booted_ms = booted - (simulation.now_ms - started) * ppm // 1_000_000
        for _ in range(9):
            simulation.step()
        times += run(simulation, STEP_MS)
    assert times == sorted(times)
    assert abs(error(simulation)) <= LATE_MS
