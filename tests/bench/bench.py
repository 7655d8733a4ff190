#!/usr/bin/env python3
"""Says what the state costs on this PC, beside what one would use instead, measured in the same run.

Times are the least of several rounds, in ns; machines differ, so what counts are the ratios to a peer of the same run, and the
instructions that valgrind counts. Writes the numbers, flat names to numbers, as JSON. Exit status: 0, 1 if a number is above its
ceiling, 2 if something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import access
import latency
import line
import link
import peers
import web

from size import CORE, HERE, INCLUDES, ROOT, CannotMeasure, run

Numbers = dict[str, float]

# What a number may be. Those of `core.` and `python.` are times in units of `clock`: of one clock_gettime(CLOCK_REALTIME).
CEILINGS = {
    "core.write.coarse.clocks": 0.3,
    "core.write.cached.clocks": 0.1,
    "core.register_deregister.coarse.clocks": 2.5,
    "python.read_u8.instructions": 120,
    "python.read_u32.instructions": 230,
    # CPython's own part of a write is 107 of these, the int's value 31, the clock 25 (more outside of valgrind, where it is no call
    # of the kernel); a bare store into memory by an attribute is about 145.
    "python.write_u32.instructions": 220,
    "latency.shared_memory_ns": 1000,
    "link.bytes.one_u32": 14,
    "link.bytes.event": 17,
    "link.bytes.command": 11,
    "link.bytes.reply": 9,
    "link.bytes.snapshot.to_its_bytes": 1.05,
    "line.115200.late_ms": 2,
    "python.health_check_ns": 20_000,
    "web.single.first_open_ms": 50,
    "web.single.read_u32_ns": 50,
    "web.threaded.first_open_ms": 50,
    "web.threaded.read_u32_ns": 50,
    "web.save_ms": 10,
}
# What a number must at least be.
FLOORS = {
    "python.ctypes_to_ours.read_u32": 1.7,
    "python.ctypes_to_ours.write_u32": 1.7,
    "link.deltas_per_s": 150_000,
    "link.host_to_plain": 0.7,
    "line.115200.frames": 0.9,
    "link.boards_per_core": 100,
}


def core_times(folder: Path, rounds: int) -> Numbers:
    """core.NAME in ns, and core.NAME.clocks. Raises CannotMeasure."""
    program = folder / "core"
    flags = ["-std=c11", "-O2", "-DFEAGI_PORT_SHARED=1", "-D_GNU_SOURCE"]
    run("gcc", *flags, *INCLUDES, HERE / "core.c", *sorted(CORE.glob("*.c")), "-o", program)
    times = {name: float(ns) for name, ns in (line.split() for line in run(program, str(rounds)).splitlines())}
    clocks = {f"core.{name}.clocks": ns / times["clock"] for name, ns in times.items() if name != "clock"}
    return {f"core.{name}": ns for name, ns in times.items()} | clocks


def instruction_counts(loops: int) -> Numbers:
    """python.WHAT.instructions under callgrind, the empty loop subtracted; empty where there is no valgrind."""
    if not shutil.which("valgrind"):
        return {}
    counts = {what: count_instructions(what, loops) for what in access.COUNTED}
    numbers = {f"python.{what}.instructions": (count - counts["empty"]) / loops for what, count in counts.items() if what != "empty"}
    for what in ("read_u32", "write_u32"):
        ratio = numbers[f"python.ctypes_{what}.instructions"] / numbers[f"python.{what}.instructions"]
        numbers[f"python.ctypes_to_ours.{what}"] = ratio
    return numbers


def count_instructions(what: str, loops: int) -> int:
    """Instructions of a Python process that does this so often. Raises CannotMeasure."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", sys.executable, HERE / "access.py"]
        run(*command, what, str(loops), environment={"PYTHONHASHSEED": "0"})
        summary = [line for line in Path(out.name).read_text().splitlines() if line.startswith(("summary:", "totals:"))]
    if not summary:
        raise CannotMeasure("callgrind wrote no summary")
    return int(summary[0].split()[1])


def measure(quick: bool, say: Callable[[str], None]) -> Numbers:
    """All numbers that can be had here. `say` is told what is under way. Raises CannotMeasure."""
    with tempfile.TemporaryDirectory() as name:
        say("the C core")
        numbers = core_times(Path(name), 3 if quick else 40)
        say("CPython")
        numbers |= access.times(Path(name), 2000 if quick else 100_000, 2 if quick else 9)
        say("latency between processes")
        numbers |= latency.times(Path(name), 200 if quick else 20_000)
    say("the link's host role")
    numbers |= link.times(2000 if quick else 50_000, 2 if quick else 9)
    say("the link on the wire")
    with tempfile.TemporaryDirectory() as name:
        numbers |= line.lengths(Path(name))
    numbers |= line.paced(1 if quick else 10)
    say("the link beside mpremote, belay and SMP")
    try:
        beside, missing = peers.measure(0.05 if quick else 1)
    except CannotMeasure as error:  # no firmware for the board, or no emulator
        beside, missing = {}, [str(error)]
    numbers |= beside
    for why in missing:
        say(f"not measured: {why}")
    say("a fleet of boards")
    numbers |= link.fleet_load(5 if quick else 100, 1 if quick else 10)
    say("the package for browsers" if web.can_be_measured() else "no package for browsers: Chromium, or what drives it, is not here")
    if web.can_be_measured():
        with tempfile.TemporaryDirectory() as name:
            numbers |= web.times(Path(name), 10_000 if quick else 1_000_000)
    say("instructions in CPython" if shutil.which("valgrind") else "no instructions: there is no valgrind here")
    # Two runs differ by some 200,000 instructions before their loops begin: fewer loops would drown in that.
    return numbers | instruction_counts(20_000 if quick else 100_000)


def out_of_bounds(numbers: Mapping[str, float], ceilings: Mapping[str, float], floors: Mapping[str, float]) -> list[str]:
    """A line for each number above its ceiling or below its floor. What was not measured is not judged."""
    above = [f"{n} is {numbers[n]:.3g}, above its ceiling of {c:g}" for n, c in ceilings.items() if n in numbers and numbers[n] > c]
    below = [f"{n} is {numbers[n]:.3g}, below its floor of {f:g}" for n, f in floors.items() if n in numbers and numbers[n] < f]
    return above + below


def table(numbers: Mapping[str, float]) -> str:
    """The numbers for reading."""
    lines = []
    for name, number in numbers.items():
        bound = f"   ceiling {CEILINGS[name]:g}" if name in CEILINGS else f"   floor {FLOORS[name]:g}" if name in FLOORS else ""
        lines.append(f"{name:<44}{number:>14,.2f}{bound}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, writes the JSON and answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that everything can be measured, not what it costs")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="file for the numbers (default: build/bench.json)")
    args = parser.parse_args(arguments)
    try:
        numbers = measure(args.quick, lambda what: print(f"bench: {what}", file=sys.stderr))
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    print(table(numbers))
    if any(name.startswith("peers.") for name in numbers):
        print(peers.table(numbers))
    wrong = out_of_bounds(numbers, CEILINGS, FLOORS)
    for text in wrong:
        print(f"bench: {text}", file=sys.stderr)
    return 1 if wrong and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
