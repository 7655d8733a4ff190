#!/usr/bin/env python3
"""Counts the instructions of the core's calls, and of their critical sections, on emulated CPUs of boards.

calls.c makes every call that has a section, in its slowest case: tables full, changes tracked. QEMU runs it one instruction at a
time and says where each one was. A section goes from the instruction that keeps interrupts out to the one that lets them in again,
both counted; of nested ones the outermost counts.

Without arguments: prints them all. With --write: writes the sections' lengths into the headers of firmware/port/.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
# As firmware/micropython/natmod.mk, but for -fpic and what makes it smaller there: code of a firmware with the core in it.
FLAGS = ["-std=c99", "-Os", "-ffreestanding", "-fno-tree-loop-distribute-patterns"]
# Never on a device: natmod.mk leaves it out as well.
HOST_ONLY = {"feagi_mirror", "feagi_shared"}
CALLER = "calls"  # the function whose calls are counted
HANDLER = "on_illegal_instruction"


class CannotCount(Exception):
    """A compiler or emulator failed, or said something else than expected."""


@dataclass(frozen=True)
class Cpu:
    """How code for it is built and run, and which instructions begin and end a critical section."""

    title: str
    compiler: tuple[str, ...]
    linker: tuple[str, ...]
    objdump: tuple[str, ...]
    emulator: tuple[str, ...]  # without the program, which is its last argument
    locks: str
    unlocks: str


def bare(compiler: tuple[str, ...], code_at: int, memory_at: int) -> tuple[str, ...]:
    """Links for a machine without an operating system."""
    # 16 KiB of RAM are enough, and what the smallest machine has.
    places = {"--section-start=.start": code_at, "-Ttext": code_at + 0x100, "-Tbss": memory_at, "--defsym=stack_end": memory_at + 0x4000}
    return (*compiler, "-nostdlib", "-Wl,-e,start", *(f"-Wl,{option}={value:#x}" for option, value in places.items()))


MACHINE = ("-nographic", "-monitor", "none", "-serial", "none", "-kernel")


def cortex_m(title: str, cpu: str, machine: str) -> Cpu:
    compiler = ("arm-none-eabi-gcc", "-mthumb", f"-mcpu={cpu}")
    return Cpu(
        title,
        compiler=compiler,
        linker=bare(compiler, 0, 0x2000_0000),
        objdump=("arm-none-eabi-objdump", "-d", "-M", "force-thumb"),
        emulator=("qemu-system-arm", "-M", machine, "-semihosting", *MACHINE),
        locks=r"cpsid\s+i",
        unlocks=r"msr\s+PRIMASK",
    )


def xtensa(title: str, *flags: str) -> Cpu:
    # What the compiler for native modules makes, also for what only firmware has; as a program of Linux, see tests/xtensa/linux.h.
    return Cpu(
        title,
        compiler=(sys.executable, str(ROOT / "firmware" / "micropython" / "xtensawin_gcc.py"), "-fpic", *flags),
        linker=("xtensa-lx106-elf-ld", "--no-relax"),
        objdump=("xtensa-lx106-elf-objdump", "-d"),  # which does not know all instructions, but how long each is
        emulator=("qemu-xtensa", "-cpu", "dc233c"),
        locks=r"\trsil\s",
        unlocks=r"\trsync",
    )


RV32IMC = ("riscv64-unknown-elf-gcc", "-march=rv32imc_zicsr", "-mabi=ilp32", "-msmall-data-limit=0")
CPUS = {
    "armv6m": cortex_m("Cortex-M0", "cortex-m0", "microbit"),
    "armv7m": cortex_m("Cortex-M3", "cortex-m3", "mps2-an385"),
    "rv32imc": Cpu(
        "RV32IMC",
        compiler=RV32IMC,
        linker=bare(RV32IMC, 0x8000_0000, 0x8010_0000),
        objdump=("riscv64-unknown-elf-objdump", "-d", "-M", "no-aliases"),
        emulator=("qemu-system-riscv32", "-M", "virt", "-cpu", "rv32,a=false", "-bios", "none", *MACHINE),
        locks=r"csrrci\s+\w+,mstatus,8",
        unlocks=r"csrrs\s+zero,mstatus",
    ),
    "xtensawin": xtensa("one core"),
    "xtensawin_2": xtensa("two cores", "-DFEAGI_PORT_CORES=2", "-Wa,--mattr=+s32c1i,+prid"),
}
# A port's header, and the CPUs whose sections it states.
HEADERS = {PORT / "feagi_port_cortexm.h": ("armv6m", "armv7m"), PORT / "feagi_port_rv32.h": ("rv32imc",), PORT / "feagi_port_xtensa.h": ("xtensawin", "xtensawin_2")}


@dataclass(frozen=True)
class Cost:
    """Of the slowest call of a function."""

    instructions: int
    section: int  # its longest critical section, 0 if it has none


def missing(cpu: Cpu) -> list[str]:
    """The commands that counting on it needs and that are not there. A linker comes with its compiler."""
    return [command[0] for command in (cpu.linker, cpu.objdump, cpu.emulator) if not shutil.which(command[0])]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What the command prints. Raises CannotCount."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise CannotCount(f"{command[0]}: {error}") from error
    if done.returncode:
        raise CannotCount(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}".rstrip())
    return done.stdout


def build(cpu: Cpu, folder: Path, core: Path = CORE) -> Path:
    """The program for a CPU."""
    program = folder / "calls.elf"
    sources = [HERE / "calls.c", *(file for file in sorted(core.glob("*.c")) if file.stem not in HOST_ONLY)]
    run(*cpu.compiler, *FLAGS, f"-I{core}", f"-I{PORT}", "-c", *sources, cwd=folder)
    run(*cpu.linker, *(f"{source.stem}.o" for source in sources), "-o", program, cwd=folder)
    return program


def after(function: int, functions: Iterable[int]) -> int:
    """Where the next function begins."""
    return min(at for at in functions if at > function)


def count(cpu: Cpu, program: Path, folder: Path) -> dict[str, Cost]:
    """The cost of each function that CALLER calls."""
    log = folder / "trace"
    run(*cpu.emulator[:1], "-singlestep", "-d", "exec,nochain", "-D", log, *cpu.emulator[1:], program)

    listing = run(*cpu.objdump, program)
    places = {int(at, 16): text for at, text in re.findall(r"^ *([0-9a-f]+):[ \t](.*)$", listing, re.MULTILINE)}
    locks = {at for at, text in places.items() if re.search(cpu.locks, text)}
    unlocks = {at for at, text in places.items() if re.search(cpu.unlocks, text)}
    functions = {int(at, 16): name for at, name in re.findall(r"^([0-9a-f]+) <(\w+)>:$", listing, re.MULTILINE)}
    begin = next(at for at, name in functions.items() if name == CALLER)
    end = after(begin, functions)
    # What does privileged instructions in a program's stead is none of the calls.
    aside = next((range(at, after(at, functions)) for at, name in functions.items() if name == HANDLER), range(0))

    costs: dict[str, Cost] = {}
    name = None
    begun = False
    done = section = since = depth = 0
    with log.open() as trace:
        for line in trace:
            at = int(line.split("/")[1], 16)  # Trace 0: <address in QEMU> [<state>/<address>/<flags>/<flags>]
            if at in aside or at not in places:
                continue
            if begin <= at < end:
                begun = True
                # A lock that is a function is of a call that is inline.
                if name and not name.startswith(("feagi_port_", "prepare_")):
                    known = costs.get(name, Cost(0, 0))
                    costs[name] = Cost(max(known.instructions, done), max(known.section, section))
                    if depth:
                        raise CannotCount(f"{name} returns in a critical section")
                name, done, section = None, 0, 0
                continue
            if name is None and begun:
                name = functions.get(at)
            done += 1
            if at in locks:
                depth += 1
                since = done if depth == 1 else since
            elif at in unlocks:
                depth -= 1
                section = max(section, done - since + 1) if depth == 0 else section
    if not costs or not any(cost.section for cost in costs.values()):
        raise CannotCount(f"{program}: the trace shows no call with a critical section")
    return costs


def measure(target: str, core: Path = CORE) -> dict[str, Cost]:
    """The cost of each call on this CPU (a key of CPUS). Raises CannotCount."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return count(CPUS[target], build(CPUS[target], folder, core), folder)


