"""The package feagi-state linked with real MicroPython on emulated boards, over a pty with the face of a SerialPort: a board with a line
of its own for frames, and boards that share it with the prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from common import ROOT, emulated_boards, run
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard, start_board

pytestmark = pytest.mark.slow
BOARDS = emulated_boards(lambda board: board.name in ("unix", "qemu_m0", "qemu_m3"))


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """Each board once: hosts come and go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with start_board(find_board(request.param)) as running:
            yield running


def node(script: str, board: EmulatedBoard) -> str:
    """What a script of this folder prints about a board."""
    done = run("node", ROOT / "tests" / "web" / script, board.link_port, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_mirror_in_javascript_follows_a_board(board: EmulatedBoard) -> None:
    found = json.loads(node("run_link.mjs", board))
    assert (found["name"], found["profile"]) == (board.name, "micro")
    assert found["unix_time"] is True
    assert found["agents"]
    assert found["states"] == ["LIVE", "STALE", "CLOSED"]
    assert found["counters"]["sessions"] >= 1 and found["counters"]["deltas"] > 3
    assert found["snapshot"] == 2848


def test_a_link_goes_on_with_another_port_and_leaves_signals_alone(board: EmulatedBoard) -> None:
    node("run_ports.mjs", board)
