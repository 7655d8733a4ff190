"""What boards say of themselves, and which module each of them takes or why none."""

from __future__ import annotations

import pytest

from feagi_state import boards, doctor, spec
from feagi_state.identity import Identity, IdentityError, parse_identity
from feagi_state.install import InstallError, check_native
from feagi_state.serial_ports import Seen


def answer(mpy: int, machine: str, version: str = "1.25.0", build: str = "-", platform: str = "pyboard") -> str:
    return f"\r\nfeagi-board {mpy} {version} {build} {platform} {machine}\r\n"


def number(arch: int, version: int = 6, sub: int = 3) -> int:
    return version | (sub | arch << 2) << 8


@pytest.mark.parametrize(
    ("mpy", "machine", "build", "arch", "abi", "takes", "board"),
    [
        (number(7), "NUCLEO-F446RE with STM32F446xx", "NUCLEO_F446RE", "armv7emsp", "6.3", "armv7emsp", "NUCLEO_F446RE"),
        (number(7), "NUCLEO-F446RE with STM32F446xx", "-", "armv7emsp", "6.3", "armv7emsp", "NUCLEO_F446RE"),  # 1.23 has no build
        (number(8), "NUCLEO_H743ZI with STM32H743", "NUCLEO_H743ZI", "armv7emdp", "6.3", "armv7emdp", "NUCLEO_H743ZI"),
        (number(10), "Generic ESP32 module with SPIRAM with ESP32", "ESP32_GENERIC-SPIRAM", "xtensawin", "6.3", "xtensawin", "ESP32_GENERIC"),
        (number(11), "ESP32C3 module with ESP32C3", "ESP32_GENERIC_C3", "rv32imc", "6.3", "rv32imc", "ESP32_GENERIC_C3"),
        (number(4), "Raspberry Pi Pico with RP2040", "RPI_PICO", "armv6m", "6.3", "armv6m", "RPI_PICO"),
        (number(6), "SOME-BOARD with STM32L152xE", "SOME_BOARD", "armv7em", "6.3", "armv7m", None),  # no FPU: the best below
        (number(7) | 1 << 16, "future with flags", "-", "armv7emsp", "6.3", "armv7emsp", None),
    ],
)
def test_a_board_gets_the_module_of_its_architecture(mpy, machine, build, arch, abi, takes, board):
    identity = parse_identity(answer(mpy, machine, build=build))
    assert (identity.mpy_arch, identity.abi, identity.machine) == (arch, abi, machine)
    found = boards.board_of(identity)
    assert (found.name if found else None) == board
    assert check_native(identity, found) == takes


def test_a_thumb_firmware_takes_what_is_below_it():
    assert Identity("1.25.0", "armv7emsp", "armv7emsp", "x").module_architectures() == ("armv7emsp", "armv7em", "armv7m", "armv6m")
    assert Identity("1.25.0", "rv32imc", "rv32imc", "x").module_architectures() == ("rv32imc",)
    assert Identity("1.25.0", "none", "none", "x").module_architectures() == ()


@pytest.mark.parametrize(
    ("mpy", "version", "machine", "says"),
    [
        (number(0), "1.25.0", "NUCLEO-F091RC with STM32F091RCT6", ["takes no native modules", "USER_C_MODULES"]),
        (number(0), "1.23.0", "ESP32C3 module with ESP32C3", ["takes no native modules", "make firmware BOARD=ESP32_GENERIC_C3 MPY_DIR="]),
        (0, "1.10.0", "PYBv1.1 with STM32F405RG", ["takes no native modules"]),
        (number(7, sub=2), "1.22.0", "PYBv1.1 with STM32F405RG", ["ABI 6.2", "6.3", "MicroPython 1.23 or later", "feagi-state flash PYBV11"]),
        (number(7, sub=0), "1.19.1", "unknown with something", ["ABI 6.0", "MicroPython 1.23 or later"]),
        (number(7, version=7, sub=0), "2.1.0", "PYBv1.1 with STM32F405RG", ["ABI 7.0", "a newer feagi-state"]),
        (number(9), "1.25.0", "ESP module with ESP8266", ["for xtensa", "there are armv6m, armv7emdp"]),
        (number(15), "1.99.0", "new board", ["for unknown (15)"]),
    ],
)
def test_why_a_board_cannot_have_the_module_and_what_to_do(mpy, version, machine, says):
    identity = parse_identity(answer(mpy, machine, version))
    with pytest.raises(InstallError) as caught:
        check_native(identity, boards.board_of(identity))
    for text in (machine, version, *says):
        assert text in str(caught.value)


@pytest.mark.parametrize(("schema", "is_well", "says"), [(spec.SCHEMA_HASH, True, "module inside"), (None, False, "takes no native modules")])
def test_doctor_wants_no_native_modules_of_a_firmware_that_has_ours(monkeypatch, schema, is_well, says):
    identity = parse_identity(answer(number(0), "NUCLEO-F091RC with STM32F091RCT6"))
    monkeypatch.setattr(doctor, "look_at", lambda port, baudrate: Seen("prompt", "a prompt", identity, None, schema))
    [abi] = [finding for finding in doctor.examine("/dev/ttyACM0") if finding.what == "ABI"]
    assert (abi.ok, says in abi.text) == (is_well, True)


@pytest.mark.parametrize("said", ["", "feagi-board", "feagi-board x 1.25.0 - p m", "Traceback (most recent call last):"])
def test_what_is_no_answer_is_quoted(said):
    with pytest.raises(IdentityError, match="does not say what it is"):
        parse_identity(said)
