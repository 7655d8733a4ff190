"""Other processes for tests: programs that answer line by line, and forks of the test itself."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_S = 60.0  # for what always comes; only a failing test waits so long
HEAD = """
import sys
from feagi_state import *
from feagi_state import spec
def say(*words): print(*words, flush=True)
def hear(): return sys.stdin.readline().strip()
"""


class Program:
    """A Python program in a process of its own, fresh: it says and hears lines."""

    def __init__(self, code: str, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD + code, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait(PATIENCE_S)}"
        return line.strip()

    def say(self, line: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self) -> int:
        """Waits for its end, and gives its status."""
        try:
            self.process.communicate(timeout=PATIENCE_S)
        finally:
            self.process.kill()
        return self.process.returncode


@contextmanager
def program(code: str, *args: object) -> Iterator[Program]:
    """A program that is gone at the end."""
    started = Program(code, *args)
    try:
        yield started
    finally:
        started.kill()
        for pipe in (started.process.stdin, started.process.stdout):
            if pipe is not None:
                pipe.close()


def in_fork(function: Callable[[], Any]) -> Any:
    """What the function gives, or raises, in a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            try:
                answer = (True, function())
            except Exception as error:
                answer = (False, error)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value


def as_nobody(function: Callable[[], Any]) -> Any:
    """The same as a user who is not root, where this is root, whom no permission stops."""

    def drop_and_call() -> Any:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        return function()

    return in_fork(drop_and_call)
