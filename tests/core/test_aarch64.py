"""The core on a 64-bit Arm host, in an emulated CPU: the golden vectors, and threads that share a region."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common import FIELD_NAMES, ROOT, VECTORS

pytestmark = pytest.mark.cross
HERE = ROOT / "tests" / "core"


@pytest.fixture
def passes(compile_core: Callable[..., Path]) -> Callable[..., None]:
    """passes(source, flags, *arguments): the program says that all is well. The sanitizers are for the host's own CPU."""

    def check(source: Path, flags: list[str], *arguments: object) -> None:
        # -static: there are no libraries for the emulated CPU to load.
        program = compile_core(source, *flags, "-static", "-pthread", compiler="aarch64-linux-gnu-gcc")
        done = subprocess.run(["qemu-aarch64", program, *map(str, arguments)], capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    return check


@pytest.mark.parametrize("what", ["frames", "regions"])
def test_the_core_agrees_with_the_golden_vectors(passes: Callable[..., None], what: str) -> None:
    passes(HERE / "vectors.c", [FIELD_NAMES], what, VECTORS / f"{what}.txt")


def test_threads_do_everything_at_once(passes: Callable[..., None]) -> None:
    passes(HERE / "shared_threads.c", ["-D_GNU_SOURCE", "-DFEAGI_PORT_SHARED=1"], 5000, 1)
