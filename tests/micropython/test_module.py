"""The module on MicroPython's unix port, every bit of saved states included. On emulated CPUs and real boards: tests/hil."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_scripts import SCRIPTS, assert_all_passed, program_of, run_on_unix

from common import VECTORS


@pytest.mark.parametrize("script", SCRIPTS)
def test_native_module_on_the_unix_port(script: str, tmp_path: Path) -> None:
    assert_all_passed(script, run_on_unix(program_of(script, str(VECTORS), 1), tmp_path))
