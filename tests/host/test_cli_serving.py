"""`feagi-state serve` and `status`, and the other commands beside them, as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fake_device import FakeDevice, PtyDevice

CLI = Path(sys.executable).parent / "feagi-state"
PATIENCE_S = 60.0


class Cli:
    """The command line in a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "FEAGI_STATE_DIR": str(folder), "COLUMNS": "100"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CLI, *arguments], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )

    def start(self, *arguments: str) -> Background:
        return Background(self.environment, *arguments)


class Background:
    """A command that runs; `until` waits for a line of its output."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [CLI, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.watchdog = threading.Timer(PATIENCE_S, self.process.kill)
        self.watchdog.start()

    def until(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return line
        assert self.process.stderr is not None
        raise AssertionError(f"it ended without {text!r}: {self.process.stderr.read()}")

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE_S)
        self.watchdog.cancel()
        return self.process.returncode


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path / "run")


@pytest.fixture
def board():
    with PtyDevice(FakeDevice(77, "micro", "board")) as served:
        yield served


@pytest.fixture
def serving(cli, board):
    background = cli.start("serve", board.port)
    background.until("board: live")
    yield background
    background.end()


def test_set_works_while_another_process_serves(cli, board, serving):
    for target in ([], ["board"], [board.port]):
        done = cli.run("set", "neuron_count", str(5 + len(board.device.ran)), *target)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(4 + len(board.device.ran)), "")
    assert cli.run("get", "neuron_count").stdout.strip() == "7"


def test_watch_serves_as_well(cli, board):
    watching = cli.start("watch", board.port)
    watching.until("live")
    assert cli.run("set", "neuron_count", "5").stdout.strip() == "5"
    assert watching.until("neuron_count = 5")
    watching.end()


def test_status_says_how_the_link_is(cli, board, serving):
    text = cli.run("status").stdout
    assert "board on" in text and "live" in text and f"process {serving.process.pid}, which takes commands" in text
    for word in ("session 0x", "repairs", "events lost", "round trip", "heard"):
        assert word in text
    known = json.loads(cli.run("status", "board", "--json").stdout)
    assert known["stale"] is False and known["served"] and known["takes_commands"] and known["pid"] == serving.process.pid
    assert known["age_s"] < 60 and known["session"] == board.device.offer and known["port"] == board.port
    # Its clock is ahead by 5 s; see FakeDevice.
    assert known["round_trip_us"] > 0 and abs(known["clock_offset_us"] - 5_000_000) <= known["round_trip_us"] / 2 + 1
    serving.end()
    known = json.loads(cli.run("status", "--json").stdout)
    assert known["stale"] and not known["served"] and not known["takes_commands"] and known["pid"] is None


def test_status_without_a_mirror_is_one_line(cli):
    done = cli.run("status")
    assert done.returncode == 1 and re.fullmatch(r"feagi-state: [^\n]+serve PORT[^\n]+\n", done.stderr)


def test_serve_says_when_a_board_goes_and_comes(cli, tmp_path):
    path = str(tmp_path / "ttyBOARD")
    background = cli.start("serve", path, "--json")
    waiting = json.loads(background.until("plugged in"))
    assert (waiting["port"], waiting["state"]) == (path, "stale")
    for boot in (77, 99):
        with PtyDevice(FakeDevice(boot, name="board"), path):
            assert json.loads(background.until("live"))["state"] == "live"
        assert json.loads(background.until(path))["state"] == "stale"
    assert background.end() == 0


def test_a_port_that_somebody_has_is_refused_with_the_way_out(cli, board, serving):
    done = cli.run("serve", board.port)
    assert done.returncode == 1 and done.stdout == ""
    line = rf"feagi-state: {board.port} is served by process {serving.process.pid}: [^\n]*`feagi-state set \.\.\. board`[^\n]*\n"
    assert re.fullmatch(line, done.stderr), done.stderr


def test_what_is_no_port_is_refused(cli, tmp_path):
    (tmp_path / "file").write_text("")
    done = cli.run("serve", str(tmp_path / "file"))
    assert done.returncode == 1 and re.fullmatch(r"feagi-state: [^\n]+ is no serial port\n", done.stderr)
    done = cli.run("serve")
    assert done.returncode == 1 and "feagi-state start unix" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_serve_ends_in_order(cli, board, tmp_path, number, status):
    background = cli.start("serve", board.port)
    background.until("live")
    assert background.end(number) == status
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["board.lock", "board.mirror"]
    assert json.loads(cli.run("status", "--json").stdout)["state"] == "CLOSED"
