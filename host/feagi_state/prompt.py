"""The MicroPython prompt of a board, by mpremote's library: run code there, put files there, start its program.

with Prompt("/dev/ttyACM0") as prompt:
    prompt.interrupt()
    print(prompt.identity().machine)
"""

from __future__ import annotations

import ast
import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Final

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport as MpremoteTransport

from .clock import now_s
from .closing import Closing
from .errors import LinkError, PortError
from .identity import PROBE, Identity, parse_identity
from .port_finder import served_elsewhere
from .transport import SerialTransport, port_failures

__all__ = ["BoardFull", "ExecError", "Prompt", "PromptError"]

Progress = Callable[[int, int], None]

READ_TIMEOUT_S: Final = 5.0  # of a board that collects garbage or erases flash between two bytes
WRITE_TIMEOUT_S: Final = 10.0
PROMPT_TIMEOUT_S: Final = 4.0
RESET_TIMEOUT_S: Final = 10.0
SILENCE_S: Final = 0.2  # of a line that is waited for: longer than a gap within an answer
NOISE_S: Final = 3.0  # a line that is not silent once in this time carries something else than a prompt
PROGRAM_START_S: Final = 3.0  # a program that has neither ended nor failed by then is taken to run


class PromptError(LinkError):
    """There is no MicroPython prompt on the port, or it does not do what it should. `heard`: what was there instead."""

    def __init__(self, message: str, heard: bytes = b"") -> None:
        """`message`: one line for people, with the port's name."""
        super().__init__(message)
        self.heard = heard


class ExecError(PromptError):
    """Code on the board raised an exception. `traceback` is the board's text."""

    def __init__(self, port: str, traceback: str) -> None:
        """The message has the last line of `traceback`."""
        self.traceback = traceback.strip()
        super().__init__(f"{port}: {self.traceback.splitlines()[-1] if self.traceback else 'an error without a word'}")


class BoardFull(PromptError):
    """The board's file system has no room."""


