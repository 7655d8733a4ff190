"""What boards there are. A board is a folder `boards/<name>/` with a `board.toml`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import StateError
from .identity import ABI, MPY_ARCHITECTURES, Identity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Board",
    "BoardError",
    "Flash",
    "Hardware",
    "SerialPort",
    "board_of",
    "boards_dir",
    "find_board",
    "known_boards",
    "known_names",
    "load_board",
    "module_files",
    "module_path",
]

HOWS = ("unix", "qemu")
PROGRAM_HOWS = ("path", "mpremote")
PORTS = ("stm32", "esp32", "rp2")
FLASH_TOOLS = ("esptool", "dfu-util", "st-flash", "uf2")


class BoardError(StateError):
    """A board is unknown, its description is wrong, or what it needs to run is missing."""


@dataclass(frozen=True)
class SerialPort:
    """One serial line of a board. The rest after `frames` is of real boards."""

    name: str
    repl: bool  # MicroPython's prompt is on it
    frames: bool  # the board's main.py serves the link on it
    where: str = ""  # the connector or the pins, for people
    usb: tuple[str, ...] = ()  # "vvvv:pppp" of the USB devices that may be at its other end, in lower case
    uart: int | None = None  # number of machine.UART
    tx: str = ""  # pins, as machine.Pin names them
    rx: str = ""


@dataclass(frozen=True)
class Flash:
    """How firmware gets onto a real board."""

    tool: str
    chip: str  # for esptool: its --chip
    address: int  # of a .bin: a flash offset for esptool, a memory address for the others
    prepare: str  # what has to be done by hand first, "" for nothing


@dataclass(frozen=True)
class Hardware:
    """What a real board is, in MicroPython's words."""

    mcu: str
    port: str  # folder of MicroPython's ports/ that its firmware is built from
    machine: str  # how its official firmware names itself: sys.implementation._machine
    micropython: str  # first version whose official firmware takes the module, for example "1.23"
    flash: Flash


@dataclass(frozen=True)
class Board:
    """A board's description, `boards/<name>/board.toml`. Paths are absolute.

    A real board has `hardware`, an emulated one what comes after it.
    """

    name: str  # for a real board the name that MicroPython has for it
    title: str
    emulated: bool
    architecture: str
    mpy: str  # architecture of its native modules, as in `build/mpy/<mpy>_6.3`
    serial: tuple[SerialPort, ...]
    demo: Path  # the program that the board runs unless it is given another one, its main.py
    files: tuple[Path, ...]  # what goes to the board with it
    folder: Path
    hardware: Hardware | None = None
    how: str = ""  # which runner starts it
    command: str = ""
    provided_by: str = ""
    arguments: tuple[str, ...] = ()
    firmware: Path | None = None
    firmware_made_by: str = ""
    program_how: str = ""
    path: tuple[Path, ...] = ()  # where the interpreter looks for modules, for program_how = "path"

    @property
    def module(self) -> Path:
        """The native module for this board."""
        return module_path(self.mpy, self.folder.parent.parent)

    @property
    def modules(self) -> list[Path]:
        """`module`, and what it imports, as far as they have been built."""
        return module_files(self.module)

    @property
    def module_made_by(self) -> str:
        """The command that makes `module` in a checkout."""
        return f"make natmod ARCH={self.mpy}"

    @property
    def link(self) -> SerialPort:
        """The line that the board's main.py serves the link on."""
        return next(port for port in self.serial if port.frames)


class _Reader:
    """Takes typed values out of a description and says which key is wrong."""

    def __init__(self, table: Mapping[str, Any], path: Path, where: str = "") -> None:
        self.table, self.path, self.where = table, path, where
        self.known: set[str] = set()

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        self.known.add(key)
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

    def like(self, key: str, pattern: str, example: str) -> str:
        value = self.text(key)
        if not re.fullmatch(pattern, value):
            raise BoardError(f"{self.path}: {self.where}{key} is {value!r}, it should be like {example!r}")
        return value

    def number(self, key: str, below: int) -> int | None:
        """A number from 0 on, None where there is none."""
        if key not in self.table:
            return None
        value = self.get(key, int)
        if isinstance(value, bool) or not 0 <= value < below:
            raise BoardError(f"{self.path}: {self.where}{key} is {value!r}, it should be 0 to {below - 1}")
        return int(value)

    def texts(self, key: str, pattern: str = ".+", example: str = "a text") -> tuple[str, ...]:
        values = self.get(key, list, [])
        if not all(isinstance(value, str) and re.fullmatch(pattern, value) for value in values):
            raise BoardError(f"{self.path}: {self.where}{key} is {values!r}, it should hold texts like {example!r}")
        return tuple(values)

    def table_of(self, key: str) -> _Reader:
        return _Reader(self.get(key, dict), self.path, f"{self.where}{key}.")

    def done(self) -> None:
        """Refuse keys that nothing has asked for: a misspelled one would go unnoticed."""
        for key in self.table:
            if key not in self.known:
                raise BoardError(f"{self.path}: {self.where}{key} is no key of a board's description")


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        description: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"{path}: {error}") from error
    return description


