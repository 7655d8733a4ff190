"""Firmware onto real boards: the command of the tool that a board is flashed with."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .boards import Board, Flash
from .errors import StateError

__all__ = ["FlashError", "Flashing", "flashing"]

ESP_BAUD = "460800"
DFU_DEVICE = "0483:df11"  # the boot loader in the ROM of every STM32 with USB
UF2_DRIVES = ("/media/*/*", "/media/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")
UF2_MARK = "INFO_UF2.TXT"  # a file that every such drive has
# Kinds of files that each tool takes.
SUFFIXES = {"esptool": (".bin",), "dfu-util": (".dfu", ".bin"), "st-flash": (".hex", ".bin"), "uf2": (".uf2",)}
SOURCES = {
    "esptool": "`pip install esptool`",
    "dfu-util": "the package dfu-util of your system (`apt-get install dfu-util`)",
    "st-flash": "the package stlink-tools of your system (`apt-get install stlink-tools`)",
}


class FlashError(StateError):
    """Firmware cannot be put onto a board."""


@dataclass(frozen=True)
class Flashing:
    """What puts a firmware onto a board."""

    tool: str
    command: tuple[str, ...]  # as one would type it
    prepare: str  # what has to be done by hand first, "" for nothing

    def run(self) -> None:
        """Do it, with the tool's own output. Raises FlashError."""
        if self.tool == "uf2":
            self._copy()
            return
        try:
            status = subprocess.call([find_tool(self.tool), *self.command[1:]])
        except OSError as error:
            raise FlashError(f"{self.tool} cannot be started: {error.strerror}") from error
        if status != 0:
            raise FlashError(f"{self.tool} ended with status {status}: nothing is known of the board's firmware")

    def _copy(self) -> None:
        _, source, drive = self.command
        if not os.path.isdir(drive):
            raise FlashError(f"there is no drive {drive}: {self.prepare}; if your system does not mount it, do that")
        try:
            shutil.copyfile(source, os.path.join(drive, os.path.basename(source)))
        except OSError as error:
            raise FlashError(f"{source} cannot be copied to {drive}: {error.strerror}") from error


def find_tool(tool: str) -> str:
    """Path of a tool: beside this Python, which may be of a virtual environment, then on PATH. Raises FlashError."""
    for name in (tool, f"{tool}.py"):
        beside = Path(sys.executable).parent / name
        found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
        if found is not None:
            return found
    raise FlashError(f"there is no `{tool}` here: {SOURCES[tool]} provides it")


def flashing(board: Board, firmware: Path, port: str | None = None, erase: bool = False) -> Flashing:
    """What puts `firmware`, a file, onto `board`. Nothing is done yet.

    `port`: the serial port for esptool, which looks for one by itself, or the drive of a board with a UF2 boot loader.
    `erase`: the file system too, with esptool. Raises FlashError when the file is none for this board.
    """
    if board.hardware is None:
        raise FlashError(f"{board.name} is emulated: `feagi-state start {board.name}` runs it, nothing is flashed")
    flash = board.hardware.flash
    if firmware.suffix not in SUFFIXES[flash.tool]:
        kinds = " or ".join(SUFFIXES[flash.tool])
        raise FlashError(f"{board.name} is flashed by {flash.tool}, which takes a {kinds} file: {firmware} is none")
    if not firmware.is_file():
        raise FlashError(f"there is no firmware {firmware}: https://micropython.org/download/{board.name}/ has some")
    if erase and flash.tool != "esptool":
        raise FlashError(f"{board.name} is flashed by {flash.tool}: --erase is for esptool")
    if port is not None and flash.tool not in ("esptool", "uf2"):
        raise FlashError(f"{board.name} is flashed by {flash.tool}, which finds it by USB: it takes no --port")
    return Flashing(flash.tool, _command(flash, str(firmware), port, erase), flash.prepare)


def _command(flash: Flash, firmware: str, port: str | None, erase: bool) -> tuple[str, ...]:
    address = f"{flash.address:#x}"
    if flash.tool == "esptool":
        where = ["--port", port] if port else []
        erasing = ["--erase-all"] if erase else []
        return ("esptool", "--chip", flash.chip, *where, "--baud", ESP_BAUD, "write_flash", *erasing, address, firmware)
    if flash.tool == "dfu-util":
        # A .dfu file knows its addresses.
        where = ["-s", f"{flash.address:#010x}:leave"] if firmware.endswith(".bin") else []
        return ("dfu-util", "-a", "0", "-d", DFU_DEVICE, *where, "-D", firmware)
    if flash.tool == "st-flash":
        if firmware.endswith(".hex"):
            return ("st-flash", "--reset", "--format", "ihex", "write", firmware)
        return ("st-flash", "--reset", "write", firmware, f"{flash.address:#010x}")
    return ("cp", firmware, port or _uf2_drive())


def _uf2_drive() -> str:
    """The drive of a board in its UF2 boot loader, or what it is called."""
    found = [path for pattern in UF2_DRIVES for path in glob.glob(pattern) if os.path.exists(f"{path}/{UF2_MARK}")]
    if len(found) > 1:
        raise FlashError(f"more than one board waits for firmware, name its drive with --port: {', '.join(found)}")
    return found[0] if found else "RPI-RP2"
