"""Programs for Xtensa, and the native module for it: built and run on a CPU that qemu-xtensa emulates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import CORE, PORT, ROOT, WARNINGS, CannotRun, run

HERE = ROOT / "tests" / "xtensa"
COMPILER = [sys.executable, str(ROOT / "firmware" / "micropython" / "xtensawin_gcc.py")]
FLAGS = ["-std=c99", "-Os", "-fpic", "-ffreestanding", "-fno-tree-loop-distribute-patterns", *WARNINGS, f"-I{CORE}", f"-I{PORT}"]
MPY = ROOT / "build" / "mpy" / "xtensawin_6.3" / "feagi_state.mpy"


def build(*command: str | Path) -> None:
    done = run(*command)
    if done.returncode:
        raise CannotRun(f"{' '.join(map(str, command))}\n{done.stderr}")


def compiled(source: Path, folder: Path, *flags: str) -> Path:
    """The source's object file. Raises CannotRun with what the compiler says."""
    target = folder / f"{source.stem}.o"
    build(*COMPILER, *FLAGS, *flags, "-c", source, "-o", target)
    return target


def linked(objects: list[Path], program: Path) -> Path:
    """The program. Raises CannotRun with what the linker says."""
    build("xtensa-lx106-elf-ld", "--no-relax", "-o", program, *objects)
    return program


def build_stub(folder: Path) -> Path:
    """The program by which xtensa/run.py commands the CPU. Raises CannotRun."""
    return linked([compiled(HERE / "stub.c", folder)], folder / "stub")


def run_script(stub: Path, folder: Path, script: str, *arguments: Any) -> str:
    """What the run() of a script of tests/micropython/ prints with the module that boards load, run in `folder`. Raises CannotRun."""
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    done = run(sys.executable, HERE / "run.py", stub, mpy_dir, MPY.parent, script, *map(repr, arguments), cwd=folder)
    return done.stdout + done.stderr
