"""feagi_micropython.h: a C driver's interrupt and a Python program share one state, also over soft resets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common import ROOT, build_firmware
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard, Program, start_board

pytestmark = pytest.mark.qemu
HERE = Path(__file__).resolve().parent
Run = Callable[[str], dict[str, int]]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """Firmware of two modules: ours and the driver, in one folder as a firmware developer has them."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "feagi_state").symlink_to(ROOT / "firmware" / "micropython")
    (modules / "driver").symlink_to(HERE / "driver")
    firmware = build_firmware("qemu_m3", "qemu_m3_driver", modules)
    main = modules / "main.py"
    main.write_text("")
    program = Program(main, (HERE / "check_driver.py",))
    with start_board(replace(find_board("qemu_m3"), firmware=firmware), program=program, name=f"driver-{os.getpid()}") as running:
        yield running


@pytest.fixture
def run(board: EmulatedBoard) -> Run:
    def run(code: str) -> dict[str, int]:
        """Runs code on the board after a soft reset. Returns the numbers that it printed."""
        assert board.repl_port is not None
        command = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(board.repl_port), "exec", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: int(number) for name, number in re.findall(r"(\w+) (-?\d+)", done.stdout)}

    return run


def test_an_interrupt_writes_and_pushes_while_python_reads(run: Run) -> None:
    rounds = 20000
    said = run(f"import check_driver; check_driver.read_while_the_interrupt_writes({rounds}, 250)")
    assert said == {"torn": 0, "back": 0, "counted": rounds, "missing": 0}


def test_a_soft_reset_leaves_c_its_state_and_python_its_heap(run: Run) -> None:
    before = run("import check_driver as c; c.start_for_ever(); print('id', c.state.boot_id)")
    after = run("import check_driver as c; c.go_on(); print('id', c.state.boot_id)")
    assert after == {"damaged": 0, "ahead": 0, "agents": 1, "id": before["id"]}
