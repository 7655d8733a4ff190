"""Whether what is needed is there, and what to do where it is not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from . import _core, spec
from .boards import BoardError, boards_dir, known_boards, module_path
from .flash import SOURCES, FlashError, find_tool
from .identity import ABI
from .install import InstallError, check_native
from .serial_ports import FoundPort, find_ports, look_at
from .transport import permission_hint

__all__ = ["Finding", "examine"]

# Of the checkout's toolchain: a command, what it is for, and Debian's package of it.
BUILDERS = (
    ("gcc", "the package's extension and the unix board's module", "gcc"),
    ("arm-none-eabi-gcc", "modules and firmware for Cortex-M", "gcc-arm-none-eabi"),
    ("riscv64-unknown-elf-gcc", "modules for RISC-V", "gcc-riscv64-unknown-elf"),
    ("xtensa-lx106-elf-gcc", "modules for ESP32, S2 and S3 where the vendor's compiler is not", "gcc-xtensa-lx106"),
    ("qemu-system-arm", "emulated boards", "qemu-system-arm"),
    ("qemu-system-riscv32", "the emulated RISC-V board", "qemu-system-misc"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool | None  # None: not there, and only some uses need it
    text: str


def examine(port: str | None = None, baudrate: int = 115200) -> Iterator[Finding]:
    """Look at this computer, and at the board on `port` (the one with its prompt) if one is given.

    `port` is opened, and a prompt that answers is asked; no other one is opened.
    """
    yield from _package()
    yield from _modules()
    yield from _tools()
    if port is None:
        yield from _ports()
    else:
        yield from _board(port, baudrate)


def _package() -> Iterator[Finding]:
    yield Finding("Python", True, f"{sys.version.split()[0]} in {sys.executable}")
    same = _core.SCHEMA_HASH == spec.SCHEMA_HASH
    yield Finding(
        "schema", same, f"{spec.SCHEMA_HASH:#010x}, protocol {spec.PROTOCOL_VERSION}, layout {spec.LAYOUT_VERSION}"
    )
    for package in ("mpremote", "pyserial"):
        try:
            yield Finding(package, True, version(package))
        except PackageNotFoundError:
            yield Finding(package, False, f"not installed: `pip install {package}`")


def _modules() -> Iterator[Finding]:
    try:
        root, boards = boards_dir().parent, known_boards()
    except BoardError as error:
        yield Finding("boards", False, str(error))
        return
    yield Finding("boards", True, f"{len(boards)} described in {root / 'boards'}")
    arches = sorted({board.mpy for board in boards.values()})
    there = [arch for arch in arches if module_path(arch, root).is_file()]
    missing = [arch for arch in arches if arch not in there]
    text = f"for {', '.join(there)}; ABI {ABI}" if there else "none"
    if missing:
        made = "`make natmod` makes them" if _in_checkout() else "they are not part of this installation"
        text += f"; missing: {', '.join(missing)}: {made}"
    yield Finding("native modules", None if there and missing else bool(there), text)


def _tools() -> Iterator[Finding]:
    for tool, source in SOURCES.items():
        try:
            yield Finding(tool, True, find_tool(tool))
        except FlashError:
            yield Finding(tool, None, f"not here, for `feagi-state flash`: {source} provides it")
    for command, use, package in BUILDERS if _in_checkout() else ():
        found = shutil.which(command)
        yield Finding(command, True if found else None, found or f"not here, for {use}: apt-get install {package}")


def _in_checkout() -> bool:
    try:
        return (boards_dir().parent / "Makefile").is_file()
    except BoardError:
        return False


def _ports() -> Iterator[Finding]:
    found = [port for port in find_ports() if port.usb or port.board]
    if not found:
        yield Finding("ports", None, "no USB serial port, and no emulated board runs: plug a board in")
    for port in found:
        yield _permission(port)


def _permission(port: FoundPort) -> Finding:
    may = os.access(port.port, os.R_OK | os.W_OK)
    boards = f" ({', '.join(port.boards)}?)" if port.boards else ""
    return Finding(port.port, may, f"{port.what}{boards}" if may else f"no permission{permission_hint(port.port)}")


def _board(port: str, baudrate: int) -> Iterator[Finding]:
    seen = look_at(port, baudrate)
    fine = seen.kind in ("prompt", "link", "served")
    yield Finding(port, fine, seen.text)
    if seen.identity is not None:
        try:
            arch = check_native(seen.identity, seen.board)
            yield Finding("ABI", True, f"{seen.identity.abi}, as ours; the board takes the module for {arch}")
        except InstallError as error:
            inside = seen.schema == spec.SCHEMA_HASH  # a firmware that has the module need take none
            yield Finding("ABI", inside, "the firmware has the module inside" if inside else str(error))
    if seen.kind == "prompt" and seen.schema is None:
        yield Finding("module", None, f"not on the board: `feagi-state install {port}` puts it there")
    elif seen.schema is not None:
        same = seen.schema == spec.SCHEMA_HASH
        what = "as here" if same else f"here it is {spec.SCHEMA_HASH:#010x}: `feagi-state install` brings this version"
        yield Finding("module", same, f"schema {seen.schema:#010x}, {what}")
