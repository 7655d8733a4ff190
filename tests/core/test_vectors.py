"""The golden vectors in C, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common import FIELD_NAMES, ROOT, SANITIZERS, VECTORS


@pytest.fixture(scope="module")
def vectors(compile_core) -> Path:
    return compile_core(ROOT / "tests" / "core" / "vectors.c", *SANITIZERS, FIELD_NAMES)


@pytest.mark.parametrize("what", ["frames", "regions"])
def test_core_agrees_with_the_golden_vectors(vectors: Path, what: str) -> None:
    done = subprocess.run([vectors, what, VECTORS / f"{what}.txt"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
