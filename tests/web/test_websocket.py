"""Real MicroPython on an emulated board, a host that serves it to browsers, and the package feagi-state at the other end of the WebSocket,
in Node and in headless Chromium."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from host.cli_process import Cli

from common import ROOT, emulated_boards
from feagi_state.boards import find_board
from feagi_state.emulator import start_board

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0


@contextmanager
def following(*arguments: str | Path) -> Iterator[Iterator[dict[str, Any]]]:
    """What run_websocket.mjs says, as it says it."""
    command = ["node", ROOT / "tests" / "web" / "run_websocket.mjs", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()

    def told() -> Iterator[dict[str, Any]]:
        assert process.stdout is not None and process.stderr is not None
        yield from map(json.loads, process.stdout)
        raise AssertionError(f"it ended: {process.stderr.read()}")

    try:
        yield told()
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("where", ["node", "chromium"])
@pytest.mark.parametrize("name", emulated_boards(lambda board: board.name in ("unix", "qemu_m3")))
def test_a_browser_follows_a_board_through_a_host(name: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))
    cli = Cli(tmp_path / "run")
    with ExitStack() as stack:
        with start_board(find_board(name)):
            serving = cli.start("serve", name, "--json", "--http-at", "0")
            url = json.loads(serving.until("url"))["url"]
            serving.until('"live"')
            profile = [tmp_path / "profile"] if where == "chromium" else []
            told = stack.enter_context(following(url, *profile))
            ready = next(told)
        stale = next(told)  # it was unplugged
        with start_board(find_board(name)):
            live = next(told)
            assert serving.end() == 0
            ended = next(told)

    assert ready["boards"] == [{"name": name, "state": "LIVE", "url": f"/boards/{name}", "problem": None}]
    assert (ready["name"], ready["profile"], ready["unix_time"], ready["same"]) == (name, "micro", True, True)
    assert (ready["set"], ready["refused"]) == ([4096, 4100, 5.5], "InvalidField")
    assert ready["agents"] > 0
    assert stale["set"] in ("CommandTimeout", "SessionLost")
    assert live["naks"] == 0
    assert ended["closed"]["code"] == 1001 and ended["again"].startswith("LinkError: no WebSocket at ws://127.0.0.1")
    assert [state for state in ended["states"] if state in ("LIVE", "STALE")] == ["LIVE", "STALE", "LIVE", "STALE"]
    if where == "chromium":
        assert ready["isolated"] is True


def test_the_demo_has_a_page_too(tmp_path: Path) -> None:
    done = Cli(tmp_path / "run").run("demo", "--json", "--seconds", "1", "--http-at", "0")
    assert done.returncode == 0 and "\npage: http://127.0.0.1:" in done.stderr, done.stderr
