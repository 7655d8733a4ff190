"""Makes a board of MicroPython's unix port: a folder is its flash, a soft reset is a new process, and Ctrl-C on its
serial line interrupts the program.

    python -m feagi_state.unix_board /path/to/micropython     in that folder, with stdin and stdout on its serial line

On a board main.py runs at power-on and after Ctrl-D at the prompt, and what follows is the prompt. Here too. After
Ctrl-D in the raw REPL, which is mpremote's soft reset, main.py does not run. With a second argument, a program's path,
that one runs where there is no main.py, and the board ends with it unless Ctrl-C ended it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from .clock import now_s

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_CHUNK_LEN_BYTES: Final = 4096
_CTRL_A: Final = b"\x01"
_CTRL_C: Final = b"\x03"
_PROMPTS: Final = (b">>> ", b"\x04>", b"\n>")  # the friendly one, and the raw REPL's
_PROMPT_WITHIN_S: Final = 2.0
_LOOK_MS: Final = 20


def die_with_parent() -> Callable[[], None]:
    """A `preexec_fn`: the child is killed when the thread that starts it ends, so that no board outlives its runner."""
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above, of which nobody tells this process any more
            os.kill(os.getpid(), signal.SIGKILL)

    return arrange


def _takes_interrupt(process: subprocess.Popen[bytes]) -> bool:
    """Whether MicroPython runs a program that Ctrl-C interrupts. After micropython.kbd_intr(-1) it is a byte like any
    other.
    """
    with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)


class _Input:
    """What was typed and MicroPython may not have yet: behind a Ctrl-C it waits for the prompt, since MicroPython
    discards what it has not read when its prompt comes. On a board it would be kept.
    """

    def __init__(self) -> None:
        self._waiting = b""
        self._until = 0.0  # when the wait for the prompt ends, if none comes

    def add(self, data: bytes) -> None:
        """Bytes from the line."""
        self._waiting += data

    def take(self, said: bytes, interrupts: Callable[[], bool]) -> tuple[bytes, bool]:
        """(what MicroPython may have now, after it has said this; whether a Ctrl-C follows that interrupts)."""
        if now_s() < self._until and not said.endswith(_PROMPTS):
            return b"", False
        self._until = 0.0
        now, ctrl_c, self._waiting = self._waiting.partition(_CTRL_C)
        if not ctrl_c or said.endswith(_PROMPTS) or not interrupts():
            return now + ctrl_c, False
        self._until = now_s() + _PROMPT_WITHIN_S
        return now, True


def _run(command: list[str], typed: _Input) -> tuple[int, bytes, bool]:
    """Run MicroPython to its end; returns (exit status, its last words, whether Ctrl-C ended it)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, preexec_fn=die_with_parent())
    os.close(slave)
    os.set_blocking(master, False)
    said, interrupted = b"", False
    lines = select.poll()
    lines.register(master, select.POLLIN)
    lines.register(0, select.POLLIN)
    with suppress(OSError):  # the terminal of a process that has ended
        while True:
            ready = [fd for fd, _ in lines.poll(_LOOK_MS)]
            if 0 in ready:
                typed.add(os.read(0, _CHUNK_LEN_BYTES))
            if master in ready:
                data = os.read(master, _CHUNK_LEN_BYTES)
                os.write(1, data)
                said = (said + data)[-_CHUNK_LEN_BYTES:]
            now, interrupt = typed.take(said, lambda: _takes_interrupt(process))
            with suppress(BlockingIOError):  # the program does not read: lost, as on a wire
                os.write(master, now)
            interrupted = interrupt or (interrupted and not said.endswith(_PROMPTS))
            if interrupt:
                process.send_signal(signal.SIGINT)
    os.close(master)
    return process.wait(), said, interrupted


def main(micropython: str, program: str | None = None) -> NoReturn:
    """Run the board until its MicroPython ends in another way than by a soft reset or Ctrl-C."""
    runs_main, typed = True, _Input()
    while True:
        has_main = os.path.exists("main.py")
        is_program = runs_main and not has_main and program is not None
        arguments = [program] if is_program else ["-i", "main.py"] if runs_main and has_main else []
        status, said, interrupted = _run([micropython, *arguments], typed)
        runs_main = not interrupted
        if interrupted:
            continue  # at the prompt: also where MicroPython was not ready for it yet, or any more
        if status != 0 or is_program:
            sys.exit(128 - status if status < 0 else status)
        os.write(1, b"MPY: soft reboot\r\n")
        if said.endswith(b"OK\r\n"):  # it was in the raw REPL, which goes on
            runs_main = False
            typed.add(_CTRL_A)


if __name__ == "__main__":
    main(*sys.argv[1:])