def _serial_port(table: _Reader) -> SerialPort:
    port = SerialPort(
        name=table.text("name"),
        repl=table.get("repl", bool),
        frames=table.get("frames", bool),
        where=table.text("where", ""),
        usb=table.texts("usb", "[0-9a-f]{4}:[0-9a-f]{4}", "0483:374b"),
        uart=table.number("uart", 16),
        tx=table.text("tx", ""),
        rx=table.text("rx", ""),
    )
    table.done()
    return port


def _hardware(top: _Reader) -> Hardware:
    table, flash = top.table_of("hardware"), top.table_of("flash")
    tool = flash.choice("tool", FLASH_TOOLS)
    hardware = Hardware(
        mcu=table.text("mcu"),
        port=table.choice("port", PORTS),
        machine=table.text("machine"),
        micropython=table.like("micropython", r"1\.[0-9]+", "1.23"),
        flash=Flash(
            tool=tool,
            chip=flash.text("chip", None if tool == "esptool" else ""),
            address=flash.number("address", 1 << 32) or 0,
            prepare=flash.text("prepare", ""),
        ),
    )
    table.done()
    flash.done()
    return hardware


def _emulation(top: _Reader, program: _Reader, root: Path) -> dict[str, Any]:
    table = top.table_of("start")
    firmware = table.text("firmware", "")
    emulation = {
        "how": table.choice("how", HOWS),
        "command": table.text("command"),
        "provided_by": table.text("provided_by"),
        "arguments": table.texts("arguments"),
        "firmware": root / firmware if firmware else None,
        "firmware_made_by": table.text("firmware_made_by", "make firmware"),
        "program_how": program.choice("how", PROGRAM_HOWS),
        "path": tuple(root / part for part in program.texts("path")),
    }
    table.done()
    return emulation


def load_board(folder: Path) -> Board:
    """The description in `folder`. Raises BoardError that names the file and the key that is wrong."""
    path, root = folder / "board.toml", folder.parent.parent
    top = _Reader(_load_toml(path), path)
    lines = top.get("serial", list)
    serial = tuple(_serial_port(_Reader(line, path, f"serial[{n}].")) for n, line in enumerate(lines))
    if sum(port.frames for port in serial) != 1:
        raise BoardError(f"{path}: exactly one serial line should have frames = true")
    program = top.table_of("program")
    emulated = top.get("emulated", bool)
    rest: dict[str, Any] = _emulation(top, program, root) if emulated else {"hardware": _hardware(top)}
    board = Board(
        name=top.text("name"),
        title=top.text("title"),
        emulated=emulated,
        architecture=top.text("architecture"),
        mpy=top.choice("mpy", MPY_ARCHITECTURES),
        serial=serial,
        demo=root / program.text("demo"),
        files=tuple(root / part for part in program.texts("files")),
        folder=folder,
        **rest,
    )
    program.done()
    top.done()
    if board.name != folder.name:
        raise BoardError(f"{path}: name is {board.name!r}, it should be the folder's, {folder.name!r}")
    return board


def module_path(arch: str, root: Path | None = None) -> Path:
    """Where the native module for the architecture `arch` is, if it has been built.

    `root`: the folder of boards/ and build/, else that of `boards_dir`, which raises BoardError when there is none.
    """
    return (root or boards_dir().parent) / "build" / "mpy" / f"{arch}_{ABI}" / "feagi_state.mpy"


def module_files(module: Path) -> list[Path]:
    """A native module and what it imports: all that has been built beside it."""
    return sorted(module.parent.glob("*.mpy"))


def boards_dir() -> Path:
    """The folder of the descriptions.

    It is $FEAGI_STATE_BOARDS, else that of a wheel, of the checkout around this package, or around the working
    directory. Raises BoardError when there is none.
    """
    named = os.environ.get("FEAGI_STATE_BOARDS")
    if named:
        folder = Path(named).resolve()
        if not folder.is_dir():
            raise BoardError(f"FEAGI_STATE_BOARDS is {named!r}: no such folder")
        return folder
    for start in (Path(__file__).resolve().parent / "_files", Path.cwd()):
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


def board_of(identity: Identity) -> Board | None:
    """The described board that names itself like this, None when there is none."""
    for board in known_boards().values():
        named = identity.build == board.name or identity.build.startswith(f"{board.name}-")  # a variant of it
        described = board.hardware is not None and board.hardware.machine == identity.machine
        if named or described or (board.how == "unix" and identity.is_process):
            return board
    return None


def known_names() -> list[str]:
    """Names of the described boards, none where there are no descriptions. Reads none of them."""
    try:
        return [path.parent.name for path in boards_dir().glob("*/board.toml")]
    except BoardError:
        return []
