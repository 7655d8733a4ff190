"""Real boards' descriptions against MicroPython's own definitions of these boards, and their programs on a real MicroPython."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common import ROOT
from feagi_state.boards import Board, Hardware, find_board, known_boards

HERE = Path(__file__).resolve().parent
REAL = [name for name, board in known_boards().items() if not board.emulated]
# Runs a board's main.py with a machine module that tells what it makes, then its timers for a while.
DRIVER = """
import sys, time
import fake_machine, feagi_state
sys.modules["machine"] = fake_machine
fake_machine.Timer.hardware = {hardware_timers!r}
exec(open({main!r}).read(), {{}})
[(uart, baudrate, options, line)] = fake_machine.made
for _ in range(1000):
    for number, period, callback in fake_machine.timers:
        callback(None)
    if line.written and feagi_state.StateManager.instance().neuron_count:
        break
    time.sleep_ms(5)
print(repr((uart, baudrate, options, [timer[:2] for timer in fake_machine.timers], len(line.written),
            feagi_state.StateManager.instance().neuron_count)))
"""


def definition(board: Board) -> Path:
    """MicroPython's folder for the board."""
    assert board.hardware is not None
    source = Path((ROOT / "build" / "stamps" / "mpy_dir").read_text().strip())
    return source / "ports" / board.hardware.port / "boards" / board.name


def defines(text: str) -> dict[str, str]:
    """The values of the #defines, without comments and brackets."""
    pairs = re.findall(r"^#define\s+(MICROPY_HW_\w+)[ \t]+(.*?)[ \t]*(?://.*)?$", text, re.MULTILINE)
    return {name: value.strip("()\"") for name, value in reversed(pairs)}


def hardware(board: Board) -> Hardware:
    assert board.hardware is not None
    return board.hardware


@pytest.mark.parametrize("name", REAL)
def test_a_board_names_itself_as_micropython_has_it(name: str) -> None:
    board = find_board(name)
    found = defines((definition(board) / "mpconfigboard.h").read_text())
    mcu = found.get("MICROPY_HW_MCU_NAME", "RP2040")  # the rp2 port has one name for all boards
    assert hardware(board).machine == f"{found['MICROPY_HW_BOARD_NAME']} with {mcu}"


@pytest.mark.parametrize("name", [name for name in REAL if hardware(find_board(name)).port == "stm32"])
def test_an_stm32s_lines_are_where_micropython_has_them(name: str) -> None:
    board = find_board(name)
    found = defines((definition(board) / "mpconfigboard.h").read_text())
    link = board.link
    aliases = dict(
        line.split(",")[:2] for line in (definition(board) / "pins.csv").read_text().splitlines() if re.match(r"\w+,P\w+", line)
    )
    for pin, end in ((link.tx, "TX"), (link.rx, "RX")):
        assert found[f"MICROPY_HW_UART{link.uart}_{end}"] == "pin_" + aliases.get(pin, pin)[1:]
    assert found.get("MICROPY_HW_UART_REPL") != f"PYB_UART_{link.uart}", "the prompt is on this one"
    usb = {device for port in board.serial if port.repl for device in port.usb if device.startswith("f055:")}
    assert bool(usb) == (found.get("MICROPY_HW_ENABLE_USB") == "1")
    mk = (definition(board) / "mpconfigboard.mk").read_text()
    double = "MICROPY_FLOAT_IMPL = double" in mk
    series = re.search(r"^MCU_SERIES = (\w+)", mk, re.MULTILINE)
    assert series is not None
    assert board.mpy == ("armv7emdp" if double else "armv7emsp")
    assert board.architecture == {"f4": "Cortex-M4F", "h7": "Cortex-M7"}[series[1]]


@pytest.mark.parametrize("name", [name for name in REAL if hardware(find_board(name)).port == "esp32"])
def test_an_esp32_is_flashed_where_micropython_says(name: str) -> None:
    board = find_board(name)
    described = json.loads((definition(board) / "board.json").read_text())
    flash = hardware(board).flash
    assert flash.address == int(described["deploy_options"]["flash_offset"], 0)
    assert flash.chip == described["mcu"]
    cmake = (definition(board) / "mpconfigboard.cmake").read_text()
    target = re.search(r"set\(IDF_TARGET (\w+)\)", cmake)
    assert flash.chip == (target[1] if target else "esp32")
    assert board.mpy == ("rv32imc" if flash.chip in ("esp32c3", "esp32c6") else "xtensawin")


def test_a_pico_is_what_micropython_says() -> None:
    board = find_board("RPI_PICO")
    port = (definition(board).parents[1] / "mpconfigport.h").read_text()
    found = defines(port)
    ids = f"{int(found['MICROPY_HW_USB_VID'], 16):04x}:{int(found['MICROPY_HW_USB_PID'], 16):04x}"
    assert [p.usb for p in board.serial if p.repl] == [(ids,)]
    assert re.search(r"MICROPY_EMIT_THUMB_ARMV7M\s+\(0\)", port) and board.mpy == "armv6m"
    uart = defines((definition(board).parents[1] / "machine_uart.c").read_text())
    link = board.link
    assert (link.tx, link.rx) == (f"GP{uart[f'MICROPY_HW_UART{link.uart}_TX']}", f"GP{uart[f'MICROPY_HW_UART{link.uart}_RX']}")


@pytest.mark.parametrize("name", REAL)
def test_a_boards_program_serves_the_described_line(name: str, tmp_path: Path) -> None:
    board = find_board(name)
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(main=str(board.demo), hardware_timers=hardware(board).port == "esp32"))
    path = ":".join([".frozen", *map(str, find_board("unix").path), str(HERE)])
    done = subprocess.run(
        [Path(sys.executable).parent / "micropython", driver],
        env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    uart, baudrate, options, timers, sent, neurons = ast.literal_eval(done.stdout.splitlines()[-1])
    assert (uart, baudrate, options.pop("rxbuf")) == (board.link.uart, 115200, 1024)
    pins = {end: int(re.sub(r"\D", "", pin)) for end, pin in (("tx", board.link.tx), ("rx", board.link.rx))}
    assert options == ({} if hardware(board).port == "stm32" else pins)
    assert timers == ([(0, 5), (1, 50)] if hardware(board).port == "esp32" else [(-1, 5), (-1, 50)])
    assert sent, "the link is not served"
    assert neurons > 0, "the demo does not run"
    called = ast.parse(board.demo.read_text()).body[-2]
    assert isinstance(called, ast.Assign) and isinstance(called.value, ast.Call)
    assert ast.literal_eval(called.value.args[1]) == name


@pytest.mark.parametrize("name", REAL)
def test_a_boards_page_has_what_its_description_has(name: str) -> None:
    board, page = find_board(name), (ROOT / "boards" / name / "README.md").read_text()
    assert page.startswith(f"# {name}: {board.title}\n")
    flash = hardware(board).flash
    for fact in (board.mpy, board.architecture, hardware(board).mcu, board.link.name, board.link.tx, board.link.rx):
        assert fact in page, fact
    assert f"MicroPython {hardware(board).micropython} or later" in page
    assert f"feagi-state flash {name} firmware." in page
    assert "feagi-state install /dev/" in page and "feagi-state watch /dev/" in page
    if flash.tool == "esptool":
        assert f"at offset {flash.address:#x}" in page
    assert len(page.splitlines()) <= 60, "more than a page"
