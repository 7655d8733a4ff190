"""What boards there are. A board is a folder `boards/<name>/` with a `board.toml`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import StateError

__all__ = [
    "Board",
    "BoardError",
    "SerialPort",
    "boards_dir",
    "find_board",
    "known_boards",
    "known_names",
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


def known_names() -> list[str]:
    """Names of the described boards, none where there are no descriptions. Reads none of them."""
    try:
        return [path.parent.name for path in boards_dir().glob("*/board.toml")]
    except BoardError:
        return []
