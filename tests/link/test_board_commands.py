"""`ports`, `doctor` and `repl` on emulated boards: what is found, what is said of it, and a talk with the prompt."""

from __future__ import annotations

import json
import os
import pty
import re
import time

import pytest

from boards_by_cli import CLI, Started, Watching, run_cli, until
from feagi_state import spec
from talker import Talker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory):
    """Mirrors and ports of these tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def empty():
    """A unix board at its prompt."""
    board = Started("unix", "--empty", "--name", "fresh")
    board.start()
    yield board
    board.stop()


@pytest.fixture(scope="module")
def working():
    """A unix board with its demo."""
    board = Started("unix", "--name", "busy")
    board.start()
    yield board
    board.stop()


def ports(*arguments: str) -> dict[str, dict]:
    done = run_cli("ports", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {entry["port"]: entry for entry in map(json.loads, done.stdout.splitlines())}


def test_ports_says_what_runs(empty, working):
    def answered() -> tuple[dict, dict] | None:
        found = ports()
        fresh, busy = found[empty.ports["link"]]["runs"], found[working.ports["link"]]["runs"]
        return (fresh, busy) if fresh["kind"] == "prompt" and busy["kind"] == "link" else None

    fresh, busy = until(answered, 20, "a prompt, and a link")  # on a busy machine a board may answer too late
    assert fresh["board"] == "unix"
    assert (fresh["identity"]["mpy_arch"], fresh["identity"]["abi"], fresh["schema"]) == ("x64", "6.3", None)
    assert "no feagi_state" in fresh["text"]
    assert (busy["device_name"], busy["schema"]) == ("unix", spec.SCHEMA_HASH)
    shown = run_cli("ports").stdout
    assert re.search(rf"{re.escape(empty.ports['link'])} .* prompt of unix: MicroPython 1\.", shown)
    assert re.search(rf"{re.escape(working.ports['link'])} .* the link of 'unix'", shown)


def test_ports_does_not_disturb_what_is_served(working):
    watcher = Watching("busy", "--timeout", "20")
    try:
        watcher.wait_first(20)
        before = watcher.seen[-1]["link"]
        runs = ports()[working.ports["link"]]["runs"]
        assert (runs["kind"], runs["mirror"]) == ("served", "busy")
        assert f"process {watcher.process.pid}" in runs["text"]
        after = watcher.until(lambda entry: True, 5, "one more object")
        assert after["link"]["session"] == before["session"]
    finally:
        watcher.stop()


def test_ports_opens_nothing_when_told_so(empty):
    assert ports("--no-look")[empty.ports["link"]]["runs"] is None


@pytest.mark.parametrize(("port", "kind"), [("/dev/ttyNONE7", "absent"), ("/dev/null", "failed")])
def test_ports_of_what_is_none(port, kind):
    assert ports(port)[port]["runs"]["kind"] == kind


@pytest.mark.parametrize(("messages", "kind"), [((), "silent"), ((b"NMEA $GPGGA\r\n",), "text"), ((b"login: >>> ",), "failed")])
def test_ports_with_nothing_and_with_something_else_behind_them(messages, kind):
    talker = Talker(*messages)
    try:
        assert ports(talker.port)[talker.port]["runs"]["kind"] == kind
    finally:
        talker.close()


# ------------------------------------------------------------------------------------------------------- doctor


def findings(*arguments: str) -> tuple[int, dict[str, dict]]:
    done = run_cli("doctor", "--json", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, {entry["what"]: entry for entry in map(json.loads, done.stdout.splitlines())}


def test_doctor_finds_nothing_wrong_here(empty):
    status, found = findings()
    assert status == 0, found
    assert found["schema"]["ok"] and f"{spec.SCHEMA_HASH:#010x}" in found["schema"]["text"]
    assert "x64" in found["native modules"]["text"]
    assert found[empty.ports["link"]]["ok"] is True
    shown = run_cli("doctor")
    assert shown.returncode == 0
    assert re.search(r"^ok +schema ", shown.stdout, re.MULTILINE)


def test_doctor_looks_at_a_board(empty):
    status, found = findings("fresh")
    assert status == 0, found
    assert "takes the module for x64" in found["ABI"]["text"]
    assert found["module"]["ok"] is None and "feagi-state install" in found["module"]["text"]


def test_doctor_says_what_is_wrong(tmp_path, monkeypatch):
    done = run_cli("doctor", "/dev/ttyNONE7")
    assert done.returncode == 1
    assert re.search(r"^WRONG +/dev/ttyNONE7 +there is no port", done.stdout, re.MULTILINE)
    assert done.stderr == "feagi-state: 1 thing is wrong\n"
    (tmp_path / "boards" / "unix").mkdir(parents=True)
    monkeypatch.setenv("FEAGI_STATE_BOARDS", str(tmp_path / "boards"))
    (tmp_path / "boards" / "unix" / "board.toml").write_text("name = 5")
    status, found = findings()
    assert (status, found["boards"]["ok"]) == (1, False)
    assert "board.toml: " in found["boards"]["text"]


def test_doctor_names_missing_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, found = findings()
    assert found["dfu-util"]["ok"] is None and "apt-get install dfu-util" in found["dfu-util"]["text"]
    assert found["arm-none-eabi-gcc"]["ok"] is None and "gcc-arm-none-eabi" in found["arm-none-eabi-gcc"]["text"]
    assert status == 0, "only some uses need them"


# --------------------------------------------------------------------------------------------------------- repl


def test_a_talk_with_the_prompt(empty):
    """On a terminal, as people have it; Ctrl-] leaves."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(CLI, [str(CLI), "repl", "fresh"])
    said = b""

    def hears(text: bytes) -> bool:
        nonlocal said
        said += os.read(fd, 4096)
        return text in said

    until(lambda: hears(b"Connected to MicroPython"), 10, "mpremote's greeting")
    os.write(fd, b"print('sum', 20 + 22)\r")
    until(lambda: hears(b"sum 42"), 10, "an answer")
    os.write(fd, b"\x1d")
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.close(fd)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


@pytest.mark.parametrize(("port", "says"), [("/dev/ttyNONE7", "no port /dev/ttyNONE7"), ("/dev/null", "is no serial port"), ("unix", "feagi-state start unix")])
def test_repl_on_what_is_no_port(port, says):
    done = run_cli("repl", port)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert says in done.stderr
