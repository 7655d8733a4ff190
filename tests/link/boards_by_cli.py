"""Emulated boards and watchers as processes of the real command line, for the tests of this folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

CLI = Path(sys.executable).parent / "feagi-state"
Found = TypeVar("Found")


def until(look: Callable[[], Found], timeout_s: float, what: str) -> Found:
    """What `look` gives once it gives something; an AssertionError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def run_cli(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    return subprocess.run(
        [CLI, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
    )


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Started:
    """A board that `feagi-state start` runs."""

    def __init__(self, board: str, *arguments: str) -> None:
        self.board, self.arguments = board, arguments
        self.process: subprocess.Popen[str] | None = None
        self.ports: dict[str, Any] = {}

    def start(self) -> None:
        """Start it, and wait until its program runs."""
        self.process = subprocess.Popen(
            [CLI, "start", self.board, "--json", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.ports = json.loads(line)

    def kill_board(self) -> str:
        """Kill the board's own process, as a power cut would; returns what `start` says of it."""
        os.kill(self.ports["board_pid"], signal.SIGKILL)
        _, said = self.process.communicate(timeout=10)
        return said

    def stop(self) -> int:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=10)
        return self.process.returncode


class Watching:
    """A `feagi-state watch --json` in the background; `seen` is what it has printed."""

    def __init__(self, *arguments: str) -> None:
        self.seen: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [CLI, "watch", "--json", "--interval", "0.1", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.seen.append(json.loads(line))

    def wait_first(self, timeout_s: float) -> None:
        """Wait for the first object; an AssertionError with what the watcher said if it ended, or after the timeout."""
        deadline = time.monotonic() + timeout_s
        while not self.seen:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self._thread.join(10)
                status, said = self.process.wait(10), self.process.stderr.read()
                raise AssertionError(f"no values within {timeout_s} s; the watcher ended with {status} and said {said!r}")
            time.sleep(0.02)

    def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float, what: str) -> dict[str, Any]:
        """The first object from now on for which `condition` holds."""
        begin = len(self.seen)
        return until(lambda: next(filter(condition, self.seen[begin:]), None), timeout_s, what)

    def stop(self) -> int:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self._thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.wait(10)
