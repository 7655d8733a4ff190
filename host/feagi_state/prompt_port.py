"""The port at which mpremote, or a person, finds the prompt of a board whose only line a link owns.

A pseudo-terminal: what is typed there goes to the board between the link's frames, and what the board says that is no
frame comes out. It is found by the board's port, in the folder `prompts` beside the mirrors: NAME is a symbolic link to
it, and NAME.lock, which its owner keeps locked for as long as it lives, says whose prompt it is.
"""

from __future__ import annotations

import json
import os
import select
import tty
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import Final, Protocol

from .errors import MemoryMapError
from .mirror import same_port
from .mirror_files import claim_name, default_dir, files_in, is_locked, make_own_dir
from .runner import Runner
from .running import board_name

__all__ = ["PromptPort", "PromptUser", "find_prompt"]

_READ_LEN_BYTES: Final = 4096
_UNREAD_MOST_BYTES: Final = 1 << 16  # what a client that does not read can still get later; more is lost, as on a wire


class PromptUser(Protocol):
    """Whose line it is. In the runner's thread."""

    def prompt_opened(self) -> None:
        """Somebody has opened the port."""

    def prompt_room(self) -> int:
        """How many bytes the line takes now."""

    def prompt_typed(self, data: bytes) -> None:
        """Bytes for the board."""

    def prompt_closed(self) -> None:
        """Who had opened it has gone."""


def _folder() -> Path:
    return default_dir() / "prompts"


class PromptPort:
    """A Member of the link's runner, in whose thread all is."""

    def __init__(self, runner: Runner, user: PromptUser, port: str) -> None:
        """Offers the prompt of the board at `port`. Raises OSError, MemoryMapError."""
        self._runner = runner
        self._user = user
        make_own_dir(_folder())
        name, self._lock_fd = claim_name(_folder(), board_name(port) or os.path.basename(port.rstrip("/")))
        self.path = _folder() / name  #: leads to the terminal for as long as it is offered
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            terminal = os.ttyname(slave)
        finally:
            os.close(slave)  # so that the master tells whether somebody has it open
        os.set_blocking(self._master, False)
        self._is_open = False
        self._out = bytearray()
        self.path.unlink(missing_ok=True)  # of an owner that was killed
        self.path.symlink_to(terminal)
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, json.dumps({"port": port, "pid": os.getpid()}).encode(), 0)
        runner.add(self)

    def close(self) -> None:
        """Takes the port away: whoever has it open is told, as when a board is unplugged."""
        self.path.unlink(missing_ok=True)
        self._runner.remove(self)
        self._runner.forget(self._master)
        os.close(self._master)
        os.ftruncate(self._lock_fd, 0)
        os.close(self._lock_fd)

    def text(self, data: bytes) -> None:
        """What the board says that is no frame. Lost where nobody has the port open."""
        if self._is_open and len(self._out) < _UNREAD_MOST_BYTES:
            self._out += data
            self._flush()

    # ------------------------------------------------------------------------------------------------- as a Member

    def tick(self, now: float) -> None:
        """A terminal's master cannot wait for its slave to be opened, only look."""
        if not self._is_open:
            look = select.poll()
            look.register(self._master, select.POLLIN)
            # Who came and went meanwhile has left what was typed.
            if any(events & select.POLLIN or not events & select.POLLHUP for _, events in look.poll(0) or [(0, 0)]):
                self._is_open = True
                self._user.prompt_opened()
        if self._is_open:
            self._watch()

    def ready(self, file: int, events: int) -> None:
        """Something was typed, or there is room for what the board says."""
        self._flush()
        if not events & EVENT_READ:
            return
        most = min(self._user.prompt_room(), _READ_LEN_BYTES)
        if most <= 0:
            self._watch(reads=False)  # until the next tick
            return
        try:
            data = os.read(self._master, most)
        except BlockingIOError:
            return
        except OSError:  # nobody has it open, and all was read
            data = b""
        if data:
            self._user.prompt_typed(data)
        else:
            self._is_open = False
            self._out.clear()
            self._runner.forget(self._master)
            self._user.prompt_closed()

    def failed(self, error: BaseException) -> None:
        """There is no prompt to be had any more."""
        self.close()

    def _watch(self, reads: bool = True) -> None:
        events = (EVENT_READ if reads else 0) | (EVENT_WRITE if self._out else 0)
        if events:
            self._runner.watch(self, self._master, events)
        else:
            self._runner.forget(self._master)

    def _flush(self) -> None:
        with suppress(OSError):  # the next read says the same
            while self._out:
                del self._out[: os.write(self._master, self._out)]


def find_prompt(port: str) -> Path | None:
    """Where the prompt of the board at `port` is to be found, if a living process owns the port and offers it."""
    folder = _folder()
    with suppress(MemoryMapError):
        for file in files_in(folder):
            if file.endswith(".lock") and is_locked(folder / file):
                with suppress(OSError, ValueError, KeyError, TypeError):
                    entry = json.loads((folder / file).read_text(encoding="utf-8"))
                    if same_port(str(entry["port"]), port):
                        return folder / file[: -len(".lock")]
    return None
