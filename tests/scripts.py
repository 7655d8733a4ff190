"""The checks that run on MicroPython, of every firmware: tests/micropython/run_vectors.py and its like."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "micropython"
# Script -> what to call in it, and how many checks it makes at least.
SCRIPTS = {"run_vectors": ("run({folder!r})", 690), "check_module": ("run()", 99), "check_files": ("run({every})", 68)}


def program_of(script: str, folder: str, every: int) -> str:
    """Vectors are in `folder`; of so many bits one is flipped."""
    return f"import {script}; {script}.{SCRIPTS[script][0].format(folder=folder, every=every)}"


def assert_all_passed(script: str, output: str, may_skip: str = "nothing") -> None:
    match = re.search(r"^(\d+) checks, (\d+) failed", output, re.MULTILINE)
    assert match, f"{script} did not come to its end:\n{output}"
    assert match[2] == "0", output
    assert int(match[1]) >= SCRIPTS[script][1], f"only {match[1]} checks ran"
    skipped = [line for line in output.splitlines() if line.startswith("skipped:")]
    assert all(f"profile {may_skip} " in line for line in skipped), skipped
