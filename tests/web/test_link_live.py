"""The package feagi-state linked with real MicroPython on emulated boards, over a pty with the face of a SerialPort: a board with a line
of its own for frames, and boards that share it with the prompt. And in Chromium over its own Web Serial.

Chromium lists serial ports by what the system says of its devices. In a private mount namespace a pty lies over one of them, and a policy
lets the test's page have it without a person who chooses: see serial_namespace.sh.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common import ROOT, emulated_boards, run
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard, start_board
from pty_proxy import PtyProxy

pytestmark = pytest.mark.slow
HERE = ROOT / "tests" / "web"
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
LIVE_MS = 20_000  # for a machine that does other things as well
STALE_MS = 2000  # what is promised
ON_BOARDS = pytest.mark.parametrize("board", emulated_boards(lambda board: board.name in ("unix", "qemu_m0", "qemu_m3")), indirect=True, scope="module")
# The others get their program by the line that the link has, when they are started again.
ON_BOARDS_BEHIND_A_CABLE = pytest.mark.parametrize("board", emulated_boards(lambda board: board.name in ("unix", "qemu_m3")), indirect=True, scope="module")


@pytest.fixture(scope="module")
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """Each board once: hosts come and go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with start_board(find_board(request.param)) as running:
            yield running


def node(script: str, board: EmulatedBoard) -> str:
    """What a script of this folder prints about a board."""
    done = run("node", HERE / script, board.link_port, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


@ON_BOARDS
def test_a_mirror_in_javascript_follows_a_board(board: EmulatedBoard) -> None:
    found = json.loads(node("run_link.mjs", board))
    assert (found["name"], found["profile"]) == (board.name, "micro")
    assert found["unix_time"] is True
    assert found["agents"]
    assert found["states"] == ["LIVE", "STALE", "CLOSED"]
    assert found["counters"]["sessions"] >= 1 and found["counters"]["deltas"] > 3
    assert found["snapshot"] == 2848


@ON_BOARDS
def test_a_link_goes_on_with_another_port_and_leaves_signals_alone(board: EmulatedBoard) -> None:
    node("run_ports.mjs", board)


# ---- Web Serial


def unused_tty() -> str:
    """The name of the last virtual console, which nobody looks at. Skips where there is none."""
    consoles = Path("/sys/class/tty/console/active").read_text().split() + Path("/sys/class/tty/tty0/active").read_text().split()
    found = [n for n in range(63, 20, -1) if Path(f"/sys/class/tty/tty{n}").exists() and Path(f"/dev/tty{n}").exists()]
    free = [f"tty{n}" for n in found if f"tty{n}" not in consoles]
    if not free:
        pytest.skip("no device that a pty could be bound over: this system has no unused virtual console tty21 to tty63")
    return free[0]


class Page:
    """A page in Chromium, in a namespace in which it lists one serial port."""

    def __init__(self, folder: Path) -> None:
        for name in ("etc", "profile"):
            (folder / name).mkdir()
        tty = unused_tty()
        script = ["sh", HERE / "serial_namespace.sh", folder / "etc", tty, "node", HERE / "run_serial.mjs", folder / "profile", tty]
        self._process = subprocess.Popen([*NAMESPACE, *script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None and self._process.stderr is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(self._process.stderr.read())

    def do(self, *words: object) -> Any:
        """A step of run_serial.mjs or serial_in_page.mjs; its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None and self._process.stderr is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, self._process.stderr.read()
        return json.loads(answer)

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all boards."""
    allowed = subprocess.run([*NAMESPACE, "mount", "--bind", "/dev/null", "/proc/tty/drivers"], capture_output=True, text=True)
    if allowed.returncode:
        pytest.skip(f"no private mount namespace here: {allowed.stderr.strip()}")
    page = Page(tmp_path_factory.mktemp("serial"))
    yield page
    page.close()


@ON_BOARDS_BEHIND_A_CABLE
def test_a_board_is_unplugged_plugged_in_and_reset_and_the_page_goes_on_by_itself(page: Page, board: EmulatedBoard) -> None:
    page.do("open")
    assert page.do("ports") == 1
    assert page.do("refuses") == "NetworkError"  # nothing is plugged in
    with PtyProxy(board.link_port) as cable:
        page.do("plug", cable.port)
        page.do("connect")
        first = page.do("live", LIVE_MS)
        assert (first["name"], first["prompt"]) == (board.name, False)
        page.do("follows")
        assert page.do("set", "fatigue_index", 30) == 30
    page.do("stale", STALE_MS)
    page.do("unplug")

    with PtyProxy(board.link_port) as cable:
        page.do("plug", cable.port)
        second = page.do("live", LIVE_MS)
        assert second["sessions"] > first["sessions"] and not second["prompt"], "the program was not interrupted"
        assert second["uptime"] > first["uptime"], "the board was not reset by the port that was opened"
        page.do("follows")

        board.kill()
        page.do("stale", STALE_MS)
        board.restart()
        third = page.do("live", LIVE_MS)
        assert third["sessions"] > second["sessions"] and third["uptime"] < second["uptime"] + LIVE_MS
        page.do("follows")
        digest = page.do("digest")
        assert digest["mirror"] in (digest["device"], None)
        assert page.do("close") == "CLOSED"

        assert re.fullmatch(r"LIVE 4096 \d+ agents", page.do("example"))
    page.do("unplug")
