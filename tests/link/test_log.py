"""Lines of a device's log: from the core to the host's role, and from a program to Python's logging."""

from __future__ import annotations

import ctypes
import json
import logging
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import feagi_state
from boards_by_cli import CLI, Started, until
from common import emulated_boards
from feagi_state.boards import find_board
from feagi_state.emulator import start_board
from simulation import Simulation

MOST_BYTES = 144


@pytest.fixture
def simulation(device: ctypes.CDLL) -> Iterator[Simulation]:
    """A session."""
    one = Simulation(device, 1, 0)
    assert one.settle()
    yield one
    one.close()


def said(simulation: Simulation, text: str) -> str:
    assert simulation.device.do("log", 20, text) == 1
    simulation.step()
    level, message = simulation.watcher.logs.pop()
    assert (level, simulation.watcher.logs) == (20, [])
    return message


@pytest.mark.parametrize("text", ["", "h\u00e9llo", "x" * MOST_BYTES, "\U0001f9e0" * (MOST_BYTES // 4)], ids=["empty", "short", "longest", "longest of emoji"])
def test_a_line_arrives_once(simulation: Simulation, text: str) -> None:
    assert said(simulation, text) == text
    simulation.device_is_quiet_for(2000)
    assert not simulation.watcher.logs


@pytest.mark.parametrize("before", range(4))
def test_a_longer_line_ends_with_a_whole_character(simulation: Simulation, before: int) -> None:
    text = "x" * before + "\U0001f9e0" * 40
    assert said(simulation, text) == text[: before + (MOST_BYTES - before) // 4]


def test_without_a_host_or_room_there_is_no_line(simulation: Simulation) -> None:
    assert simulation.device.do("log", 20, "first") == 1
    assert simulation.device.do("log", 20, "second") == 0, "the stream has not taken the first one yet"
    simulation.step()
    simulation.boot()
    assert simulation.device.do("log", 20, "third") == 0, "no host"
    assert simulation.settle()
    assert [message for _, message in simulation.watcher.logs] == ["first"]


def test_what_a_program_logs_is_heard_where_the_port_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "feagi_state.device")
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))
    program = tmp_path / "main.py"
    program.write_text(
        "import sys, time, feagi_state\n"
        "state = feagi_state.StateManager.instance()\n"
        "link = feagi_state.Link(sys.stdin.buffer, state, 'logger', sys.stdout.buffer)\n"
        "seen = 0\n"
        "while True:\n"
        "    link.poll(); time.sleep_ms(2)\n"
        "    if state.neuron_count != seen:\n"
        "        seen = state.neuron_count\n"
        "        link.log(30, 'caf\u00e9 %d' % seen)\n",
        encoding="utf-8",
    )
    started = Started("unix", "--name", "logger", "--program", str(program))
    started.start()
    port = started.ports["link"]
    serving = subprocess.Popen([CLI, "serve", port, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert any(json.loads(line)["state"] == "live" for line in serving.stdout), "it has ended"
        with feagi_state.connect("logger") as device:
            assert device.link.owner_pid == serving.pid
            heard: list[tuple[int, str]] = []
            device.on_log(lambda level, message: heard.append((level, message)))
            device.set("neuron_count", 7)
            until(lambda: heard, 20, "the line")
    finally:
        serving.send_signal(signal.SIGINT)
        serving.communicate(timeout=10)
        started.stop()
    assert heard == [(30, "caf\u00e9 7")]
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(30, f"{port}: caf\u00e9 7")]


def test_what_a_program_logs_is_in_pythons_logging(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "feagi_state.device")
    program = tmp_path / "main.py"
    program.write_text(
        "import sys, time, feagi_state\n"
        "link = feagi_state.Link(sys.stdin.buffer, None, 'logger', sys.stdout.buffer)\n"
        "assert link.log(10, 'nobody hears this') is False\n"
        "while not link.poll():\n    time.sleep_ms(2)\n"
        "try:\n    link.log(10, b'\\xff')\nexcept ValueError as error:\n    told = repr(error)\n"
        "said = [link.log(30, 'caf\u00e9 %d' % n) for n in range(3)]\n"
        "link.log(999, told + repr(said))\n"
        "while True:\n    link.poll(); time.sleep_ms(2)\n",
        encoding="utf-8",
    )
    started = Started("unix", "--name", "logger", "--program", str(program))
    started.start()
    try:
        with feagi_state.connect(started.ports["link"], name="logger"):
            until(lambda: caplog.records and caplog.records[-1].levelno == 255, 20, "the last line")
    finally:
        started.stop()
    lines = [(record.levelno, record.getMessage().partition(": ")[2]) for record in caplog.records]
    assert [line for line in lines if line[0] > logging.DEBUG] == [
        (30, "caf\u00e9 0"), (30, "caf\u00e9 1"), (30, "caf\u00e9 2"),
        (255, "ValueError(\"b'\\\\xff': the text is not UTF-8\",)[True, True, True]"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", emulated_boards(lambda board: board.name in ("qemu_m0", "qemu_m3")))
def test_a_board_says_in_each_session_what_it_is(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "feagi_state.device")
    with start_board(find_board(name)) as started:
        for session in (1, 2):
            with feagi_state.connect(started.link_port, name=name, timeout_s=60):
                until(lambda count=session: caplog.text.count("MicroPython v1.25.0; ") == count, 20, "it says so")
