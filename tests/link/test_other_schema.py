"""Firmware that was generated from another spec is refused when it says hello, with both hashes and what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import feagi_state
from boards_by_cli import until
from common import ROOT
from feagi_state import spec
from feagi_state.boards import Board, find_board
from feagi_state.emulator import start_board


@pytest.fixture(scope="module")
def other_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a native module for x64 whose spec names one event kind differently."""
    root = tmp_path_factory.mktemp("other")
    shutil.copytree(ROOT / "firmware", root / "firmware")
    shutil.copytree(ROOT / "shared_spec", root / "shared_spec", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "host").mkdir()
    shutil.copy(ROOT / "host" / "pyproject.toml", root / "host")  # has the version
    text = (root / "shared_spec" / "spec.toml").read_text()
    assert text.count("AGENT_DEREGISTERED = 4") == 1
    (root / "shared_spec" / "spec.toml").write_text(text.replace("AGENT_DEREGISTERED = 4", "AGENT_DEREGISTERED = 5"))
    subprocess.run([sys.executable, root / "shared_spec" / "generate.py"], check=True, capture_output=True)
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    bin_dir = Path(sys.executable).parent
    command = ["make", "-f", f"{root}/firmware/micropython/natmod.mk", "ARCH=x64", f"MPY_DIR={mpy_dir}", f"PYTHON={sys.executable}"]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    done = subprocess.run(
        [*command, f"MPY_CROSS={bin_dir}/mpy-cross"], capture_output=True, text=True, env={**environment, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "build" / "mpy" / "x64_6.3"


@pytest.fixture
def other_board(other_module: Path) -> Board:
    """The board "unix" with that module."""
    board = find_board("unix")
    path = tuple(other_module if entry.name == "x64_6.3" else entry for entry in board.path)
    assert other_module in path
    return replace(board, path=path)


def test_a_board_with_another_schema_is_refused_with_both_hashes(other_board: Board) -> None:
    with start_board(other_board, name=f"other-{os.getpid()}") as running, pytest.raises(feagi_state.SchemaMismatch) as refused:
        feagi_state.connect(running.link_port, timeout_s=10)
    message = str(refused.value)
    hashes = set(re.findall(r"0x[0-9a-f]{8}", message))
    assert f"0x{spec.SCHEMA_HASH:08x}" in hashes and len(hashes) == 2, message
    assert "\n" not in message
    assert "same" in message or "install" in message or "version" in message, message


def test_a_board_that_is_flashed_with_another_schema_is_live_again_once_it_has_the_right_one(other_board: Board) -> None:
    with start_board(find_board("unix"), name=f"flashed-{os.getpid()}") as running, feagi_state.connect(running.link_port, timeout_s=20) as device:
        right, session = running.board, device.link.session
        running.board = other_board
        running.restart()
        until(lambda: isinstance(device.problem, feagi_state.SchemaMismatch), 20, "the mismatch is known")
        assert device.stale
        with pytest.raises(feagi_state.SchemaMismatch):
            device.set("memory_usage", 1)
        running.board = right
        running.restart()
        device.wait_live(20)
        assert device.link.session != session and device.problem is None
        theirs, ours = device.digest()
        assert theirs == ours
