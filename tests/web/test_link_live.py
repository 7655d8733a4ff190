"""The package feagi-state linked with real MicroPython on emulated boards, over a pty with the face of a SerialPort: a board with a line
of its own for frames, and boards that share it with the prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common import ROOT, emulated_boards, run
from feagi_state.boards import find_board
from feagi_state.emulator import start_board

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", emulated_boards(lambda board: board.name in ("unix", "qemu_m0", "qemu_m3")))
def test_a_mirror_in_javascript_follows_a_board(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    with start_board(find_board(name)) as board:
        done = run("node", ROOT / "tests" / "web" / "run_link.mjs", board.link_port, timeout=90)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["profile"]) == (name, "micro")
    assert found["unix_time"] is True
    assert found["agents"]
    assert found["states"] == ["LIVE", "STALE", "CLOSED"]
    assert found["counters"]["sessions"] >= 1 and found["counters"]["deltas"] > 3
    assert found["snapshot"] == 2848