# ---- What the headers state

TABLE = re.compile(r"(^// What interrupts wait for.*?\n//\n)(.*?)(?=^// \(end of the table\)$)", re.MULTILINE | re.DOTALL)


def stated(header: Path) -> dict[str, tuple[int, ...]]:
    """The sections' lengths that a port's header states: of each call, a number for each of its CPUs."""
    match = TABLE.search(header.read_text())
    if match is None:
        raise CannotCount(f"{header} has no table of critical sections")
    rows = re.findall(r"^//   (feagi_\w+)((?: +\d+)+)$", match[2], re.MULTILINE)
    return {name: tuple(map(int, numbers.split())) for name, numbers in rows}


def table(targets: tuple[str, ...], costs: dict[str, dict[str, Cost]]) -> str:
    """The table for a port's header."""
    lines = ["//   " + " " * 34 + "".join(f"{CPUS[target].title:>12}" for target in targets)]
    for name in sorted(costs[targets[0]]):
        lengths = [costs[target][name].section for target in targets]
        if any(lengths) and name.startswith("feagi_"):
            lines.append(f"//   {name:<34}" + "".join(f"{length:>12}" for length in lengths))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Prints, and answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the sections' lengths into the headers of firmware/port/")
    args = parser.parse_args()
    try:
        costs = {target: measure(target) for target in CPUS}
    except CannotCount as error:
        print(f"calls: {error}", file=sys.stderr)
        return 2
    print(" " * 34 + "".join(f"{cpu.title:>20}" for cpu in CPUS.values()) + "    instructions (in a critical section)")
    for name in sorted(costs["armv6m"]):
        cells = (f"{costs[target][name].instructions} ({costs[target][name].section})" for target in CPUS)
        print(f"{name:<34}" + "".join(f"{cell:>20}" for cell in cells))
    for header, targets in HEADERS.items() if args.write else ():
        header.write_text(TABLE.sub(rf"\g<1>{table(targets, costs)}", header.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
