"""The module on real MicroPythons: the native .mpy that boards load, and the user C module, each against the same scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import board_scripts
import pytest
from board_scripts import counted, run_on, run_on_unix, start_quiet

from common import ROOT, VECTORS, build_firmware
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard
from feagi_state.install import Request, install

# Script -> what to call in it, and how many checks it makes at least.
SCRIPTS = {"run_vectors": ("run({folder!r})", 690), "check_module": ("run()", 99), "check_files": ("run({every})", 68)}
ON_BOARD = (*(board_scripts.FOLDER / f"{script}.py" for script in SCRIPTS), VECTORS / "frames.txt", VECTORS / "regions.txt")


def assert_all_passed(script: str, output: str, may_skip: str = "nothing") -> None:
    count = counted(output)
    assert count.failed == 0, output
    assert count.ran >= SCRIPTS[script][1]
    assert all(f"profile {may_skip} " in line for line in count.skipped), output


def program_of(script: str, folder: str, every: int) -> str:
    """Vectors are in `folder`; of so many bits one is flipped."""
    return f"import {script}; {script}.{SCRIPTS[script][0].format(folder=folder, every=every)}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_native_module_on_the_unix_port(script: str, tmp_path: Path) -> None:
    assert_all_passed(script, run_on_unix(program_of(script, str(VECTORS), 1), tmp_path))


@pytest.fixture(scope="module")
def cortex_m3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    with start_quiet(find_board("qemu_m3"), tmp_path_factory.mktemp("m3"), *ON_BOARD) as board:
        yield board


@pytest.fixture(scope="module")
def cortex_m3_with_user_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """Firmware with the module inside, built here."""
    firmware = build_firmware("qemu_m3", "qemu_m3_usermod", ROOT / "firmware")
    with start_quiet(replace(find_board("qemu_m3"), firmware=firmware), tmp_path_factory.mktemp("usermod"), *ON_BOARD) as running:
        remove = "import os; names = [n for n in os.listdir() if n.endswith('.mpy')]; print(len(names), [os.remove(n) for n in names])"
        assert run_on(running, remove).startswith("2 "), "all of it is in the firmware now"
        yield running


@pytest.mark.qemu
@pytest.mark.parametrize("script", SCRIPTS)
def test_native_module_on_a_cortex_m3(cortex_m3: EmulatedBoard, script: str) -> None:
    assert_all_passed(script, run_on(cortex_m3, program_of(script, "", 61)), may_skip="host")


@pytest.mark.qemu
@pytest.mark.parametrize("script", SCRIPTS)
def test_user_c_module_on_a_cortex_m3(cortex_m3_with_user_module: EmulatedBoard, script: str) -> None:
    assert_all_passed(script, run_on(cortex_m3_with_user_module, program_of(script, "", 61)), may_skip="host")


class Quiet:
    def say(self, line: str) -> None: ...

    def copying(self, name: str, done: int, total: int) -> None: ...


@pytest.mark.qemu
def test_firmware_that_has_the_module_is_given_none(cortex_m3_with_user_module: EmulatedBoard) -> None:
    assert cortex_m3_with_user_module.repl_port is not None
    done = install(Request(cortex_m3_with_user_module.repl_port, no_main=True), Quiet())
    assert (done.module, done.files) == ("built-in", ())


@pytest.mark.qemu
@pytest.mark.parametrize("firmware", ["cortex_m3", "cortex_m3_with_user_module"])
def test_a_soft_reset_is_the_end_of_the_state(firmware: str, request: pytest.FixtureRequest) -> None:
    board = request.getfixturevalue(firmware)
    code = "import feagi_state as f; s = f.StateManager.instance(); s.register_agent('cam'); print(s.get_agents(), s.boot_id)"
    first, second = (run_on(board, code, "soft-reset", "resume") for _ in range(2))
    assert first.count("AgentInfo(agent_id='cam'") == second.count("AgentInfo(agent_id='cam'") == 1, first + second
    assert first.split()[-1] != second.split()[-1]


@pytest.mark.qemu
@pytest.mark.parametrize("firmware", ["cortex_m3", "cortex_m3_with_user_module"])
def test_soft_resets_leave_nothing_behind(firmware: str, request: pytest.FixtureRequest) -> None:
    """While a timer polls a link and the program is in a call of the module: the next program has all of the memory again."""
    board = request.getfixturevalue(firmware)
    code = """
import gc, io
gc.collect(); print("free", gc.mem_free())
import feagi_state as f
from machine import Timer
s = f.StateManager.instance(); link = f.Link(io.BytesIO(), s); s.register_agent("cam")
Timer(-1, period=1, callback=lambda timer: (s.add("neuron_count", 1), link.poll()))
while s.neuron_count < 20: s.heartbeat("cam")
print("counted", s.neuron_count >= 20)
"""
    said = [run_on(board, code, "soft-reset", "resume") for _ in range(3)]
    free = [line for output in said for line in output.splitlines() if line.startswith("free ")]
    assert len(free) == 3 and len(set(free)) == 1, said
    assert all("counted True" in output for output in said), said


@pytest.mark.qemu
def test_the_stub_names_what_the_module_has(cortex_m3: EmulatedBoard) -> None:
    import ast

    stub = ast.parse((ROOT / "firmware" / "micropython" / "feagi_state.pyi").read_text())
    module = {n.name for n in stub.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))} - {"AgentInfo"}
    fields = ast.parse((ROOT / "firmware" / "micropython" / "_feagi_fields.pyi").read_text())
    module |= {n.name for n in fields.body if isinstance(n, ast.ClassDef)} - {"CoreFields"}
    said = run_on(cortex_m3, "import feagi_state; print(sorted(n for n in dir(feagi_state) if not n.startswith('_')))")
    assert set(ast.literal_eval(said.strip().splitlines()[-1])) == module
    for name in ("StateManager", "Link"):
        methods = next(n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == name)
        expected = {n.name for n in methods.body if isinstance(n, ast.FunctionDef)} - {"__init__"}
        said = run_on(cortex_m3, f"import feagi_state; print(sorted(n for n in dir(feagi_state.{name}) if not n.startswith('_')))")
        assert set(ast.literal_eval(said.strip().splitlines()[-1])) == expected
