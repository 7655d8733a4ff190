#!/usr/bin/env python3
"""Says how many bytes the state takes, and how many instructions its calls: regions and their sections, the core's objects and
calls on each kind of CPU, the native module for each architecture, the page in a browser, and reads by a program in Python.

All of it is measured: by a program that asks the core, in object files, and by calls.py on emulated CPUs. Writes the numbers, flat
names to bytes or instructions, as JSON. Exit status: 0, 1 if a number is above its ceiling, 2 if something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attributes
import calls
import tomllib
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from common import CannotRun
from feagi_state.boards import find_board

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
PAGE = ROOT / "host" / "web" / "page"
INCLUDES = [f"-I{CORE}", f"-I{PORT}"]

# What a number may be. Regions that fit these leave room on the boards that the profiles are for.
# The page is what a browser loads besides the package.
CEILINGS = {"region.tiny": 2 * 1024, "region.micro": 6 * 1024, "web.page": 100 * 1024}
# The same for modules, each where it was built.
MODULE_CEILINGS = {
    "mpy.armv6m.text": 13_600,
    "mpy.armv7m.text": 13 * 1024,
    "mpy.armv7emsp.text": 13 * 1024,
    "mpy.armv7emdp.text": 13 * 1024,
    "mpy.rv32imc.text": 14_600,
    "mpy.xtensawin.text": 13_600,
}
# What reads in Python may cost, in percent of another read.
READ_CEILINGS = {
    "read.attribute.percent_of_array_item": 100,
    "read.attribute.percent_of_uctypes_field": 60,
    "read.core_block.percent_of_attribute": 300,
}
# And for a device's link on a Cortex-M3. 3072 bytes of code were aimed at and are not reached: a line with a prompt has frames of
# its own.
LINK_CEILINGS = {
    "link.armv7m.text": 4400,
    "link.armv7m.ram": 640,
    "call.armv7m.one_word_delta.instructions": 700,
    "call.armv7m.receive_longest.instructions": 35 * 128,  # 35 a byte
    "call.armv7m.poll_of_most.instructions": 80_000,
}
LINK_FILES = ("feagi_crc", "feagi_frame", "feagi_link", "feagi_link_delta", "feagi_link_receive")

# Without the checks that the host's compiler would add.
HOST = ["gcc", "-DFEAGI_PORT_SHARED=1", "-D_GNU_SOURCE", "-fno-stack-protector"]
TARGETS = {"host": HOST} | {name: list(cpu.compiler) for name, cpu in calls.CPUS.items()}
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


def sections_of(file: Path) -> Numbers:
    """text, data and bss in bytes of an object file. Tables for exceptions, which some hosts have, are not counted."""
    found = dict.fromkeys(PARTS, 0)
    with file.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != ".eh_frame":
                writable = section["sh_flags"] & SH_FLAGS.SHF_WRITE
                part = "bss" if section["sh_type"] == "SHT_NOBITS" else "data" if writable else "text"
                found[part] += section["sh_size"]
    return found


def object_sizes(target: str, folder: Path) -> Numbers:
    """object.TARGET.FILE.PART in bytes for every file of the core, and `total` of those that a device has.

    `folder` is for the objects. Raises CannotMeasure.
    """
    sources = sorted(CORE.glob("*.c"))
    place = folder / target
    place.mkdir()
    run(*TARGETS[target], *calls.FLAGS, *INCLUDES, "-c", *sources, cwd=place)
    files = {source.stem: sections_of(place / f"{source.stem}.o") for source in sources}
    files["total"] = {part: sum(found[part] for name, found in files.items() if name not in calls.HOST_ONLY) for part in PARTS}
    return {f"object.{target}.{name}.{part}": found[part] for name, found in files.items() for part in PARTS}


def link_sizes(target: str, folder: Path, text: Numbers) -> Numbers:
    """link.TARGET.text, of the files that frames and link are, and link.TARGET.ram, with the marks of profile micro. `text`: what
    object_sizes says. Raises CannotMeasure.
    """
    program = folder / f"ram_{target}.o"
    run(*TARGETS[target], *calls.FLAGS, *INCLUDES, "-c", HERE / "ram.c", "-o", program)
    with program.open("rb") as stream:
        lengths = {symbol.name: symbol["st_size"] for symbol in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()}
    code = sum(text[f"object.{target}.{file}.text"] for file in LINK_FILES)
    return {f"link.{target}.text": code, f"link.{target}.ram": lengths["link"] + lengths["dirty_micro"]}


def module_sizes(build: Path) -> Numbers:
    """Of the native modules in `build`: mpy.ARCH.feagi_state, bytes of the file; mpy.ARCH.text, bytes of its machine code and
    constants as the linker says, and mpy.ARCH.bss. Of feagi_files the same as mpy.ARCH.feagi_files and mpy.ARCH.feagi_files.PART.

    Empty if there is none.
    """
    numbers: Numbers = {}
    for file in sorted(build.glob("mpy/*_6.3/*.mpy"), reverse=True):
        arch, module = file.parent.name.removesuffix("_6.3"), file.stem
        numbers[f"mpy.{arch}.{module}"] = file.stat().st_size
        said = build / "natmod" / arch / module / "native.sizes"
        if said.exists():
            found = {part: int(number) for part, number in re.findall(r"^(\w+) size: +(\d+)$", said.read_text(), re.MULTILINE)}
            name = f"mpy.{arch}" if module == "feagi_state" else f"mpy.{arch}.{module}"
            numbers |= {f"{name}.text": found["text"] + found.get("rodata", 0), f"{name}.bss": found.get("bss", 0)}
    return numbers


def call_costs(target: str) -> Numbers:
    """call.TARGET.FUNCTION.instructions of the slowest call, and .section: those of its longest critical section. Raises CannotMeasure."""
    try:
        costs = calls.measure(target)
    except calls.CannotCount as error:
        raise CannotMeasure(str(error)) from error
    numbers: Numbers = {}
    for name, cost in costs.items():
        numbers |= {f"call.{target}.{name}.instructions": cost.instructions, f"call.{target}.{name}.section": cost.section}
    return numbers


def read_costs() -> Numbers:
    """read.WHAT.instructions of a statement on the emulated Cortex-M3, and what READ_CEILINGS name. Empty if its firmware was not
    built. Raises CannotMeasure.
    """
    board = find_board("qemu_m3")
    if board.firmware is None or not board.firmware.exists() or not board.module.exists() or not shutil.which(board.command):
        return {}
    try:
        costs = attributes.measure(board)
    except CannotRun as error:
        raise CannotMeasure(str(error)) from error
    numbers = {f"read.{what}.instructions": cost for what, cost in costs.items()}
    for name in READ_CEILINGS:
        _, what, relation = name.split(".")
        numbers[name] = round(100 * costs[what] / costs[relation.removeprefix("percent_of_")])
    return numbers


def page_size() -> Numbers:
    """web.page, bytes of the page's files."""
    return {"web.page": sum(file.stat().st_size for file in PAGE.iterdir())}


