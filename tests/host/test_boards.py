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


def test_every_folder_with_a_description_is_a_board():
    known = boards.known_boards()
    assert {"unix", "qemu_m3"} <= set(known)
    for name, board in known.items():
        assert board.name == name
        assert board.demo.is_file(), board.demo
        assert all(path.is_file() for path in board.files)
        assert sum(port.frames for port in board.serial) == 1


def test_an_unknown_board_is_named_with_the_known_ones():
    with pytest.raises(boards.BoardError, match=r"'nonsense'.*qemu_m3, unix"):
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
    ],
)
def test_a_wrong_description_is_refused_with_file_and_key(checkout, old, new, says):
    path = checkout / "boards" / "unix" / "board.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(boards.BoardError) as caught:
        boards.find_board("unix")
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
