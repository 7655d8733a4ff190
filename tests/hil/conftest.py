"""The bench: each emulated board in turn, or the real one at `--board PORT`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common import ROOT, build_firmware, emulated_boards
from feagi_state.boards import board_of, find_board
from feagi_state.emulator import start_board
from feagi_state.install import check_native
from feagi_state.prompt import Prompt
from on_bench import Bench, compile_scripts

# A board whose firmware has the module inside.
WITH_MODULE = "qemu_m3_usermod"
# What an installation puts on a board.
OURS = ("main.py", "feagi_state.mpy", "feagi_files.mpy", "feagi_demo.py", "feagi_serve.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("boards on the bench")
    group.addoption("--board", metavar="PORT", help="test the board at this port, with our module and program put on it")
    group.addoption("--link", metavar="PORT", help="the port that its frames come to, where that is another one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bench" in metafunc.fixturenames:
        port = metafunc.config.getoption("--board", None)
        boards = [port] if port else [*emulated_boards(), pytest.param(WITH_MODULE, marks=pytest.mark.qemu)]
        metafunc.parametrize("bench", boards, indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--board", None):  # what is left are tests of emulators
        items[:] = [item for item in items if "bench" in getattr(item, "fixturenames", ())]


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A board as it comes from its box: there is a prompt, and nothing of ours but what its firmware may have inside."""
    folder = tmp_path_factory.mktemp("bench")
    scripts = compile_scripts(folder / "scripts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(folder / "state"))
        if request.config.getoption("--board", None):
            yield real(request.param, request.config.getoption("--link"), scripts)
            return
        board = find_board("qemu_m3" if request.param == WITH_MODULE else request.param)
        if request.param == WITH_MODULE:
            board = replace(board, firmware=build_firmware(board.name, WITH_MODULE, ROOT / "firmware"))
        with start_board(board, empty=True, name=f"{request.param}-{os.getpid()}") as running:
            prompt = running.repl_port or running.link_port
            module = "built-in" if request.param == WITH_MODULE else board.mpy
            yield Bench(running.name, board, module, prompt, running.link_port, scripts)


def real(port: str, link: str | None, scripts: Path) -> Bench:
    """The board at this port, made as it was before its first installation."""
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.soft_reset()
        for name in OURS:
            prompt.remove_file(name)
        identity = prompt.identity()
        board = board_of(identity)
        inside = "1" in prompt.run("try:\n import feagi_state\n print(1)\nexcept ImportError:\n print(0)")
    if link is None and board is not None and board.link.repl:
        link = port
    return Bench(port, board, "built-in" if inside else check_native(identity, board), port, link, scripts)


@pytest.fixture(scope="module")
def with_module(bench: Bench) -> Bench:
    """The board with the module, at its prompt."""
    bench.install("--no-main")
    return bench


@pytest.fixture(scope="module")
def with_program(bench: Bench) -> Bench:
    """The board with the module and its demo, which runs."""
    bench.install(*(["--link", bench.link_port] if bench.link_port else []))
    return bench
