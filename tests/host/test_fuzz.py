"""Mutated files: whatever lies in one, it is refused with the documented error or it works, and what runs is not changed by it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 20_000


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris, the fuzzer, has no build for this Python or CPU")
@pytest.mark.timeout(600)
def test_no_mutated_file_does_harm(tmp_path: Path) -> None:
    script = Path(__file__).with_name("fuzz_files.py")
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=8192", "-timeout=60", "-rss_limit_mb=2048", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([sys.executable, script, tmp_path, *options], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
