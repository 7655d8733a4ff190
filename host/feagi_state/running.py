"""Which emulated boards run now, and what a port's name on a command line or in a program means.

A running board is found under the same path as long as its runner lives: `ports/<name>` beside the mirrors is a
symbolic link to its link port, `<name>.repl` one to its REPL port. The runner holds a lock on `<name>.lock`: what a
killed runner left behind is not taken for a board.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .boards import BoardError, known_names
from .errors import MemoryMapError, PortError, StateError
from .mirror_files import default_dir, files_in, is_locked, lock_file, make_own_dir

__all__ = ["PortEntry", "RunningBoard", "port_path", "resolve_port", "resolve_prompt", "running_boards"]


@dataclass(frozen=True)
class RunningBoard:
    """An emulated board that runs now."""

    name: str
    board: str  # name of its description
    link: Path  # link port, a path that stays the same when the board is started again
    repl: Path | None
    pid: int  # of the process that runs it

    def as_dict(self) -> dict[str, Any]:
        """The same as what JSON can hold."""
        return {
            "name": self.name,
            "board": self.board,
            "link": str(self.link),
            "repl": str(self.repl) if self.repl else None,
            "pid": self.pid,
        }


def _ports_dir() -> Path:
    return default_dir() / "ports"


@dataclass
class PortEntry:
    """A runner's entry among the running boards, from `claim` to `release`."""

    name: str
    board: str
    folder: Path = field(default_factory=_ports_dir)
    _lock_fd: int = -1

    @property
    def link(self) -> Path:
        """Path of the link port."""
        return self.folder / self.name

    @property
    def repl(self) -> Path:
        """Path of the REPL port, for a board that has one."""
        return self.folder / f"{self.name}.repl"

    def claim(self) -> None:
        """Take the name. Raises BoardError when a board of this name runs."""
        if not self.name or self.name.startswith(".") or "/" in self.name or self.name.endswith((".repl", ".lock")):
            raise BoardError(f"{self.name!r} is no name for a board: letters, digits, - and _ are")
        try:
            make_own_dir(self.folder)
            fd = lock_file(self.folder / f"{self.name}.lock")
        except MemoryMapError as error:
            raise BoardError(str(error)) from None
        except OSError as error:
            raise BoardError(
                f"cannot write to {self.folder}: {error.strerror}; FEAGI_STATE_DIR names another folder"
            ) from error
        if fd is None:
            other = _read_entry(self.folder, self.name)
            by = f" (process {other.pid})" if other else ""
            raise BoardError(
                f"board {self.name} runs already{by}: stop it first, or give this one a name of its own with --name"
            )
        self._lock_fd = fd
        os.ftruncate(fd, 0)  # what a killed runner wrote: nothing runs before `publish`
        self._remove_links()

    def publish(self, link: str, repl: str | None) -> None:
        """Let the paths lead to the present ports."""
        for path, target in ((self.link, link), (self.repl, repl)):
            if target is None:
                continue
            fresh = path.with_name(path.name + f".{os.getpid()}.new")
            with suppress(FileNotFoundError):
                fresh.unlink()
            fresh.symlink_to(target)
            fresh.replace(path)
        entry = {"board": self.board, "pid": os.getpid(), "repl": repl is not None}
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, json.dumps(entry).encode(), 0)

    def _remove_links(self) -> None:
        for path in (self.link, self.repl):
            with suppress(FileNotFoundError):
                path.unlink()

    def release(self) -> None:
        """Give the name back. The lock's file stays: removing it would let two runners lock two files of one name."""
        if self._lock_fd >= 0:
            self._remove_links()
            os.ftruncate(self._lock_fd, 0)
            os.close(self._lock_fd)
            self._lock_fd = -1


def _read_entry(folder: Path, name: str) -> RunningBoard | None:
    try:
        entry = json.loads((folder / f"{name}.lock").read_text(encoding="utf-8"))
        repl = folder / f"{name}.repl" if entry["repl"] else None
        return RunningBoard(name, str(entry["board"]), folder / name, repl, int(entry["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_boards() -> dict[str, RunningBoard]:
    """The emulated boards of this user that run now, by name. Raises MemoryMapError if their list may not be read."""
    folder = _ports_dir()
    running = {}
    for file in files_in(folder):
        if file.endswith(".lock") and is_locked(folder / file):
            entry = _read_entry(folder, file[: -len(".lock")])
            if entry is not None:
                running[entry.name] = entry
    return running


def resolve_port(port: str) -> tuple[str, str | None]:
    """(path or URL of the serial port, the name for its mirror if it is an emulated board's).

    `port` is the name of a running emulated board, or anything that names a serial port.
    Raises BoardError when it is the name of a board that does not run.
    """
    running = running_boards()
    if port in running:
        return str(running[port].link), port
    for entry in running.values():
        if Path(port) == entry.link or (
            os.path.exists(port) and os.path.exists(entry.link) and os.path.samefile(port, entry.link)
        ):
            return str(entry.link), entry.name
        if Path(port) == entry.repl:
            return port, None
    if Path(port).parent == _ports_dir():  # what a killed runner left: its pty's number may be another terminal's now
        raise BoardError(f"board {Path(port).name} is not running any more")
    if port in known_names() and not os.path.exists(port):
        raise BoardError(f"board {port} is not running: start it with `feagi-state start {port}`")
    return port, None


def resolve_prompt(port: str) -> tuple[str, RunningBoard | None]:
    """(path or URL of the port with the prompt, the running board that it is of if it is an emulated one's).

    `port` is the name of a running emulated board, or anything that names a serial port. Raises BoardError as
    `resolve_port` does.
    """
    path, name = resolve_port(port)
    if name is None:
        for entry in running_boards().values():
            if entry.repl is not None and os.path.exists(port) and os.path.samefile(port, entry.repl):
                return str(entry.repl), entry
        return path, None
    entry = running_boards()[name]
    return str(entry.repl if port == name and entry.repl is not None else entry.link), entry


def port_path(port: str) -> str:
    """Path or URL to open for `port`, as `resolve_port` has it. Raises PortError for a board that does not run."""
    try:
        return resolve_port(port)[0]
    except BoardError as error:
        raise PortError(str(error), "absent") from None


def board_name(port: str) -> str | None:
    """Name of the running emulated board that `port` leads to, None for any other port."""
    with suppress(StateError):
        return resolve_port(port)[1]
    return None
