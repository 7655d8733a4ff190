"""The command line as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

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
