#!/usr/bin/env python3
"""Says how many bytes the state takes: regions and their sections, the core's objects, the native module for armv7m.

All of it is measured: by a program that asks the core, and by the compilers' own `size`. Writes the numbers, flat names to
bytes, as JSON. Exit status: 0, 1 if a number is above its ceiling, 2 if something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
INCLUDES = [f"-I{CORE}", f"-I{PORT}"]

# Bytes that a number may have. What fits these leaves room on the boards that the profiles are for.
CEILINGS = {"region.tiny": 2 * 1024, "region.micro": 6 * 1024}

# As firmware/micropython/natmod.mk, but for -fpic: this is what a firmware links that has the core built in.
SIZE_FLAGS = ["-std=c99", "-Os", "-ffreestanding", "-fno-tree-loop-distribute-patterns"]
# The host's compiler would count tables for exceptions as text, and add checks that no microcontroller's code has.
HOST = ["gcc", "-DFEAGI_PORT_SHARED=1", "-D_GNU_SOURCE", "-fno-asynchronous-unwind-tables", "-fno-stack-protector"]
ARMV7M = ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m3"]
TARGETS = {"host": HOST, "armv7m": ARMV7M}
# Never on a device: natmod.mk leaves it out as well.
HOST_ONLY = {"feagi_mirror", "feagi_shared"}
PARTS = ("text", "data", "bss")

Numbers = dict[str, int]


class CannotMeasure(Exception):
    """A compiler or program failed, or printed something else than expected."""


def run(*command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """What the command prints, with these variables besides its own. Raises CannotMeasure if it fails or is not there."""
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotMeasure(f"{command[0]} is not there") from error
    if done.returncode:
        raise CannotMeasure(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}".rstrip())
    return done.stdout


def region_sizes(folder: Path) -> Numbers:
    """region.PROFILE and region.PROFILE.SECTION in bytes, a section with the padding up to the next one.

    `folder` is for the program. Raises CannotMeasure.
    """
    spec = tomllib.loads((ROOT / "shared_spec" / "spec.toml").read_text(encoding="utf-8"))
    profiles = {profile["id"]: name for name, profile in spec["profiles"].items()}
    sections = {section["number"]: section["name"] for section in spec["sections"]}
    program = folder / "size"
    run("gcc", "-std=c11", "-O1", *INCLUDES, HERE / "size.c", *sorted(CORE.glob("*.c")), "-o", program)
    totals: Numbers = {}
    begins: dict[str, list[tuple[int, str]]] = {}
    for line in run(program).splitlines():
        profile, *rest = map(int, line.split())
        name = f"region.{profiles[profile]}"
        if len(rest) == 1:
            totals[name] = rest[0]
            begins[name] = [(0, "header")]
        else:
            begins[name].append((rest[1], sections[rest[0]]))
    numbers: Numbers = {}
    for name, total in totals.items():
        numbers[name] = total
        ordered = sorted(begins[name])
        ends = [begin for begin, _ in ordered[1:]] + [total]
        for (begin, section), end in zip(ordered, ends, strict=True):
            numbers[f"{name}.{section}"] = end - begin
    return numbers


def sections_of(objects: list[Path], size: str) -> dict[str, Numbers]:
    """text, data and bss in bytes of each object file, by its stem. Raises CannotMeasure."""
    rows = [line.split() for line in run(size, "--format=berkeley", *objects).splitlines()]
    if not rows or rows[0][:3] != list(PARTS):
        raise CannotMeasure(f"{size} prints another table than expected: {rows[:1]}")
    return {Path(row[5]).stem: dict(zip(PARTS, map(int, row[:3]), strict=True)) for row in rows[1:]}


def object_sizes(target: str, folder: Path) -> Numbers:
    """object.TARGET.FILE.PART in bytes for every file of the core, and `total` of those that a device has.

    `folder` is for the objects. Raises CannotMeasure.
    """
    sources = sorted(CORE.glob("*.c"))
    command = TARGETS[target]
    place = folder / target
    place.mkdir()
    run(*command, *SIZE_FLAGS, *INCLUDES, "-c", *sources, cwd=place)
    files = sections_of([place / f"{source.stem}.o" for source in sources], command[0].replace("gcc", "size"))
    files["total"] = {part: sum(found[part] for name, found in files.items() if name not in HOST_ONLY) for part in PARTS}
    return {f"object.{target}.{name}.{part}": found[part] for name, found in files.items() for part in PARTS}


def module_sizes(build: Path) -> Numbers:
    """mpy.armv7m.FILE, bytes of each .mpy file in `build`, and mpy.armv7m.PART, bytes of what was linked into them.

    Empty if there is none. Raises CannotMeasure.
    """
    files = sorted(build.glob("mpy/armv7m_*/*.mpy"))
    numbers = {f"mpy.armv7m.{file.stem}": file.stat().st_size for file in files}
    objects = sorted(build.glob("natmod/armv7m/*.o"))
    if files and objects and shutil.which("arm-none-eabi-size"):
        found = sections_of(objects, "arm-none-eabi-size").values()
        numbers |= {f"mpy.armv7m.{part}": sum(row[part] for row in found) for part in PARTS}
    return numbers


def measure(build: Path) -> Numbers:
    """All numbers that can be had here: those of armv7m need its compiler, those of .mpy files a build. Raises CannotMeasure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = region_sizes(folder)
        for target, command in TARGETS.items():
            if target == "host" or shutil.which(command[0]):
                numbers |= object_sizes(target, folder)
    return numbers | module_sizes(build)


