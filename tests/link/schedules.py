"""Random schedules of a link: what its two sides, their programs and the line do in turn, as a seed says.

    python tests/link/schedules.py [--first N] [--count N] [--jobs N]

runs as many, prints what it counted, and ends with status 1 if anything was wrong; then `--first SEED --count 1` repeats it. A
schedule is a life in a bad neighbourhood: errors at some rate, delays, pieces, a baud rate, outages, echoes, resets, ports that
are opened again, hosts that are killed, sides that stand still, changes, events and commands. It ends well if, once the line is
good again, the mirror is equal to the device within SETTLE_MS, the link is as fast as before, every event was heard of or
counted, and every command was run as its caller was told.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "shared_spec")]

from faulty_line import Faults
from feagi_state import spec
from feagi_state.commands import Command
from simulation import CLOCK_PAGE, COUNTED, FIELDS, STEP_MS, TRAPS, Simulation, Violation, compile_device, load_device

RATES = (0, 0, 1e-4, 1e-3, 1e-2, 5e-2)
# What a device and a host need at most to find each other again: the device's patience with a host that it does not hear, a
# hello, and a few lost frames.
SETTLE_MS = spec.HOST_SILENCE_MS + spec.HELLO_PERIOD_MS + 1000
CHUNK = 50  # schedules that a worker runs in a row
CAUTIOUS_DELTAS = 10  # after as many a device has forgotten a loss
COMMANDS = 31  # of a schedule: a digit to the base of 4 each in a u64
TALLY = "genome_timestamp"  # the u64 in which the device adds up which commands it ran; nothing else writes it
TALLY_AT = spec.CORE_FIELDS[TALLY].offset


@dataclass
class Asked:
    """A command, and what its caller knows."""

    digit: int
    command: Command
    given_up: bool = False  # its caller was killed, or did not wait

    def may_run(self) -> range:
        """How often it ran, if its caller was told the truth."""
        command = self.command
        if command.done and command.error is None:
            return range(1, 2)
        if command.done and not command.error.may_have_run:
            return range(1)
        return range(2) if command.sent else range(1)


@dataclass
class Schedule:
    """One schedule. `run` it once."""

    library: ctypes.CDLL
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.simulation = Simulation(self.library, self.seed)
        self.random = self.simulation.random
        self.asked: list[Asked] = []
        self.digests: list[Command] = []
        self.tallies: list[int] = []  # of devices that ended

    def run(self) -> Counter[str]:
        """The whole of it. Returns what happened how often; raises Violation."""
        draw, simulation = self.random, self.simulation
        self.spoil_lines()
        busy = draw.choice([0, 1, 1, 3])
        for _ in range(draw.randrange(20, 90)):
            if draw.random() < 0.04:
                self.incident()
            for _ in range(draw.randrange(busy + 1)):
                simulation.act()
            if draw.random() < 0.05:
                for _ in range(draw.choice([1, 1, 5, 40])):
                    simulation.device.do("event", 256 + draw.randrange(9), draw.getrandbits(16))
            if draw.random() < 0.15:
                self.ask()
            simulation.step(draw.choice([1, STEP_MS, STEP_MS, 20, 60]))
        self.judge()
        simulation.close()
        return self.counts

    # -------------------------------------------------------------------------------------------- what happens

    def spoil_lines(self) -> None:
        """What this schedule's line is like."""
        draw = self.random
        for direction in (self.simulation.to_device, self.simulation.to_host):
            line = direction.line
            line.faults = Faults.at(draw.choice(RATES))
            line.delay_s = draw.choice([0, 0, 0.002, 0.05, 0.3])
            line.split = draw.choice([0, 0, 0.5])
            line.baud = draw.choice([0, 0, 115200, 9600])

    def incident(self) -> None:
        """Something worse than a wrong byte."""
        kind = self.random.choice(
            ["reset", "reopen", "unplug", "kill", "outage", "outage", "aimed", "host stands", "device stands", "echo", "weather"]
        )
        self.counts[kind] += 1
        getattr(self, kind.replace(" ", "_"))()

    def reset(self) -> None:
        self.tallies.append(self.simulation.device.field(TALLY))
        if self.random.random() < 0.5:
            self.simulation.to_host.line.clear()
        self.simulation.boot()

    def reopen(self) -> None:
        self.simulation.open_port()

    def unplug(self) -> None:
        """The host's port goes away and comes again."""
        simulation = self.simulation
        simulation.session.port_lost(simulation.now)
        simulation.to_device.line.clear()
        for _ in range(self.random.randrange(1, 12)):
            simulation.now_ms += 30
            simulation.device_step()
        simulation.open_port()

    def kill(self) -> None:
        """The host's process dies with whatever it has in hand, and another one takes its place."""
        for asked in self.asked:
            asked.given_up = True
        self.digests.clear()
        self.simulation.start_host()

    def outage(self) -> None:
        """One direction, or both, lose everything for a while."""
        simulation, draw = self.simulation, self.random
        lines = [simulation.to_device.line, simulation.to_host.line]
        broken = draw.sample(lines, draw.choice([1, 1, 2]))
        for line in broken:
            line.longest_bytes = 0
        for _ in range(draw.choice([3, 10, 40])):
            simulation.act()
            simulation.step(draw.choice([STEP_MS, 50, 200]))
        for line in broken:
            line.longest_bytes = math.inf

    def aimed(self) -> None:
        """The line loses what is longer than a few bytes: deltas do not get through, the rest does, so that the device's numbers run
        ahead while it hears that it is heard.
        """
        simulation, draw = self.simulation, self.random
        line = simulation.to_host.line
        line.longest_bytes = draw.choice([19, 19, 60])
        step_ms = draw.choice([STEP_MS, 100])
        for number in range(draw.choice([10, 60, 300])):
            if number % 3 == 0:
                simulation.device.do("hash", 5, draw.getrandbits(64) | 1 << 63)  # the last one: its page is sent as a whole
                simulation.device.do("count", "area_1", 0, 1)
            if number % 8 == 0:
                simulation.device.do("event", 256, number)
            simulation.step(step_ms)
        line.longest_bytes = math.inf

    def host_stands(self) -> None:
        simulation = self.simulation
        for _ in range(self.random.choice([3, 30])):
            simulation.now_ms += 60
            simulation.device_step()

    def device_stands(self) -> None:
        simulation = self.simulation
        for _ in range(self.random.choice([3, 30])):
            simulation.now_ms += 60
            simulation.to_device.put(simulation.session.take_output(), simulation.now)
            simulation.host_step()

    def echo(self) -> None:
        """Each side hears what it says, as before a REPL or on a line of two wires."""
        simulation = self.simulation
        both = simulation.to_device.sent | simulation.to_host.sent
        simulation.to_device.sent = simulation.to_host.sent = both
        said = simulation.device_output(100)
        simulation.to_host.put(said, simulation.now)
        simulation.to_device.put(said + simulation.session.take_output(), simulation.now)

    def weather(self) -> None:
        self.spoil_lines()

    def ask(self) -> None:
        """A command, and perhaps its caller does not wait for it."""
        simulation, draw, digit = self.simulation, self.random, len(self.asked)
        if draw.random() < 0.2:
            self.digests.append(simulation.session.command(spec.CommandOp.DIGEST, (), simulation.now, 1.0, self.digest))
        elif digit < COMMANDS:
            timeout_s = draw.choice([0.1, 0.5, 2.0])
            command = simulation.session.command(
                spec.CommandOp.ADD, (TALLY_AT, 4**digit), simulation.now, timeout_s, partial(self.answered, digit)
            )
            self.asked.append(Asked(digit, command))
            if draw.random() < 0.05:
                self.asked[-1].given_up = True
                simulation.session.cancel(command)

    def answered(self, digit: int, command: Command) -> None:
        if command.error is None:
            self.counts["answered"] += 1
            if command.status or digit_of(command.values[0], digit) != 1:
                raise Violation("command", f"{digit} was answered with {command.status}, {command.values}")

    def digest(self, command: Command) -> None:
        if command.error is None and command.mirror_digest is not None:
            self.counts["digests"] += 1
            if command.values[0] != command.mirror_digest:
                raise Violation("not_equal", "the digests, of what should be one state")

    # -------------------------------------------------------------------------------------------- how it ends

    def judge(self) -> None:
        """The line becomes good; raises Violation if not all is well then."""
        simulation = self.simulation
        lines = (simulation.to_device.line, simulation.to_host.line)
        for line in lines:
            line.faults, line.delay_s, line.split = Faults(), 0, 0
        bad_ms = simulation.now_ms
        while any(line.waiting_bytes for line in lines):
            simulation.step()
            if simulation.now_ms - bad_ms > 30_000:
                raise Violation("slow", "the device never comes to an end with what it says")
        for line in lines:
            line.baud = 0
        good_ms = simulation.now_ms
        while not simulation.is_equal():
            simulation.step(20)
            if simulation.now_ms - good_ms > SETTLE_MS:
                raise Violation("not_equal", f"{SETTLE_MS} ms after the line became good")
        self.judge_commands()
        self.judge_speed()
        self.judge_events()
        self.counts["pages"] += simulation.watcher.checked
        self.counts["events"] += len(simulation.watcher.events)
        self.counts["commands"] += len(self.asked)

    def judge_speed(self) -> None:
        """Once a few deltas were answered, changes of several pages go in one delta again, with the next ones behind it."""
        simulation = self.simulation
        deltas, number = simulation.session.counters["deltas"], 0
        while simulation.session.counters["deltas"] - deltas < CAUTIOUS_DELTAS:
            number += 1
            simulation.device.do("hash", 0, number)
            simulation.step(20)
            if number > 5 * CAUTIOUS_DELTAS:
                raise Violation("slow", "a delta for each change, long after the last loss")
        for _ in range(10):
            simulation.step(20)  # and the clock's page
        history = simulation.device.history
        deltas, versions = simulation.session.counters["deltas"], sum(map(len, history))
        for _ in range(10):
            simulation.step(20)
        # The time of day, which may come at any time, changes the pages that have times.
        if simulation.session.counters["deltas"] != deltas and sum(map(len, history)) == versions:
            raise Violation("slow", "a delta where nothing had changed")
        if not any(self.is_one_delta() for _ in range(3)):
            raise Violation("slow", "three pages of a few words were not one delta, long after the last loss")

    def is_one_delta(self) -> bool:
        """Whether changes of three pages come in one."""
        simulation, draw = self.simulation, self.random
        deltas = simulation.session.counters["deltas"]
        for number in range(3):
            simulation.device.do("set", FIELDS.index("memory_usage"), draw.getrandbits(32))
            simulation.device.do("hash", number, draw.getrandbits(64))
            simulation.device.do("window", 0, draw.getrandbits(32))
        simulation.step()
        is_equal = simulation.is_equal(but=[CLOCK_PAGE])
        used = simulation.session.counters["deltas"] - deltas
        for _ in range(10):
            simulation.step(20)
        return used == 1 and is_equal

    def judge_events(self) -> None:
        """Every event of the last device has arrived, or was counted as lost."""
        simulation = self.simulation
        device, until_ms = simulation.device, simulation.now_ms + 10_000
        while device.oldest_event != len(device.events):
            simulation.step()
            if simulation.now_ms > until_ms:
                raise Violation("event", "it does not arrive")
        simulation.watcher.count_lost()
        if device.lost_counted < device.events_rejected or (
            len(device.sessions) == 1 and device.lost_counted != device.events_rejected
        ):
            raise Violation("event", f"{device.events_rejected} were rejected, {device.lost_counted} counted as lost")

    def judge_commands(self) -> None:
        """Each ran at most once, and as its caller was told."""
        simulation = self.simulation
        while not all(asked.command.done or asked.given_up for asked in self.asked) or not all(c.done for c in self.digests):
            simulation.step(20)
        tallies = [*self.tallies, simulation.device.field(TALLY)]
        for asked in self.asked:
            ran = sum(digit_of(tally, asked.digit) for tally in tallies)
            if ran not in asked.may_run():
                raise Violation("command", f"{asked.digit} ran {ran} times; its caller was told {asked.command.error!r}")


