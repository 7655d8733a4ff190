"""Descriptions of boards, and what is said when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feagi_state import boards, emulator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the descriptions, to spoil."""
    for path in (ROOT / "boards").glob("*/board.toml"):
        (tmp_path / "boards" / path.parent.name).mkdir(parents=True)
        shutil.copy(path, tmp_path / "boards" / path.parent.name)
    monkeypatch.setenv("FEAGI_STATE_BOARDS", str(tmp_path / "boards"))
    return tmp_path


EMULATED = ("qemu_m0", "qemu_m3", "qemu_m4f", "qemu_m7", "qemu_rv32")
REAL = (
    "NUCLEO_F446RE", "NUCLEO_F411RE", "PYBV11", "STM32F4DISC", "WEACT_F411_BLACKPILL", "NUCLEO_H743ZI",
    "ESP32_GENERIC", "ESP32_GENERIC_S3", "ESP32_GENERIC_C3", "ESP32_GENERIC_C6", "RPI_PICO",
)  # fmt: skip


def test_every_folder_with_a_description_is_a_board():
    known = boards.known_boards()
    assert {"unix", *EMULATED, *REAL} <= set(known)
    for name, board in known.items():
        assert board.name == name
        assert board.demo.is_file(), board.demo
        assert all(path.is_file() for path in board.files)
        assert (board.folder / "README.md").is_file()
        assert board.link.frames
        assert board.emulated == (board.hardware is None)


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_says_how_it_is_reached_and_flashed(name):
    board = boards.find_board(name)
    assert board.hardware is not None
    assert any(port.repl and not port.frames and port.usb for port in board.serial)
    assert board.link.uart is not None
    assert board.link.tx and board.link.rx and board.link.tx != board.link.rx
    flash = board.hardware.flash
    assert bool(flash.chip) == (flash.tool == "esptool") == (board.hardware.port == "esp32")
    assert flash.address == {"stm32": 0x08000000, "esp32": 0x1000 if flash.chip == "esp32" else 0, "rp2": 0}[board.hardware.port]


def test_an_unknown_board_is_named_with_the_known_ones():
    with pytest.raises(boards.BoardError, match=r"'nonsense'.*qemu_m3, .*unix"):
        boards.find_board("nonsense")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "unix"', 'name = "eunuchs"', "name is 'eunuchs', it should be the folder's, 'unix'"),
        ('how = "unix"', 'how = "magic"', "start.how is 'magic', it should be one of unix, qemu"),
        ("frames = true", "frames = false", "exactly one serial line should have frames = true"),
        ("emulated = true", 'emulated = "yes"', "emulated is 'yes', it should be a bool"),
        ('title = "', 'titel = "', "title is missing"),
        ("[program]", "[program", "board.toml"),
        ("[program]", "[program]\npaht = []", "program.paht is no key of a board's description"),
        ('mpy = "x64"', 'mpy = "x65"', "mpy is 'x65', it should be one of none, x86, x64"),
        ('path = ["build/mpy/x64_6.3", "firmware/python"]', "path = [1]", "program.path is [1], it should hold texts"),
    ],
)
def test_a_wrong_description_is_refused_with_file_and_key(checkout, old, new, says):
    assert_refused(checkout / "boards" / "unix" / "board.toml", old, new, says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[flash]", "[flush]", "flash is missing"),
        ('tool = "esptool"', 'tool = "magic"', "flash.tool is 'magic', it should be one of esptool, dfu-util, st-flash, uf2"),
        ("chip = ", "# chip = ", "flash.chip is missing"),
        ("address = 0x1000", "address = -1", "flash.address is -1, it should be 0 to 4294967295"),
        ('"10c4:ea60"', '"CP2102"', "serial[0].usb is ['CP2102', '1a86:7523', '1a86:55d4'], it should hold texts like '0483:374b'"),
        ("uart = 2", "uart = true", "serial[1].uart is True, it should be 0 to 15"),
        ('port = "esp32"', 'port = "esp33"', "hardware.port is 'esp33', it should be one of stm32, esp32, rp2"),
        ('micropython = "1.23"', 'micropython = "v1.23"', "hardware.micropython is 'v1.23', it should be like '1.23'"),
        ("emulated = false", "emulated = true", "start is missing"),
    ],
)
def test_a_wrong_description_of_a_real_board_is_refused(checkout, old, new, says):
    assert_refused(checkout / "boards" / "ESP32_GENERIC" / "board.toml", old, new, says)


def assert_refused(path, old, new, says):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(boards.BoardError) as caught:
        boards.load_board(path.parent)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_folder_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setenv("FEAGI_STATE_BOARDS", "/nonexistent")
    with pytest.raises(boards.BoardError, match="/nonexistent"):
        boards.boards_dir()


@pytest.mark.parametrize(
    ("name", "says"),
    [("unix", "make natmod ARCH=x64"), ("qemu_m3", "make natmod ARCH=armv7m")],
)
def test_a_missing_module_names_what_makes_it(checkout, name, says):
    with pytest.raises(boards.BoardError, match=says):
        emulator.start_board(boards.find_board(name))


def test_missing_firmware_names_what_makes_it(checkout):
    board = boards.find_board("qemu_m3")
    board.module.parent.mkdir(parents=True)
    board.module.touch()
    with pytest.raises(boards.BoardError, match="make firmware BOARD=qemu_m3"):
        emulator.start_board(board)


@pytest.mark.parametrize(("name", "says"), [("qemu_m3", "apt package qemu-system-arm"), ("unix", "make setup")])
def test_a_missing_emulator_names_its_package(checkout, monkeypatch, tmp_path, name, says):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(boards.BoardError, match=says):
        emulator.start_board(boards.find_board(name))


# --------------------------------------------------------------------------------------------- apt's packages


def need_apt(*needs: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "boards" / "tools" / "need_apt.sh"
    return subprocess.run(
        ["bash", str(script), *needs],
        capture_output=True,
        text=True,
        env={**os.environ, "FEAGI_NO_APT": "1", **environment},
    )


def test_what_is_installed_is_not_asked_for():
    assert need_apt("no-such-package:bash", "bash").returncode == 0


def test_what_is_missing_is_said_as_the_command_to_type():
    done = need_apt("bash", "no-such-package:no-such-command", "no-other-package")
    assert done.returncode == 1
    assert "sudo apt-get install no-such-package no-other-package" in done.stderr
