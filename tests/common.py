"""What tests share: where things are, the flags of our C, and the emulated boards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feagi_state.boards import Board, known_boards

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
VECTORS = ROOT / "shared_spec" / "vectors"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]


def emulated_boards(which: Callable[[Board], bool] = lambda board: True) -> list[Any]:
    """Names of the emulated boards for which `which` holds, as values for `parametrize` with the marks that they need."""
    return [
        pytest.param(board.name, marks=[pytest.mark.qemu] if board.how == "qemu" else [])
        for board in known_boards().values()
        if board.emulated and which(board)
    ]


def has_own_repl(board: Board) -> bool:
    """Whether the REPL has a port beside the link's, so that both can be used at once."""
    return any(port.repl and not port.frames for port in board.serial)


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
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build / "firmware.elf"