def digit_of(tally: int, digit: int) -> int:
    """How often the command with this digit ran."""
    return tally >> 2 * digit & 3


# ------------------------------------------------------------------------------------------------------ many of them


@dataclass
class Result:
    """What a number of schedules came to."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)  # (seed, why)

    def add(self, seed: int, outcome: Counter[str] | Exception) -> None:
        """One more schedule."""
        self.counts["schedules"] += 1
        if isinstance(outcome, Counter):
            self.counts.update(outcome)
            return
        what = outcome.what if isinstance(outcome, Violation) else "raised"
        self.counts[what] += 1
        self.failed.append((seed, "".join(traceback.format_exception(outcome))))

    def summary(self) -> str:
        """One line of what was counted, and what was wrong."""
        counts = self.counts
        good = f"{counts['schedules']:,} schedules: {counts['pages']:,} pages published, {counts['events']:,} events"
        good += f", {counts['answered']:,} of {counts['commands']:,} commands answered, {counts['digests']:,} digests compared"
        return good + "; " + ", ".join(f"{counts[what]} {what}" for what in (*COUNTED, "raised"))


def outcome_of(seed: int, library: ctypes.CDLL) -> Counter[str] | Exception:
    """What the schedule of this seed came to, or why it failed."""
    try:
        return Schedule(library, seed).run()
    except Exception as error:
        return error


def _chunk(seeds: Sequence[int], library: Path) -> Result:
    """What a worker does: a few schedules in a row."""
    loaded, result = load_device(library), Result()
    for seed in seeds:
        result.add(seed, outcome_of(seed, loaded))
    return result


def run_schedules(
    library: Path, seeds: Sequence[int], jobs: int, *, failures: int = 5, hear: Callable[[Result], None] = lambda result: None
) -> Result:
    """All of them, in so many processes, or until so many have failed; `hear` is told how far it is. Raises BrokenProcessPool if
    a process dies.
    """
    total = Result()
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(jobs) as workers:
        for part in workers.map(_chunk, chunks, [library] * len(chunks)):
            total.counts += part.counts
            total.failed += part.failed
            hear(total)
            if len(total.failed) >= failures:
                workers.shutdown(cancel_futures=True)
                break
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs random schedules of a link.")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed; the next ones follow it")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--library", type=Path, help="tests/core/device.c compiled, instead of compiling it")
    parser.add_argument("--failures", type=int, default=5, help="end after so many")
    options = parser.parse_args()

    def tell(result: Result) -> None:
        if result.counts["schedules"] % (100 * CHUNK) == 0:
            print(f"  from seed {options.first} on: {result.summary()}", file=sys.stderr, flush=True)

    with TemporaryDirectory() as folder:
        library = options.library or compile_device(Path(folder), *TRAPS)
        seeds = range(options.first, options.first + options.count)
        result = run_schedules(library, seeds, options.jobs, failures=options.failures, hear=tell)
    print(result.summary())
    for seed, why in result.failed[:5]:
        print(f"\nseed {seed}:\n{why}")
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
