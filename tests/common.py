"""What tests share: where things are, how our C is compiled, how programs are run, and the emulated boards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import pytest

from feagi_state import spec
from feagi_state.boards import Board, known_boards

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
VECTORS = ROOT / "shared_spec" / "vectors"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
# What tests/core/vectors.c wants to know of the spec.
FIELD_NAMES = "-DFIELD_NAMES=" + ",".join(f'"{name}"' for name in spec.CORE_FIELDS)


class CannotRun(Exception):
    """A compiler, emulator or program failed, was not there, or printed something else than expected."""


def run(
    *command: str | Path, timeout: float = 170, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What the command did, with these variables besides its own. Raises CannotRun if it is not there or takes longer (seconds)."""
    options: dict[str, Any] = {"cwd": cwd, "env": {**os.environ, **(environment or {})}, "timeout": timeout}
    try:
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    except FileNotFoundError as error:
        raise CannotRun(f"{command[0]} is not there") from error
    except subprocess.TimeoutExpired as error:
        raise CannotRun(f"{' '.join(map(str, command))}: not done after {timeout} s; it said {error.stdout!r}") from error


def compile_core(source: Path, folder: Path, *flags: str, core: Path = CORE, compiler: str = "gcc") -> Path:
    """A program in `folder` of the source and the whole core. Raises CannotRun with what the compiler says."""
    program = folder / source.stem
    command = [compiler, "-std=c11", "-O1", *WARNINGS, f"-I{core}", f"-I{PORT}", *flags, source, *sorted(core.glob("*.c")), "-o", program]
    done = run(*command)
    if done.returncode:
        raise CannotRun(f"{' '.join(map(str, command))}\n{done.stderr}")
    return program


def emulated_boards(which: Callable[[Board], bool] = lambda board: True) -> list[Any]:
    """Names of the emulated boards for which `which` holds, as values for `parametrize` with the marks that they need."""
    return [
        pytest.param(board.name, marks=[pytest.mark.qemu] if board.how == "qemu" else [])
        for board in known_boards().values()
        if board.emulated and which(board)
    ]


def build_firmware(board: str, name: str, user_c_modules: Path) -> Path:
    """Builds an emulated board's firmware with these modules inside, and returns it."""
    build = ROOT / "build" / "firmware" / name
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    tools = Path(sys.executable).parent
    command = ["make", "-C", f"{mpy_dir}/ports/qemu", "-j2", f"BOARD={board}", f"BOARD_DIR={ROOT}/boards/{board}", f"BUILD={build}"]
    command += [f"MICROPY_MPYCROSS={tools}/mpy-cross", "FROZEN_MANIFEST=", f"USER_C_MODULES={user_c_modules}"]
    # Without the flags of the make that may have started these tests: its targets are not this one's.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    build.mkdir(parents=True, exist_ok=True)
    with (build / "lock").open("w") as lock:  # tests may run at the same time
        flock(lock, LOCK_EX)
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build / "firmware.elf"