class Prompt(Closing):
    """A board's prompt, which is ours alone while it is open. Not thread-safe."""

    def __init__(self, port: str, baudrate: int = 115200) -> None:
        """Opens `port`. Nothing is sent. Raises PortError with the reason if it is absent, busy or not permitted."""
        self.port = port
        # mpremote knows a pty by its path, which the link to it does not show.
        path = os.path.realpath(port) if port.startswith("/") else port
        try:
            self._mpremote = MpremoteTransport(path, baudrate=baudrate)
        except (TransportError, *port_failures) as error:
            raise _why_not(port, baudrate, error) from None
        self._mpremote.serial.timeout = READ_TIMEOUT_S  # without one a read waits for ever when the board has died
        self._mpremote.serial.write_timeout = WRITE_TIMEOUT_S

    def close(self) -> None:
        """Leave the board at its friendly prompt, and give the port back."""
        with suppress(TransportError, *port_failures):
            if self._mpremote.in_raw_repl:
                self._mpremote.exit_raw_repl()
        with suppress(*port_failures):
            self._mpremote.close()

    def interrupt(self) -> None:
        """End the program that runs, as Ctrl-C does, and have a prompt for `run`.

        Timers and interrupts of the program stay. Raises PromptError if there is no prompt.
        """
        self._enter(soft_reset=False, timeout_s=PROMPT_TIMEOUT_S)

    def soft_reset(self) -> None:
        """Have a prompt on a board that is as after power-on, except that main.py was not run.

        Raises PromptError.
        """
        self._enter(soft_reset=True, timeout_s=RESET_TIMEOUT_S)

    def identity(self) -> Identity:
        """What the board says of itself. Raises IdentityError, PromptError."""
        return parse_identity(self.run(PROBE))

    def run(self, code: str) -> str:
        """Run code on the board; returns what it printed. Raises ExecError, PromptError, PortError."""
        with self._talking():
            return str(self._mpremote.exec(code).decode("utf-8", "replace"))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the board, if it is a literal. Raises ExecError, PromptError, PortError."""
        try:
            return ast.literal_eval(self.run(f"print(repr({expression}))").strip())
        except (ValueError, SyntaxError) as error:
            raise PromptError(f"{self.port}: {expression} gave no value: {error}") from error

    def write_file(self, name: str, data: bytes, progress: Progress) -> None:
        """Write a file. `progress` hears (bytes done, bytes in all).

        Raises BoardFull, and PromptError if what arrived is not what was sent or the board fell silent.
        """
        with self._talking():
            self._mpremote.fs_writefile(name, data, progress_callback=progress)
        if self.file_hash(name) != hashlib.sha256(data).digest():
            raise PromptError(f"{self.port}: {name} arrived changed: the line loses bytes")

    def file_len(self, name: str) -> int | None:
        """Length of a file in bytes, None when there is none."""
        try:
            return int(self.evaluate(f"__import__('os').stat({name!r})[6]"))
        except ExecError:
            return None

    def file_hash(self, name: str) -> bytes | None:
        """SHA-256 of a file, None when there is none. Raises PromptError."""
        if self.file_len(name) is None:
            return None
        with self._talking():
            return bytes(self._mpremote.fs_hashfile(name, "sha256"))

    def remove_file(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self.file_len(name) is not None:
            self.run(f"import os; os.remove({name!r})")

    def rename_file(self, name: str, new_name: str) -> None:
        """Rename a file; one that has the new name already is replaced, which FAT does not do by itself."""
        self.remove_file(new_name)
        self.run(f"import os; os.rename({name!r}, {new_name!r})")

    def free_len(self) -> int | None:
        """Free bytes of the file system, None where the board does not tell."""
        try:
            return int(self.evaluate("(lambda s: s[0] * s[3])(__import__('os').statvfs(''))"))
        except ExecError:
            return None

    def start_program(self) -> str:
        """Let a soft reset run boot.py and main.py; returns what they said.

        Comes back once the prompt does, once frames come, or after PROGRAM_START_S. Raises PromptError when the board
        does not reset.
        """
        with self._talking():
            self._mpremote.exit_raw_repl()
            self._mpremote.read_until(1, b">>> ", timeout_overall=READ_TIMEOUT_S)
            self._mpremote.serial.write(b"\x04")
            said = self._mpremote.read_until(1, b"soft reboot\r\n", timeout_overall=RESET_TIMEOUT_S)
            if not said.endswith(b"soft reboot\r\n"):
                raise PromptError(f"{self.port}: no soft reset; the board said {said[-100:]!r}", said)
            return self._listen_to_program().decode("utf-8", "replace")

    def _listen_to_program(self) -> bytes:
        port, said = self._mpremote.serial, b""
        port.timeout = 0.1
        for _ in range(int(PROGRAM_START_S / port.timeout)):
            said += port.read(port.in_waiting or 1)
            if said.endswith(b">>> ") or b"\0" in said:
                break
        port.timeout = READ_TIMEOUT_S
        return said.partition(b"\0")[0]

    def _hush(self) -> None:
        """Have Ctrl-C end what prints: mpremote waits for ever on a line that does not stop. Raises PromptError."""
        port, heard, end = self._mpremote.serial, b"", now_s() + NOISE_S
        port.write(b"\r\x03")
        while more := port.read(port.in_waiting or 1):
            heard += more
            if now_s() > end:
                raise _no_prompt(self.port, heard, NOISE_S)

    def _enter(self, soft_reset: bool, timeout_s: float) -> None:
        printed = io.StringIO()  # mpremote prints there what it heard
        self._mpremote.serial.timeout = SILENCE_S
        with self._talking():
            self._hush()
        try:
            with self._talking(), redirect_stdout(printed):
                self._mpremote.enter_raw_repl(soft_reset=soft_reset, timeout_overall=timeout_s)
        except PromptError:
            heard = b""
            with suppress(ValueError, SyntaxError, IndexError):
                heard = bytes(ast.literal_eval(printed.getvalue().strip().splitlines()[-1]))
            raise _no_prompt(self.port, heard, timeout_s) from None
        self._mpremote.serial.timeout = READ_TIMEOUT_S

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Has mpremote's errors, and those of the files and ports below it, as ours."""
        try:
            yield
        except TransportExecError as error:
            if "ENOSPC" in error.error_output or f"Errno {errno.ENOSPC}]" in error.error_output:
                raise BoardFull(f"{self.port}: the board's file system is full") from None
            raise ExecError(self.port, error.error_output) from None
        except TransportError as error:
            raise PromptError(f"{self.port}: the board fell silent: {error}") from None
        except port_failures as error:
            if getattr(error, "errno", None) == errno.ENOSPC:  # of the board's file system, as mpremote has it
                raise BoardFull(f"{self.port}: the board's file system is full") from None
            raise PortError(f"{self.port} went away: {error}", "gone") from None


def _why_not(port: str, baudrate: int, error: BaseException) -> PortError:
    """What is wrong with a port that mpremote cannot open: it says little."""
    try:
        SerialTransport(port, baudrate).close()
    except PortError as reason:
        return (served_elsewhere(port) if reason.reason == "busy" else None) or reason
    return PortError(f"{port} cannot be opened: {error}", "failed")


def _no_prompt(port: str, heard: bytes, timeout_s: float) -> PromptError:
    """Why there is no prompt, from what was heard instead."""
    if b"\0" in heard:
        why = "frames come from it: its program keeps the line for the link. Reset the board, or take the prompt's port"
    elif heard.strip():
        why = f"it said {heard[-60:]!r}: is the baud rate right, and does its program end at Ctrl-C?"
    else:
        why = "it is silent: is that the board's port? If its program holds the line, reset the board"
    return PromptError(f"no MicroPython prompt on {port} within {timeout_s:g} s: {why}", heard)
