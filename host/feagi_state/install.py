"""Puts the module and a program on a board, whichever board it is: it says itself what it takes.

A file on the board stays as it was until all of the new one has arrived: that is written beside it and renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from . import spec
from .boards import Board, board_of, find_board, known_boards, module_files, module_path
from .errors import PortError, StateError
from .identity import ABI, Identity
from .prompt import BoardFull, ExecError, Prompt, PromptError

__all__ = ["InstallError", "Installed", "Progress", "Request", "check_native", "install"]

PROGRAM = "main.py"
KEPT_PROGRAM = "main.py.bak"
# Looks for a module that is part of the firmware, past the one that runs and past files.
BUILT_IN = (
    "import sys\nold, path = sys.modules.pop('feagi_state', None), sys.path[:]\nsys.path[:] = ['.frozen']\n"
    "try:\n import feagi_state\n print(feagi_state.schema_hash())\n"
    "except ImportError:\n print(None)\n"
    "finally:\n sys.path[:] = path\n if old: sys.modules['feagi_state'] = old"
)


class InstallError(StateError):
    """The board cannot have the module, or the module cannot be had."""


@dataclass(frozen=True)
class Request:
    """What is to go to the board on `port`, the one with its prompt."""

    port: str
    board: str | None = None  # name, for a board that does not say which one it is
    program: Path | None = None  # file for main.py, instead of the board's own
    no_main: bool = False  # leave main.py as it is, or away
    baudrate: int = 115200


@dataclass(frozen=True)
class Installed:
    """What was done."""

    identity: Identity
    board: Board | None
    module: str  # architecture of the module's file, or "built-in": the firmware had it
    files: tuple[str, ...]  # as they are called on the board


class Progress(Protocol):
    """Hears what is done."""

    def say(self, line: str) -> None:
        """A step, for a person."""

    def copying(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes of the file `name` are on the board."""


def install(request: Request, progress: Progress) -> Installed:
    """Do what is requested, and see that the board imports the module and that its program starts.

    Raises PortError, PromptError, BoardError, InstallError, each with a way out.
    """
    program = _read_program(request.program)
    with Prompt(request.port, request.baudrate) as prompt:
        prompt.interrupt()
        identity = prompt.identity()
        board = _named(request.board, identity) if request.board else board_of(identity)
        what = board.title if board else identity.machine
        progress.say(f"{request.port}: {what}, MicroPython {identity.micropython}")
        module, files = _module(prompt, identity, board)
        if not request.no_main:
            files += _program(request, identity, board, program)
        if not identity.is_process:
            prompt.soft_reset()
        _copy(prompt, files, progress)
        _verify(prompt)
        if request.no_main:
            if not identity.is_process:
                prompt.soft_reset()  # what was imported to verify it
        else:
            _start(prompt)
    return Installed(identity, board, module, tuple(name for name, _ in files))


def _named(name: str, identity: Identity) -> Board:
    """The board that somebody says it is, unless it cannot be."""
    board = find_board(name)
    if identity.module_architectures() and board.mpy not in identity.module_architectures():
        raise InstallError(
            f"this board ({identity.machine}) takes native modules for {identity.mpy_arch}: it is no {name}, "
            f"which takes those for {board.mpy}"
        )
    return board


