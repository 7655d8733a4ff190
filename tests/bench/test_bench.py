"""`make bench` measures all that it says, and takes what is out of bounds for a failure. No time is judged here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import bench
import pytest


@pytest.mark.slow
def test_everything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bench.json"
    assert bench.main(["--quick", f"--json={target}"]) == 0
    numbers = json.loads(target.read_text())
    without = set() if shutil.which("valgrind") else {name for name in bench.CEILINGS | bench.FLOORS if "instructions" in name or "_to_" in name}
    if not bench.web.can_be_measured():
        without |= {name for name in bench.CEILINGS if name.startswith("web.")}
    assert set(bench.CEILINGS) | set(bench.FLOORS) <= set(numbers) | without
    assert min(numbers.values()) > 0
    told = capsys.readouterr()
    assert all(name in told.out for name in numbers)
    assert ("there is no valgrind here" in told.err) == (shutil.which("valgrind") is None)


def test_what_is_out_of_bounds_is_said() -> None:
    numbers = {"a": 2.0, "b": 1.0}
    assert bench.out_of_bounds(numbers, {"a": 2, "not measured": 0}, {"b": 1}) == []
    assert bench.out_of_bounds(numbers, {"a": 1.5}, {"b": 1.7}) == ["a is 2, above its ceiling of 1.5", "b is 1, below its floor of 1.7"]
