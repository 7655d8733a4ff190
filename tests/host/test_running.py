"""The list of running boards, and what a port's name means."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from feagi_state import running
from feagi_state.boards import BoardError
from feagi_state.errors import PortError


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_claimed_name_is_a_running_board_until_it_is_released(runtime, tmp_path):
    entry = running.PortEntry("unix", "unix")
    entry.claim()
    entry.publish("/dev/null", "/dev/zero")
    unix = running.running_boards()["unix"]
    assert (unix.link, unix.repl, unix.pid) == (runtime / "ports" / "unix", entry.repl, os.getpid())
    assert os.readlink(unix.link) == "/dev/null"
    assert running.resolve_port("unix") == (str(entry.link), "unix")
    assert running.resolve_port(str(entry.link)) == (str(entry.link), "unix")
    assert running.resolve_port(str(entry.repl)) == (str(entry.repl), None), "a port like any other"
    with pytest.raises(BoardError, match=f"runs already .process {os.getpid()}"):
        running.PortEntry("unix", "unix").claim()
    entry.release()
    assert running.running_boards() == {}
    assert not entry.link.is_symlink()
    with pytest.raises(BoardError, match="feagi-state start unix"):
        running.resolve_port("unix")


def test_what_a_killed_runner_left_is_no_running_board(runtime):
    code = (
        "import os; from feagi_state.running import PortEntry\n"
        "e = PortEntry('unix', 'unix'); e.claim(); e.publish('/dev/null', None); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (runtime / "ports" / "unix").is_symlink()
    assert running.running_boards() == {}
    entry = running.PortEntry("unix", "unix")
    entry.claim()
    assert not entry.link.is_symlink()
    assert running.running_boards() == {}, "it is claimed, and starts only"
    entry.release()


def test_a_port_that_a_killed_runner_left_is_not_opened(runtime):
    """Its pty's number may be that of somebody's terminal by now."""
    (runtime / "ports").mkdir(parents=True)
    (runtime / "ports" / "unix").symlink_to("/dev/null")
    with pytest.raises(PortError, match="not running any more") as caught:
        running.port_path(str(runtime / "ports" / "unix"))
    assert caught.value.reason == "absent"
    assert running.port_path("/dev/null") == "/dev/null"


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "x.repl", "x.lock"])
def test_names_that_would_leave_the_folder_are_refused(name):
    with pytest.raises(BoardError, match="no name for a board"):
        running.PortEntry(name, "unix").claim()


def test_any_other_port_is_taken_as_it_is():
    for port in ("/dev/ttyACM0", "COM3", "socket://localhost:1"):
        assert running.resolve_port(port) == (port, None)