def exceeded(numbers: Mapping[str, int], ceilings: Mapping[str, int]) -> list[str]:
    """A line for each number that is above its ceiling. Raises CannotMeasure for a ceiling of no number."""
    missing = sorted(set(ceilings) - set(numbers))
    if missing:
        raise CannotMeasure(f"there is a ceiling but no number called {', '.join(missing)}")
    return [
        f"{name} has {numbers[name]} bytes, {numbers[name] - ceiling} more than its ceiling of {ceiling}"
        for name, ceiling in ceilings.items()
        if numbers[name] > ceiling
    ]


def table(numbers: Mapping[str, int], ceilings: Mapping[str, int]) -> str:
    """The numbers for reading; an object's three parts are in one row."""
    lines = []

    def row(label: str, *cells: object, note: str = "") -> None:
        lines.append((f"{label:<36}" + "".join(f"{cell:>9}" for cell in cells) + note).rstrip())

    def ceiling(*names: str) -> str:
        whose = {name: f" of {name.rpartition('.')[2]}" if len(names) > 1 else "" for name in names}
        return "".join(f"   ceiling{whose[name]} {ceilings[name]}" for name in names if name in ceilings)

    row("region", "bytes")
    for name, number in numbers.items():
        kind, *rest = name.split(".")
        if kind == "region":
            row(f"  {rest[0]}" if len(rest) == 1 else f"    {rest[1]}", number, note=ceiling(name))
    for target, command in TARGETS.items():
        lines.append("")
        prefix = f"object.{target}."
        files = [name.removeprefix(prefix).removesuffix(".text") for name in numbers if name.startswith(prefix) and name.endswith(".text")]
        row(f"core for {target}, -Os", *PARTS)
        for file in files:
            names = [f"{prefix}{file}.{part}" for part in PARTS]
            label = "total of a device" if file == "total" else file
            row(f"  {label}", *(numbers[name] for name in names), note=ceiling(*names))
        if not files:
            lines.append(f"  not measured: {command[0]} is not there")
    lines.append("")
    row("native module for armv7m", "bytes")
    module = [name for name in numbers if name.startswith("mpy.")]
    for name in module:
        last = name.rpartition(".")[2]
        row(f"  {last} of what is linked" if last in PARTS else f"  {last}.mpy", numbers[name], note=ceiling(name))
    if not module:
        lines.append("  not measured: `make natmod` builds it")
    return "\n".join(lines)


def ceiling_argument(text: str) -> tuple[str, int]:
    """(name, bytes) of NAME=BYTES. Raises argparse.ArgumentTypeError."""
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=BYTES, as region.micro=6144")
    return name, int(number)


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, writes the JSON and answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder that holds mpy/ and natmod/ (default: build/)")
    parser.add_argument("--json", type=Path, help="file for the numbers (default: size.json in the build folder)")
    parser.add_argument(
        "--ceiling",
        type=ceiling_argument,
        action="append",
        default=[],
        metavar="NAME=BYTES",
        help="one more ceiling, or another for a name that has one; names are those of the JSON",
    )
    args = parser.parse_args(arguments)
    target = args.json or args.build / "size.json"
    ceilings = CEILINGS | dict(args.ceiling)
    try:
        numbers = measure(args.build)
        above = exceeded(numbers, ceilings)
    except CannotMeasure as error:
        print(f"size: {error}", file=sys.stderr)
        return 2
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    print(table(numbers, ceilings))
    for line in above:
        print(f"size: {line}", file=sys.stderr)
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
