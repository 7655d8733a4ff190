"""What `make size` measures is there, is no more than it may be, and fails when it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import calls
import pytest

import size
from common import CORE, ROOT, run

SCRIPT = ROOT / "tests" / "bench" / "size.py"
SOURCES = {path.stem for path in CORE.glob("*.c")}
PROFILES = ("tiny", "micro", "host")


def measure(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the script did, and where its numbers are."""
    target = folder / "numbers" / "size.json"
    done = run(sys.executable, SCRIPT, "--json", target, *arguments, cwd=folder, environment={"PYTHONPATH": str(ROOT / "tests")})
    return done, target


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int]]:
    """(the table, the numbers)"""
    done, target = measure(tmp_path_factory.mktemp("size"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout, json.loads(target.read_text())


def test_regions_are_what_their_sections_add_up_to(measured: tuple[str, dict[str, int]]) -> None:
    numbers = measured[1]
    for profile in PROFILES:
        sections = {name: number for name, number in numbers.items() if name.startswith(f"region.{profile}.")}
        assert {f"region.{profile}.{name}" for name in ("header", "core", "agents", "events")} <= set(sections)
        assert min(sections.values()) > 0
        assert sum(sections.values()) == numbers[f"region.{profile}"]


def test_regions_are_below_their_ceilings(measured: tuple[str, dict[str, int]]) -> None:
    table, numbers = measured
    for profile, ceiling in (("tiny", 2048), ("micro", 6144)):
        assert 0 < numbers[f"region.{profile}"] <= ceiling
        [row] = [line.split() for line in table.splitlines() if line.split()[:1] == [profile]]
        assert row == [profile, str(numbers[f"region.{profile}"]), "ceiling", str(ceiling)]


@pytest.mark.parametrize("target", ["host", "armv6m", "armv7m", "rv32imc"])
def test_every_file_of_the_core_has_code_and_no_memory(measured: tuple[str, dict[str, int]], target: str) -> None:
    table, numbers = measured
    if not shutil.which(size.TARGETS[target][0]):
        assert re.search(f"not measured for want of .*{size.TARGETS[target][0]}", table)
        pytest.skip("no compiler; `make test` installs it")
    for file in SOURCES:
        assert numbers[f"object.{target}.{file}.text"] > 0 or file == ("feagi_write" if target == "host" else "feagi_shared")
        assert numbers[f"object.{target}.{file}.bss"] == 0
        # Constants that are pointers, such as the fields' names, are data to a host's linker.
        assert numbers[f"object.{target}.{file}.data"] == 0 or (target, file) == ("host", "feagi_spec")
    on_devices = sum(numbers[f"object.{target}.{file}.text"] for file in SOURCES - calls.HOST_ONLY)
    assert numbers[f"object.{target}.total.text"] == on_devices


def test_the_native_module_is_measured_where_it_was_built(measured: tuple[str, dict[str, int]], tmp_path: Path) -> None:
    table, numbers = measured
    built = {file.parent.name[: -len("_6.3")]: file.stat().st_size for file in (ROOT / "build").glob("mpy/*_6.3/feagi_state.mpy")}
    assert {arch: numbers[f"mpy.{arch}.feagi_state"] for arch in built} == built
    assert all(0 < numbers[f"mpy.{arch}.text"] <= built[arch] for arch in built)
    assert built or "native modules were not measured" in table
    reads = [name for name in numbers if name.startswith("read.")]
    assert set(size.READ_CEILINGS) <= set(reads) if reads else "reads in Python were not measured" in table
    module = tmp_path / "mpy" / "armv7m_6.3" / "feagi_state.mpy"
    module.parent.mkdir(parents=True)
    module.write_bytes(bytes(1234))
    assert size.module_sizes(tmp_path) == {"mpy.armv7m.feagi_state": 1234}


@pytest.mark.parametrize("target", calls.CPUS)
def test_calls_are_measured_where_there_is_an_emulator(measured: tuple[str, dict[str, int]], target: str) -> None:
    cpu = calls.CPUS[target]
    found = {name.split(".")[2] for name in measured[1] if name.startswith(f"call.{target}.")}
    if calls.missing(cpu):
        assert not found
        pytest.skip("no compiler or emulator; `make test` installs them")
    assert {"feagi_state_write", "feagi_events_push", "feagi_agents_register"} <= found
    assert all(0 <= measured[1][f"call.{target}.{name}.section"] < measured[1][f"call.{target}.{name}.instructions"] for name in found)


def test_a_number_above_its_ceiling_fails_and_is_named(tmp_path: Path) -> None:
    done, target = measure(tmp_path, "--ceiling", "region.micro=1000", "--ceiling", "region.host=1")
    assert done.returncode == 1
    numbers = json.loads(target.read_text())
    micro, host = numbers["region.micro"], numbers["region.host"]
    assert done.stderr.splitlines() == [
        f"size: region.micro is {micro}, {micro - 1000} more than its ceiling of 1000",
        f"size: region.host is {host}, {host - 1} more than its ceiling of 1",
    ]


def test_a_number_at_its_ceiling_is_fine() -> None:
    assert size.exceeded({"region.micro": 6144}, {"region.micro": 6144}) == []
    assert len(size.exceeded({"region.micro": 6145}, {"region.micro": 6144})) == 1


def test_a_ceiling_of_nothing_is_an_error() -> None:
    with pytest.raises(size.CannotMeasure, match=r"region\.mikro"):
        size.exceeded({"region.micro": 1}, {"region.mikro": 6144})
