"""The module on MicroPython's unix port, every bit of saved states included. On emulated CPUs and real boards: tests/hil."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import VECTORS
from feagi_state.boards import find_board
from scripts import FOLDER, SCRIPTS, assert_all_passed, program_of


@pytest.mark.parametrize("script", SCRIPTS)
def test_native_module_on_the_unix_port(script: str, tmp_path: Path) -> None:
    path = ":".join([".frozen", *map(str, find_board("unix").path), str(FOLDER)])
    command = [str(Path(sys.executable).parent / "micropython"), "-c", program_of(script, str(VECTORS), 1)]
    environment = {**os.environ, "MICROPYPATH": path}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert_all_passed(script, done.stdout + done.stderr)
