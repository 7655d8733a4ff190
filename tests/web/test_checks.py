"""The package feagi-state does what it says, in Node and in Debian's Chromium: golden vectors, regions of one thread and of several,
and saved states."""

from __future__ import annotations

import json
import re
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


@pytest.mark.slow
def test_the_examples_of_the_readme_run_as_they_stand_there(tmp_path: Path) -> None:
    said = node("run_readme.mjs", tmp_path).splitlines()
    assert said == ["one_thread.js: 5 3 events", "page.js: 2000 [left, right]"]


@pytest.mark.slow
def test_saved_states_outlive_the_browser(tmp_path: Path) -> None:
    assert re.fullmatch(r"a save takes [\d.]+ ms\n", node("run_store.mjs", tmp_path))
