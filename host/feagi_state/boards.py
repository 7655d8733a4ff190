"""What boards there are, and which emulated ones run now.

A board is a folder `boards/<name>/` with a `board.toml`. A running emulated board is found under the same path as long
as its runner lives: `ports/<name>` beside the mirrors is a symbolic link to its link port, `<name>.repl` one to its
REPL port. The runner holds a lock on `<name>.lock`: what a killed runner left behind is not taken for a board.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import MemoryMapError, PortError, StateError
from .mirror_files import default_dir, files_in, is_locked, lock_file, make_own_dir

__all__ = [
    "Board",
    "BoardError",
    "PortEntry",
    "RunningBoard",
    "SerialPort",
    "boards_dir",
    "find_board",
    "known_boards",
    "port_path",
    "resolve_port",
    "running_boards",
]

HOWS = ("unix", "qemu")
PROGRAM_HOWS = ("path", "mpremote")


class BoardError(StateError):
    """A board is unknown, its description is wrong, or what it needs to run is missing."""


@dataclass(frozen=True)
class SerialPort:
    """One serial line of a board."""

    name: str
    repl: bool
    frames: bool


@dataclass(frozen=True)
class Board:
    """A board's description, `boards/<name>/board.toml`. Paths are absolute."""

    name: str
    title: str
    emulated: bool
    architecture: str
    mpy: str  # architecture of its native modules, as in `build/mpy/<mpy>_6.3`
    serial: tuple[SerialPort, ...]
    how: str  # which runner starts it
    command: str
    provided_by: str
    arguments: tuple[str, ...]
    firmware: Path | None
    firmware_made_by: str
    program_how: str
    module: Path
    module_made_by: str
    path: tuple[Path, ...]  # where the interpreter looks for modules, for how = "path"
    files: tuple[Path, ...]  # what else goes to the board, for how = "mpremote"
    demo: Path
    folder: Path


class _Reader:
    """Takes typed values out of a description and says which key is wrong."""

    def __init__(self, table: Mapping[str, Any], path: Path, where: str = "") -> None:
        self.table, self.path, self.where = table, path, where

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        value = self.table.get(key, default)
        if value is None:
            raise BoardError(f"{self.path}: {self.where}{key} is missing")
        if not isinstance(value, kind):
            raise BoardError(f"{self.path}: {self.where}{key} is {value!r}, it should be a {kind.__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return str(self.get(key, str, default))

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in choices:
            raise BoardError(f"{self.path}: {self.where}{key} is {value!r}, it should be one of {', '.join(choices)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.get(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise BoardError(f"{self.path}: {self.where}{key} should hold only texts")
        return tuple(values)

    def table_of(self, key: str) -> _Reader:
        return _Reader(self.get(key, dict), self.path, f"{self.where}{key}.")


def _load_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BoardError(f"{path}: {error}") from error
    raise BoardError("the boards of a checkout need Python 3.11 or later; watch, get, set and events do not")


def load_board(folder: Path) -> Board:
    """The description in `folder`. Raises BoardError that names the file and the key that is wrong."""
    path, root = folder / "board.toml", folder.parent.parent
    top = _Reader(_load_toml(path), path)
    serial = []
    for number, table in enumerate(top.get("serial", list)):
        port = _Reader(table, path, f"serial[{number}].")
        serial.append(SerialPort(port.text("name"), port.get("repl", bool), port.get("frames", bool)))
    if sum(port.frames for port in serial) != 1:
        raise BoardError(f"{path}: exactly one serial line should have frames = true")
    start, program = top.table_of("start"), top.table_of("program")
    firmware = start.text("firmware", "")
    board = Board(
        name=top.text("name"),
        title=top.text("title"),
        emulated=top.get("emulated", bool),
        architecture=top.text("architecture"),
        mpy=top.text("mpy"),
        serial=tuple(serial),
        how=start.choice("how", HOWS),
        command=start.text("command"),
        provided_by=start.text("provided_by"),
        arguments=start.texts("arguments"),
        firmware=root / firmware if firmware else None,
        firmware_made_by=start.text("firmware_made_by", "make firmware"),
        program_how=program.choice("how", PROGRAM_HOWS),
        module=root / program.text("module"),
        module_made_by=program.text("module_made_by", "make natmod"),
        path=tuple(root / part for part in program.texts("path")),
        files=tuple(root / part for part in program.texts("files")),
        demo=root / program.text("demo"),
        folder=folder,
    )
    if board.name != folder.name:
        raise BoardError(f"{path}: name is {board.name!r}, it should be the folder's, {folder.name!r}")
    return board


def boards_dir() -> Path:
    """The folder of the descriptions.

    It is $FEAGI_STATE_BOARDS, else that of the checkout around this package, else around the working directory.
    Raises BoardError when there is none: an installed wheel has no boards.
    """
    named = os.environ.get("FEAGI_STATE_BOARDS")
    if named:
        folder = Path(named).resolve()
        if not folder.is_dir():
            raise BoardError(f"FEAGI_STATE_BOARDS is {named!r}: no such folder")
        return folder
    for start in (Path(__file__).resolve().parent, Path.cwd()):
        for parent in (start, *start.parents):
            if any((parent / "boards").glob("*/board.toml")):
                return parent / "boards"
    raise BoardError(
        "no boards here: run this inside a checkout of feagi-state, or set FEAGI_STATE_BOARDS to its folder boards"
    )


def known_boards() -> dict[str, Board]:
    """All described boards by name. Raises BoardError."""
    return {path.parent.name: load_board(path.parent) for path in sorted(boards_dir().glob("*/board.toml"))}


def find_board(name: str) -> Board:
    """The board called `name`. Raises BoardError that lists the known ones."""
    boards = known_boards()
    if name not in boards:
        raise BoardError(f"no board is called {name!r}; known boards: {', '.join(boards)}")
    return boards[name]


# ------------------------------------------------------------------------------------------- running boards


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
    if Path(port).parent == _ports_dir():  # what a killed runner left: its pty's number may be another terminal's now
        raise BoardError(f"board {Path(port).name} is not running any more")
    if port in _known_names() and not os.path.exists(port):
        raise BoardError(f"board {port} is not running: start it with `feagi-state start {port}`")
    return port, None


def port_path(port: str) -> str:
    """Path or URL to open for `port`, as `resolve_port` has it. Raises PortError for a board that does not run."""
    try:
        return resolve_port(port)[0]
    except BoardError as error:
        raise PortError(str(error), "absent") from None


def _known_names() -> list[str]:
    try:
        return [path.parent.name for path in boards_dir().glob("*/board.toml")]
    except BoardError:
        return []
