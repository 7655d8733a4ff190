"""What `make conformance` says is so, and it fails when a vector does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import conformance
import pytest

from common import ROOT, VECTORS, CannotRun
from feagi_state.boards import known_boards

SCRIPT = ROOT / "tests" / "conformance.py"
QUICK = ("unix", "cpython", "core", "wasm", "wasm_threaded")
KEYS = {"tested", "cpu", "micropython", "run", "passed", "failed", "left_out"}


def measure(folder: Path, *targets: str, vectors: Path = VECTORS) -> tuple[subprocess.CompletedProcess[str], dict[str, dict]]:
    """What the script did, and its numbers."""
    target = folder / "numbers" / "conformance.json"
    chosen = [word for name in targets for word in ("--target", name)]
    command = [sys.executable, SCRIPT, "--json", target, "--vectors", vectors, *chosen]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return done, json.loads(target.read_text())


def assert_all_passed(table: str, name: str, numbers: dict, least: int, left_out: dict[str, int]) -> None:
    assert set(numbers) == KEYS
    assert numbers["passed"] == numbers["run"] >= least and numbers["failed"] == 0
    assert numbers["left_out"] == left_out
    [row] = [line for line in table.splitlines() if line.split()[0] == name]
    assert f" {numbers['cpu']} " in row and f" {numbers['tested']} " in row
    assert re.search(rf" {numbers['run']} +{numbers['passed']} +0\b", row)


# What is changed in a file, and what the line that fails then begins with: a frame, an operation's result, a region's bytes.
MUTATIONS = [
    ("frames.txt", " 70 0 001bffff", " 70 1 001bffff", "ok "),
    ("regions.txt", "get genome_state = 4", "get genome_state = 3", "get "),
    ("regions.txt", "bytes 64 c0070000", "bytes 64 c1070000", "rest"),
]


def mutate(file: Path, old: str, new: str, begin: str) -> int:
    """Makes the change and returns the number of the line that fails then."""
    text = file.read_text()
    at = text.index(old)
    file.write_text(text[:at] + new + text[at + len(old) :])
    first = text.count("\n", 0, at)
    return next(n for n, line in enumerate(text.splitlines(), 1) if n > first and line.startswith(begin))


@pytest.mark.slow
def test_every_vector_passes_where_nothing_is_emulated(tmp_path: Path) -> None:
    done, numbers = measure(tmp_path, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(numbers) == list(QUICK)
    for name, found in numbers.items():
        assert_all_passed(done.stdout, name, found, 4000, {})
    assert numbers["unix"]["micropython"].startswith("1.")
    assert numbers["cpython"]["micropython"] is numbers["core"]["micropython"] is None


@pytest.mark.qemu
@pytest.mark.parametrize("name", [name for name in conformance.targets() if name not in QUICK])
def test_every_vector_that_there_is_room_for_passes_on_an_emulated_cpu(tmp_path: Path, name: str) -> None:
    done, numbers = measure(tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    board = known_boards().get(name)
    regions = (VECTORS / "regions.txt").read_text().count("\nregion host ")
    assert_all_passed(done.stdout, name, numbers[name], 690 if board else 5000, {"host": regions} if board else {})
    assert bool(numbers[name]["micropython"]) == bool(board)


@pytest.mark.slow
def test_vectors_that_fail_are_counted_and_named(tmp_path: Path) -> None:
    vectors = shutil.copytree(VECTORS, tmp_path / "vectors")
    places = [(file, mutate(vectors / file, *change)) for file, *change in MUTATIONS]
    done, numbers = measure(tmp_path, *QUICK, vectors=vectors)
    assert done.returncode == 1
    assert list(numbers) == list(QUICK)
    for name, found in numbers.items():
        assert found["failed"] >= len(MUTATIONS) and found["passed"] == found["run"] - found["failed"] > 4000
        assert f"conformance: {name}: {found['failed']} of {found['run']} checks failed" in done.stderr
    for file, place in places:
        assert done.stderr.count(f"{file} {place} failed:") >= 2  # the core's program does not name the file


def test_what_does_not_come_to_its_end_was_not_run(tmp_path: Path) -> None:
    done, numbers = measure(tmp_path, "unix", vectors=tmp_path)
    assert (done.returncode, numbers) == (2, {})
    assert done.stderr.startswith("conformance: unix was not run: ")


def test_a_region_left_out_fails_where_there_should_be_room() -> None:
    output = "skipped: no room for a region of profile {} and its copy, with 9 bytes of heap free\n5 checks, 0 failed\n"
    assert conformance.result("mpy", "cpu", output.format("host"), may_leave_out={"host"}).passes
    assert not conformance.result("mpy", "cpu", output.format("host")).passes
    tiny = conformance.result("mpy", "cpu", output.format("tiny"), may_leave_out={"host"})
    assert not tiny.passes
    assert "no room for a region of profile tiny" in conformance.complaint("board", tiny)


def test_nothing_run_is_nothing_passed() -> None:
    assert not conformance.result("mpy", "cpu", "0 checks, 0 failed\n").passes
    with pytest.raises(CannotRun, match="Traceback"):
        conformance.result("mpy", "cpu", "Traceback: it broke\n")
