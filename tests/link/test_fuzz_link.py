"""A fixed number of inputs for the fuzzers of the link; `make fuzz` runs more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fuzz import HAS_ATHERIS, compile_fuzzer, fuzz_device, fuzz_host

DEVICE_RUNS = 50_000
HOST_RUNS = 10_000


def run_through(command: list[str | Path], runs: int) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert f"Done {runs} runs" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_bytes_harm_the_device(tmp_path: Path) -> None:
    """Nor make it allocate, read too far, or take what is not in preferred form."""
    run_through(fuzz_device(compile_fuzzer(tmp_path), tmp_path, DEVICE_RUNS, 1), DEVICE_RUNS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not HAS_ATHERIS, reason="atheris, the fuzzer, has no build for this Python or CPU")
def test_no_bytes_harm_the_host(tmp_path: Path) -> None:
    run_through(fuzz_host(tmp_path, HOST_RUNS, 1), HOST_RUNS)
