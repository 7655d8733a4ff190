"""feagi_micropython.h: a C driver's interrupt and a Python program share one state, under load and over soft resets.

QEMU counts instructions here, 16 ns each (-icount): interrupts are then as precise as on a real CPU, between any two
instructions, and none is missed however busy the host is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from board_scripts import run_on, start_quiet

from common import ROOT, build_firmware, emulated_boards
from feagi_state import spec
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard

pytestmark = pytest.mark.qemu
HERE = Path(__file__).resolve().parent
BOARDS = emulated_boards(lambda board: board.how == "qemu")
PERIOD_US = 100
ROUNDS = 200_000  # of 100 us: 20 s
CORE_AT = spec.HEADER_LEN_BYTES
STAMP_AT = CORE_AT + spec.CORE_FIELDS["genome_timestamp"].offset
TWINS_AT = [CORE_AT + spec.CORE_FIELDS[name].offset for name in ("regular_neuron_count", "memory_neuron_count")]


def running(name: str, firmware: Path, folder: Path) -> EmulatedBoard:
    """The board with this firmware, and the check on its file system."""
    board = find_board(name)
    board = replace(board, firmware=firmware, arguments=(*board.arguments, "-icount", "shift=4"))
    return start_quiet(board, folder, HERE / "check_driver.py")


def modules(folder: Path, ours: Path) -> Path:
    """Both modules in one folder, as a firmware developer has them."""
    folder.mkdir()
    (folder / "feagi_state").symlink_to(ours / "micropython")
    (folder / "driver").symlink_to(HERE / "driver")
    return folder


def run(board: EmulatedBoard, code: str) -> dict[str, int]:
    """Runs code on the board after a soft reset. Returns the numbers that it printed."""
    said = run_on(board, f"import check_driver as c; {code}", "soft-reset", "resume")
    assert "Traceback" not in said, said
    return {name: int(number) for name, number in re.findall(r"(\w+) (-?\d+)", said)}


def hammer(board: EmulatedBoard, rounds: int) -> dict[str, int]:
    return run(board, f"c.read_while_the_interrupt_writes({rounds}, {PERIOD_US}, {STAMP_AT}, {TWINS_AT})")


@pytest.fixture(scope="module", params=BOARDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def board(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """The firmware as we deliver it, with the driver."""
    folder = tmp_path_factory.mktemp(name)
    firmware = build_firmware(name, f"{name}_driver", modules(folder / "modules", ROOT / "firmware"))
    with running(name, firmware, folder) as started:
        yield started


FAULTS = ("torn", "back", "disorder", "wrong", "uncounted", "unversioned", "missing")


def test_nothing_is_lost_or_torn_in_20_seconds_of_10_khz(board: EmulatedBoard) -> None:
    said = hammer(board, ROUNDS)
    assert {fault: said[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert said["lost"] > 0, "the ring was never full: that losses are counted is not shown"
    assert said["turns"] > 10000 and said["snapshots"] > 1000
    # By the board's own clock: the interrupt kept its pace.
    assert 0.99 < said["ms"] / (ROUNDS * PERIOD_US / 1000) < 1.05


def test_a_soft_reset_leaves_c_its_state_and_python_its_heap(board: EmulatedBoard) -> None:
    before = run(board, "c.start_for_ever(); print('id', c.state.boot_id)")
    after = run(board, "c.go_on(); print('id', c.state.boot_id)")
    assert after == {"damaged": 0, "ahead": 0, "agents": 1, "id": before["id"]}


# What is changed in the sources, and the faults of which some must show then.
MUTANTS = {
    "no critical section": (
        [
            ("port/feagi_port_cortexm.h", r"\n\tcpsid i", ""),
            ("port/feagi_port_rv32.h", "csrrci %0, mstatus, %1", "csrr %0, mstatus"),
        ],
        {"torn", "wrong", "uncounted", "unversioned"},
    ),
    # A barrier of the compiler keeps the order. Without it gcc keeps it here as well, so the mutant has the other order.
    "a place freed before it is read": (
        [
            (
                "core/feagi_events.c",
                "    feagi_events_release(r, 1);\n    return 1;",
                "    feagi_events_release(r, 1);\n    const slot_t *late = slot_of(r, ring_of(r)->tail - 1);\n"
                "    take_apart(event, late->first, late->second);\n    return 1;",
            )
        ],
        {"disorder"},
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_test_finds(mutant: str, name: str, board: EmulatedBoard, tmp_path: Path) -> None:
    changes, shown = MUTANTS[mutant]
    ours = tmp_path / "firmware"
    for part in ("core", "port", "micropython", "python"):
        shutil.copytree(ROOT / "firmware" / part, ours / part)
    for path, old, new in changes:
        text = (ours / path).read_text()
        assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
        (ours / path).write_text(text.replace(old, new))
    # MicroPython itself is as it was built with ours.
    build = ROOT / "build" / "firmware"
    shutil.rmtree(build / f"{name}_mutant", ignore_errors=True)
    shutil.copytree(build / f"{name}_driver", build / f"{name}_mutant")
    firmware = build_firmware(name, f"{name}_mutant", modules(tmp_path / "modules", ours))
    with running(name, firmware, tmp_path) as mutated:
        said = hammer(mutated, ROUNDS // 4)
    found = {fault for fault in FAULTS if said[fault] != 0}
    assert found & shown, f"the test does not see that there is {mutant}: {said}"
