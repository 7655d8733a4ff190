"""The scripts of tests/micropython/ on real MicroPythons: the unix port and boards in QEMU."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from common import ROOT, CannotRun, run
from feagi_state.boards import Board, find_board
from feagi_state.emulator import EmulatedBoard, Program, start_board

FOLDER = ROOT / "tests" / "micropython"
# Script -> what to call in it, and how many checks it makes at least.
SCRIPTS = {"run_vectors": ("run({folder!r})", 690), "check_module": ("run()", 99), "check_files": ("run({every})", 68)}


@dataclass(frozen=True)
class Counted:
    """The end of what a script printed."""

    ran: int
    failed: int
    skipped: tuple[str, ...]  # lines that say what there was no room for


def counted(output: str) -> Counted:
    """What the script counted. Raises CannotRun with the output of one that did not come to its end."""
    match = re.search(r"^(\d+) checks, (\d+) failed", output, re.MULTILINE)
    if match is None:
        raise CannotRun(f"there is no closing count in:\n{output}")
    return Counted(int(match[1]), int(match[2]), tuple(line for line in output.splitlines() if line.startswith("skipped:")))


def program_of(script: str, folder: str, every: int) -> str:
    """Code that runs the script. Vectors are in `folder`; of so many bits one is flipped."""
    return f"import {script}; {script}.{SCRIPTS[script][0].format(folder=folder, every=every)}"


def assert_all_passed(script: str, output: str, may_skip: str = "nothing") -> None:
    """Of the regions those of one profile may have had no room."""
    count = counted(output)
    assert count.failed == 0, output
    assert count.ran >= SCRIPTS[script][1]
    assert all(f"profile {may_skip} " in line for line in count.skipped), output


def run_on_unix(code: str, folder: Path) -> str:
    """What the code prints on MicroPython's unix port, run in `folder` with module and scripts at hand."""
    path = ":".join([".frozen", *map(str, find_board("unix").path), str(FOLDER)])
    done = run(Path(sys.executable).parent / "micropython", "-c", code, cwd=folder, environment={"MICROPYPATH": path}, timeout=60)
    return done.stdout + done.stderr


def start_quiet(board: Board, folder: Path, *files: Path) -> EmulatedBoard:
    """The board with these files on it and nothing running. `folder` is for its program and gives it its name."""
    main = folder / "main.py"
    main.write_text("")
    return start_board(board, program=Program(main, files), name=f"{folder.name}-{os.getpid()}")


def run_on(board: EmulatedBoard, code: str, *before: str) -> str:
    """What the code prints, run after these commands of mpremote or as the board is."""
    port = os.path.realpath(board.repl_port or board.link_port)
    done = run(sys.executable, "-m", "mpremote", "connect", port, *(before or ["resume"]), "exec", code, timeout=120)
    return done.stdout + done.stderr
