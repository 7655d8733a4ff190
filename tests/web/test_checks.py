"""The package feagi-state does what it says, in Node and in Debian's Chromium: golden vectors, regions of one thread and of several,
and saved states."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from common import ROOT, VECTORS, run

HERE = ROOT / "tests" / "web"
LEAST_VECTORS = 5000
IN_CHROMIUM = {
    "isolated": ("vectors", "vectors_threaded", "single", "threaded", "workers"),
    "plain": ("vectors", "single", "falls_back"),  # without the headers that threads need
}


def node(script: str, *arguments: str | Path) -> str:
    """What a script of this folder prints."""
    done = run("node", HERE / script, *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def assert_vectors_pass(said: str) -> None:
    count = re.search(r"^(\d+) checks, 0 failed$", said, re.MULTILINE)
    assert count and int(count[1]) >= LEAST_VECTORS, said[-2000:]


def assert_all_hold(results: list[tuple[str, str | None]]) -> None:
    assert results
    failed = [f"{name}: {wrong}" for name, wrong in results if wrong is not None]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("build", ["single", "threaded"])
def test_golden_vectors_pass_in_node(build: str) -> None:
    assert_vectors_pass(node("run_vectors.mjs", VECTORS, build))


@pytest.mark.parametrize("kind", ["single", "threaded", pytest.param("workers", marks=pytest.mark.slow)])
def test_checks_hold_in_node(kind: str) -> None:
    assert_all_hold(json.loads(node("run_checks.mjs", kind)))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each run in Chromium answered."""
    return json.loads(node("run_chromium.mjs", tmp_path_factory.mktemp("profile")))


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"{prefix} {name}" for prefix, names in IN_CHROMIUM.items() for name in names])
def test_checks_hold_in_chromium(chromium: dict[str, Any], name: str) -> None:
    (assert_vectors_pass if "vectors" in name else assert_all_hold)(chromium[name])


ONE_THREAD, PAGE, PYTHON = "5 3 events", "2000 [left, right]", "3 true"  # what the examples say on the console


@pytest.mark.slow
def test_the_examples_of_the_readme_run_as_they_stand_there(chromium: dict[str, Any], tmp_path: Path) -> None:
    assert [chromium[f"readme {name}.js"] for name in ("one_thread", "page", "python")] == [ONE_THREAD, PAGE, PYTHON]
    assert node("run_readme.mjs", tmp_path).splitlines() == [ONE_THREAD, PYTHON]


@pytest.fixture(scope="module")
def said_on_a_board(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What on_either.py prints where MicroPython has the native module."""
    environment = {"MICROPYPATH": f".frozen:{ROOT / 'build' / 'mpy' / 'x64_6.3'}"}
    done = run(Path(sys.executable).parent / "micropython", HERE / "on_either.py", cwd=tmp_path_factory.mktemp("board"), environment=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout.splitlines()


def assert_as_on_a_board(found: dict[str, Any], said_on_a_board: list[str]) -> None:
    assert found["lines"] == said_on_a_board
    assert len(said_on_a_board) > 100
    demo = found["demo"]
    assert (demo["lines"], demo["burst_engine_state"]) == ([], 3) and demo["agents"] > 0


@pytest.mark.slow
def test_a_boards_program_runs_unchanged_in_micropython_of_a_page_in_chromium(chromium: dict[str, Any], said_on_a_board: list[str]) -> None:
    assert_as_on_a_board(chromium["isolated micropython"], said_on_a_board)


@pytest.mark.slow
def test_a_boards_program_runs_unchanged_in_micropython_of_node(said_on_a_board: list[str]) -> None:
    found = node("run_micropython.mjs", HERE / "on_either.py", ROOT / "boards" / "unix" / "main.py", ROOT / "firmware" / "python" / "feagi_demo.py")
    assert_as_on_a_board(json.loads(found), said_on_a_board)


@pytest.mark.slow
def test_saved_states_outlive_the_browser(tmp_path: Path) -> None:
    assert re.fullmatch(r"a save takes [\d.]+ ms\n", node("run_store.mjs", tmp_path))