def _read_program(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        raise InstallError(f"there is no program {path}: {error.strerror}") from None


def check_native(identity: Identity, board: Board | None) -> str:
    """Architecture of the module for a board that says this of itself.

    Raises InstallError that says why there is none, and what to do instead.
    """
    who = f"MicroPython {identity.micropython} on this board ({identity.machine})"
    name = board.name if board is not None and not board.emulated else ""
    if not identity.module_architectures():
        build = f"`make firmware BOARD={name} MPY_DIR=...`" if name else "its port's make, USER_C_MODULES=.../firmware"
        raise InstallError(
            f"{who} takes no native modules: its firmware was built without them. Give it firmware that has the module "
            f"inside, from a checkout of feagi-state: {build}"
        )
    if identity.abi != ABI:
        flash = f": `feagi-state flash {name} FIRMWARE`" if name else ""
        newer = f"put MicroPython 1.23 or later on the board{flash}"
        if _numbers(identity.abi) > _numbers(ABI):
            newer = "get a newer feagi-state, or put an older MicroPython on the board"
        raise InstallError(f"{who} takes native modules of ABI {identity.abi or '(none)'}, this one has {ABI}: {newer}")
    offered = {known.mpy for known in known_boards().values()}
    for arch in identity.module_architectures():
        if arch in offered:
            return arch
    raise InstallError(
        f"{who} takes native modules for {identity.mpy_arch}, and there is none: there are {', '.join(sorted(offered))}"
    )


def _numbers(abi: str) -> list[int]:
    return [int(part) for part in abi.split(".") if part]


def _module(prompt: Prompt, identity: Identity, board: Board | None) -> tuple[str, list[tuple[str, bytes]]]:
    """(its architecture, the files to copy); no file where the firmware has the module."""
    built_in = prompt.run(BUILT_IN).split()[-1]
    if built_in != "None":
        if int(built_in) != spec.SCHEMA_HASH:
            raise InstallError(
                f"the board's firmware has feagi_state inside, with schema {int(built_in):#010x}; here it is "
                f"{spec.SCHEMA_HASH:#010x}: build the firmware from this version, or flash one without the module"
            )
        return "built-in", []
    arch = check_native(identity, board)
    path = module_path(arch)
    if not path.is_file():
        raise InstallError(
            f"the native module for {arch} is missing, {path}: in a checkout `make natmod ARCH={arch}` makes it"
        )
    return arch, [(file.name, file.read_bytes()) for file in module_files(path)]


def _program(
    request: Request, identity: Identity, board: Board | None, program: bytes | None
) -> list[tuple[str, bytes]]:
    """The files of the board's program. main.py is the last: what it imports is there before it."""
    if board is None and program is None:
        raise InstallError(
            f"no described board calls itself {identity.machine!r}, so there is no main.py for it: give one with "
            "--program FILE, name the board with --board NAME, or take the module alone with --no-main"
        )
    files = [(path.name, path.read_bytes()) for path in board.files] if board is not None else []
    if program is None:
        assert board is not None
        program = board.demo.read_bytes()
    return [*files, (PROGRAM, program)]


def _copy(prompt: Prompt, files: list[tuple[str, bytes]], progress: Progress) -> None:
    for name, data in files:
        done = 0

        def copied(now: int, total: int, name: str = name) -> None:
            nonlocal done
            done = now
            progress.copying(name, now, total)

        try:
            if prompt.file_hash(name) == sha256(data).digest():
                progress.say(f"{name} is on the board already")
            elif _put(prompt, name, data, copied):
                progress.say(f"the board's {name} is kept as {KEPT_PROGRAM}")
        except BoardFull:
            raise InstallError(_full(prompt, name, len(data))) from None
        except ExecError:
            raise
        except (PortError, PromptError) as error:
            raise InstallError(
                f"copying {name} was interrupted after {done} of {len(data)} bytes: {error}. The board has the {name} "
                "that it had, if any; run the command again"
            ) from error


def _put(prompt: Prompt, name: str, data: bytes, copied: Callable[[int, int], None]) -> bool:
    """Replace a file, or make it. Returns whether the old one was kept: somebody's main.py is not lost."""
    old_len, fresh = prompt.file_len(name), f"{name}.new"
    prompt.remove_file(fresh)
    room = prompt.free_len()
    if room is not None and room < len(data):
        if name == PROGRAM or room + (old_len or 0) < len(data):
            raise BoardFull(name)
        prompt.remove_file(name)  # there is no room for both
    try:
        prompt.write_file(fresh, data, copied)
    except BoardFull:
        prompt.remove_file(fresh)
        raise
    kept = name == PROGRAM and old_len is not None
    if kept:
        prompt.rename_file(name, KEPT_PROGRAM)
    prompt.rename_file(fresh, name)
    return kept


def _full(prompt: Prompt, name: str, size: int) -> str:
    room = prompt.free_len()
    free = f"{room:,} bytes are free" if room is not None else "there is no room"
    return (
        f"the board is full: {name} has {size:,} bytes, and {free}. Remove files, for example with "
        f"`mpremote connect {prompt.port} fs rm :NAME`, and run the command again"
    )


def _verify(prompt: Prompt) -> None:
    try:
        found = int(prompt.run("import feagi_state; print(feagi_state.schema_hash())").split()[-1])
    except ExecError as error:
        raise InstallError(f"the board has the files, and cannot import feagi_state: {error}") from error
    if found != spec.SCHEMA_HASH:
        where = prompt.run("print(getattr(feagi_state, '__file__', 'the firmware'))").strip()
        raise InstallError(
            f"the board imports another feagi_state, from {where}, with schema {found:#010x} instead of "
            f"{spec.SCHEMA_HASH:#010x}: remove that one"
        )


def _start(prompt: Prompt) -> None:
    _, failed, traceback = prompt.start_program().partition("Traceback (most recent call last):")
    if failed:
        error = next((line for line in traceback.splitlines() if line and not line.startswith(" ")), "an error")
        raise InstallError(f"everything is on the board, but its {PROGRAM} ended: {error}")
