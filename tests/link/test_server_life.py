"""A real board, and `feagi-state serve` before it that is killed or stands still while commands are in flight: each ran at most
once, its caller was told the truth, and the mirror is stale for as long as it has to be.
"""

from __future__ import annotations

import json
import queue
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import feagi_state
from boards_by_cli import CLI, until
from feagi_state import LinkError
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard, Program, start_board

CALLERS = 3
PATIENCE_S = 60.0
# Counters, and how many commands each counts apart: a digit to the base of 4 for each.
DIGITS = {"genome_timestamp": 31, "neuron_count": 15, "synapse_count": 15, "memory_usage": 15, "neuron_capacity": 15, "synapse_capacity": 15}
COMMANDS = sum(DIGITS.values())
RAN, DID_NOT_RUN, MAY_HAVE_RUN = (1,), (0,), (0, 1)  # how often, if the caller was told the truth


class Callers:
    """Threads that each add one digit after the other, none twice, as many as are allowed, and remember what they were told."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self._changed = threading.Condition()
        self.told: dict[tuple[str, int], tuple[int, ...]] = {}
        self._left: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        for field, digits in DIGITS.items():
            for digit in range(digits):
                self._left.put((field, digit))
        self._threads = [threading.Thread(target=self._add, daemon=True) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _add(self) -> None:
        with feagi_state.connect("idle", timeout_s=PATIENCE_S) as device:
            while self._allowed.acquire():
                try:
                    field, digit = self._left.get_nowait()
                except queue.Empty:
                    return
                told = RAN
                try:
                    device.add(field, 4**digit, timeout_s=PATIENCE_S)
                except LinkError as error:
                    told = MAY_HAVE_RUN if error.may_have_run else DID_NOT_RUN
                with self._changed:
                    self.told[field, digit] = told
                    self._changed.notify()
                if told is not RAN:
                    device.wait_live(PATIENCE_S)

    def allow(self, commands: int) -> None:
        """So many more."""
        self._allowed.release(commands)

    def wait_for(self, commands: int) -> None:
        """Until so many more are done, or all that there are."""
        with self._changed:
            wanted = min(len(self.told) + commands, COMMANDS)
            assert self._changed.wait_for(lambda: len(self.told) >= wanted, PATIENCE_S), "commands wait for ever"

    def judge(self) -> Counter[tuple[int, ...]]:
        """Waits for their end, and compares what they were told with what the board did; how many were told what."""
        self.allow(COMMANDS + CALLERS)
        for thread in self._threads:
            thread.join()
        with feagi_state.connect("idle", timeout_s=PATIENCE_S) as device:
            values = {field: device.add(field, 0) for field in DIGITS}
            theirs, ours = device.digest()
            assert theirs == ours
        ran = {(field, digit): values[field] >> 2 * digit & 3 for field, digits in DIGITS.items() for digit in range(digits)}
        assert self.told.keys() == ran.keys()
        wrong = {one: (told, ran[one]) for one, told in self.told.items() if ran[one] not in told}
        assert not wrong
        return Counter(self.told.values())


class Server:
    """`feagi-state serve` of a port, live."""

    def __init__(self, port: str) -> None:
        self.process = subprocess.Popen([CLI, "serve", port, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert any(json.loads(line)["state"] == "live" for line in self.process.stdout), "it has ended"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        """As when its machine is suspended, or Ctrl-Z is typed."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        stopped = lambda task: (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"  # noqa: E731
        until(lambda: all(map(stopped, tasks.iterdir())), PATIENCE_S, "all its threads stand still")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedBoard]:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("IDLE_BOARD_SAYS", str(tmp_path / "says"))
    program = Program(Path(__file__).with_name("idle_main.py"))
    with start_board(find_board("unix"), program=program, name="idle") as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whenever_serve_is_killed_each_command_ran_as_its_caller_was_told(board: EmulatedBoard, tmp_path: Path) -> None:
    draw = random.Random(5)
    server, callers, kills = Server(board.link_port), Callers(), 0
    mirror = (tmp_path / "run" / "idle.mirror").stat()
    try:
        while len(callers.told) < COMMANDS:
            allowed = draw.randrange(1, 8)
            callers.allow(allowed)
            callers.wait_for(draw.randrange(allowed))
            server.kill()
            kills += 1
            server = Server(board.link_port)
        told = callers.judge()
    finally:
        server.kill()
    assert kills > 10 and told[RAN] and told[MAY_HAVE_RUN], "it was killed between commands"
    assert (tmp_path / "run" / "idle.mirror").stat().st_ino == mirror.st_ino, "the next server takes the mirror over"


@pytest.mark.slow
def test_serve_stands_still_for_longer_than_either_side_waits(board: EmulatedBoard, tmp_path: Path) -> None:
    server, callers = Server(board.link_port), Callers()
    try:
        with feagi_state.attach("idle") as mirror:
            callers.allow(COMMANDS)
            callers.wait_for(10)
            until(lambda: mirror.link.round_trip_us, PATIENCE_S, "the clocks are compared")
            server.stop()
            before = mirror.link
            until(lambda: mirror.stale, PATIENCE_S, "readers see that the mirror is stale")
            until(lambda: (tmp_path / "says").read_text() == "alone", PATIENCE_S, "the board has given its host up")
            server.process.send_signal(signal.SIGCONT)
            mirror.wait_live(PATIENCE_S)
            assert mirror.link.session != before.session, "live with what it showed when it stopped"
            told = callers.judge()
            assert told[RAN] > COMMANDS / 2
            until(lambda: mirror.link.round_trip_us, PATIENCE_S, "the clocks are compared again")
            now = mirror.link
            error_us = (before.round_trip_us + now.round_trip_us) / 2 + 2000  # the board's clock counts milliseconds
            assert abs(now.clock_offset_us - before.clock_offset_us) <= error_us
            assert mirror.unix_time and abs(mirror.state.last_modified - time.time() * 1000) < 2000
            assert now.events_lost == 0 and now.sessions == before.sessions + 1
    finally:
        server.kill()
