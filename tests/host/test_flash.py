"""What flashes a board: the exact command, what is said when it cannot be, and the tool as a process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from feagi_state.boards import BoardError, find_board
from feagi_state.flash import FlashError, flashing

CLI = Path(sys.executable).parent / "feagi-state"
# As in the notes of each board's maker: st-flash and dfu-util know the STM32s' flash at 0x08000000, esptool offsets.
COMMANDS = {
    ("NUCLEO_F446RE", "f.hex"): "st-flash --reset --format ihex write {file}",
    ("NUCLEO_F411RE", "f.bin"): "st-flash --reset write {file} 0x08000000",
    ("NUCLEO_H743ZI", "f.hex"): "st-flash --reset --format ihex write {file}",
    ("STM32F4DISC", "f.hex"): "st-flash --reset --format ihex write {file}",
    ("PYBV11", "f.dfu"): "dfu-util -a 0 -d 0483:df11 -D {file}",
    ("WEACT_F411_BLACKPILL", "f.bin"): "dfu-util -a 0 -d 0483:df11 -s 0x08000000:leave -D {file}",
    ("ESP32_GENERIC", "f.bin"): "esptool --chip esp32 --baud 460800 write_flash 0x1000 {file}",
    ("ESP32_GENERIC_S3", "f.bin"): "esptool --chip esp32s3 --baud 460800 write_flash 0x0 {file}",
    ("ESP32_GENERIC_C3", "f.bin"): "esptool --chip esp32c3 --baud 460800 write_flash 0x0 {file}",
    ("ESP32_GENERIC_C6", "f.bin"): "esptool --chip esp32c6 --baud 460800 write_flash 0x0 {file}",
    ("RPI_PICO", "f.uf2"): "cp {file} RPI-RP2",
}


@pytest.fixture
def firmware(tmp_path):
    def make(name):
        (tmp_path / name).write_bytes(b"firmware")
        return str(tmp_path / name)

    return make


def flash(*arguments, **environment):
    return subprocess.run(
        [CLI, "flash", *arguments], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(("board", "file"), COMMANDS)
def test_the_exact_command(board, file, firmware):
    plan = flashing(find_board(board), Path(firmware(file)))
    assert shlex.join(plan.command) == COMMANDS[board, file].format(file=firmware(file))


def test_a_dry_run_prints_it_with_what_is_done_by_hand_and_needs_no_tool(firmware):
    done = flash("ESP32_GENERIC_C3", firmware("f.bin"), "--port", "/dev/ttyACM3", "--erase", "--dry-run", PATH="/nonexistent")
    expected = f"esptool --chip esp32c3 --port /dev/ttyACM3 --baud 460800 write_flash --erase-all 0x0 {firmware('f.bin')}\n"
    assert (done.returncode, done.stdout) == (0, expected)
    assert done.stderr.startswith("first: if esptool does not get the board into download mode by itself: hold BOOT")


@pytest.mark.parametrize(
    ("board", "file", "options", "says"),
    [
        ("unix", "f.bin", {}, "feagi-state start unix"),
        ("NUCLEO_F446RE", "f.dfu", {}, "st-flash, which takes a .hex or .bin file"),
        ("ESP32_GENERIC", "f.uf2", {}, "esptool, which takes a .bin file"),
        ("RPI_PICO", "f.bin", {}, "takes a .uf2 file"),
        ("PYBV11", "f.dfu", {"erase": True}, "--erase is for esptool"),
        ("PYBV11", "f.dfu", {"port": "/dev/ttyACM0"}, "it takes no --port"),
    ],
)
def test_what_cannot_be_flashed(board, file, options, says, firmware):
    with pytest.raises(FlashError) as caught:
        flashing(find_board(board), Path(firmware(file)), **options)
    assert says in str(caught.value)


def test_a_board_and_a_firmware_that_are_not_there():
    with pytest.raises(BoardError, match="known boards: ESP32_GENERIC"):
        find_board("nonsense")
    done = flash("RPI_PICO", "/nonexistent/f.uf2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "feagi-state: there is no firmware /nonexistent/f.uf2: https://micropython.org/download/RPI_PICO/ has some\n"


@pytest.mark.parametrize(
    ("board", "file", "says"),
    [
        ("ESP32_GENERIC", "f.bin", "no `esptool` here: `pip install esptool`"),
        ("PYBV11", "f.dfu", "no `dfu-util` here: the package dfu-util"),
        ("NUCLEO_F446RE", "f.hex", "no `st-flash` here: the package stlink-tools"),
    ],
)
def test_a_missing_tool_is_named_with_how_to_get_it(board, file, says, firmware, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FlashError) as caught:
        flashing(find_board(board), Path(firmware(file))).run()
    assert says in str(caught.value)


@pytest.mark.parametrize("status", [0, 3])
def test_the_tool_is_run_with_that_command(status, firmware, tmp_path):
    """Its place is taken by a script: no board is here."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "st-flash"
    tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/said\nexit {status}\n')
    tool.chmod(0o755)
    done = flash("NUCLEO_F446RE", firmware("f.hex"), PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert (tmp_path / "said").read_text() == f"--reset --format ihex write {firmware('f.hex')}\n"
    assert done.returncode == (1 if status else 0)
    assert ("st-flash ended with status 3" in done.stderr) == bool(status)


def test_a_uf2_file_is_copied_to_the_drive(firmware, tmp_path):
    (tmp_path / "drive").mkdir()
    done = flash("RPI_PICO", firmware("f.uf2"), "--port", str(tmp_path / "drive"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "drive" / "f.uf2").read_bytes() == b"firmware"


def test_without_the_drive_it_says_how_to_have_it(firmware):
    done = flash("RPI_PICO", firmware("f.uf2"))
    assert done.returncode == 1
    assert "hold BOOTSEL while you plug the USB in" in done.stderr.splitlines()[-1]