def measure(build: Path) -> Numbers:
    """All numbers that can be had here: CPUs need their compilers and emulators, .mpy files a build. Raises CannotMeasure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = region_sizes(folder)
        numbers |= object_sizes("host", folder)
        for target, cpu in calls.CPUS.items():
            if shutil.which(cpu.linker[0]):
                numbers |= object_sizes(target, folder)
                if target == "armv7m":
                    numbers |= link_sizes(target, folder, numbers)
            if not calls.missing(cpu):
                numbers |= call_costs(target)
    return numbers | module_sizes(build) | page_size() | read_costs()


def exceeded(numbers: Mapping[str, int], ceilings: Mapping[str, int]) -> list[str]:
    """A line for each number that is above its ceiling. Raises CannotMeasure for a ceiling of no number."""
    missing = sorted(set(ceilings) - set(numbers))
    if missing:
        raise CannotMeasure(f"there is a ceiling but no number called {', '.join(missing)}")
    return [
        f"{name} is {numbers[name]}, {numbers[name] - ceiling} more than its ceiling of {ceiling}"
        for name, ceiling in ceilings.items()
        if numbers[name] > ceiling
    ]


def table(numbers: Mapping[str, int], ceilings: Mapping[str, int]) -> str:
    """The numbers for reading."""
    lines = []

    def row(label: str, *cells: object, note: str = "") -> None:
        lines.append((f"{label:<34}" + "".join(f"{cell:>13}" for cell in cells) + note).rstrip())

    def cell(name: str) -> object:
        return numbers.get(name, "-")

    def ceiling(name: str) -> str:
        return f"   ceiling {ceilings[name]}" if name in ceilings else ""

    def parts_of(kind: str, place: int) -> list[str]:
        """The different words at a place of the names of a kind, in their order."""
        return list(dict.fromkeys(name.split(".")[place] for name in numbers if name.startswith(f"{kind}.")))

    row("region", "bytes")
    for name, number in numbers.items():
        kind, *rest = name.split(".")
        if kind == "region":
            row(f"  {rest[0]}" if len(rest) == 1 else f"    {rest[1]}", number, note=ceiling(name))
    lines.append("")
    row("core, bytes of code with -Os", *TARGETS)
    for file in parts_of("object", 2):
        row("  total of a device" if file == "total" else f"  {file}", *(cell(f"object.{target}.{file}.text") for target in TARGETS))
    lines.append("")
    row("core, instructions of a call", *calls.CPUS)
    row("  (in a critical section)")
    for call in parts_of("call", 2):
        names = [f"call.{target}.{call}" for target in calls.CPUS]
        row(f"  {call}", *(f"{cell(f'{name}.instructions')} ({cell(f'{name}.section')})" for name in names))
    lines.append("")
    row("a link on the M3", "number")
    for name in LINK_CEILINGS:
        if name in numbers:
            row(f"  {name.split('.')[2] if name.startswith('call') else name.split('.')[2] + ', bytes'}", numbers[name], note=ceiling(name))
    lines.append("")
    row("native module, bytes", "file", "text", "bss")
    for arch in parts_of("mpy", 1):
        row(f"  {arch}", *(cell(f"mpy.{arch}.{part}") for part in ("feagi_state", "text", "bss")), note=ceiling(f"mpy.{arch}.text"))
    lines.append("")
    row("page in a browser", numbers["web.page"], note=ceiling("web.page"))
    lines.append("")
    row("a read in Python, on the M3", "instructions")
    for name in numbers:
        kind, _, rest = name.partition(".")
        if kind == "read":
            row(f"  {rest.removesuffix('.instructions').replace('.', ', ').replace('_', ' ')}", numbers[name], note=ceiling(name))
    missing = [name for cpu in calls.CPUS.values() for name in calls.missing(cpu)]
    if missing:
        lines.append(f"not measured for want of {', '.join(dict.fromkeys(missing))}")
    if not parts_of("mpy", 1):
        lines.append("  native modules were not measured: `make natmod` builds them")
    if not parts_of("read", 1):
        lines.append("  reads in Python were not measured: `make firmware BOARD=qemu_m3` builds the firmware")
    return "\n".join(lines)


def ceiling_argument(text: str) -> tuple[str, int]:
    """(name, number) of NAME=NUMBER. Raises argparse.ArgumentTypeError."""
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=NUMBER, as region.micro=6144")
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
        metavar="NAME=NUMBER",
        help="one more ceiling, or another for a name that has one; names are those of the JSON",
    )
    args = parser.parse_args(arguments)
    target = args.json or args.build / "size.json"
    try:
        numbers = measure(args.build)
        optional = {name: ceiling for name, ceiling in (MODULE_CEILINGS | LINK_CEILINGS | READ_CEILINGS).items() if name in numbers}
        ceilings = CEILINGS | optional | dict(args.ceiling)
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
