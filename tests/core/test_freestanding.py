"""The core needs nothing but its compiler: no libc, no globals, and any C from C99 with GNU atomics on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from common import CORE, PORT, WARNINGS

HOST = ["gcc", "-O2"]
CORTEX_M3 = ["arm-none-eabi-gcc", "-Os", "-mthumb", "-mcpu=cortex-m3"]
TARGETS = {
    "x86-64-c11": [*HOST, "-std=c11"],
    "x86-64-c99": [*HOST, "-std=c99"],
    "cortex-m3-c99": [*CORTEX_M3, "-std=c99"],
    "cortex-m3-c11": [*CORTEX_M3, "-std=c11"],
}
# As the native module is built; see firmware/micropython/natmod.mk.
FREESTANDING = ["-ffreestanding", "-fno-tree-loop-distribute-patterns", "-fno-stack-protector", "-fcf-protection=none"]
# GCC's own arithmetic that a CPU lacks. What is not here must not be needed.
HELPERS = {"__aeabi_llsl", "__aeabi_llsr"}


@pytest.fixture(scope="module", params=TARGETS, ids=list(TARGETS))
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Path]]:
    """(prefix of the target's binutils, an object file for each source of the core)."""
    command = TARGETS[request.param]
    assert shutil.which(command[0]), f"{command[0]} is missing: `make test` installs it"
    folder = tmp_path_factory.mktemp("objects")
    made = []
    flags = [flag for flag in FREESTANDING if command[0] == "gcc" or not flag.startswith("-fcf")]
    for source in sorted(CORE.glob("*.c")):
        target = folder / f"{source.stem}.o"
        done = subprocess.run(
            [*command, *WARNINGS, "-Wconversion", *flags, f"-I{CORE}", f"-I{PORT}", "-c", str(source), "-o", str(target)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        made.append(target)
    assert len(made) >= 12
    return command[0].removesuffix("gcc"), made


def symbols(prefix: str, files: list[Path]) -> list[tuple[str, str]]:
    """(type, name) of every symbol, as nm says."""
    output = subprocess.run([f"{prefix}nm", "--format=posix", *files], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in output.splitlines()]
    return [(line[1], line[0]) for line in words if len(line) >= 2 and not line[0].endswith(":")]


def test_the_core_calls_nothing_but_itself(objects: tuple[str, list[Path]]) -> None:
    needed = {name for kind, name in symbols(*objects) if kind == "U"}
    assert {name for name in needed if not name.startswith("feagi_")} <= HELPERS


def test_the_core_has_no_memory_of_its_own(objects: tuple[str, list[Path]]) -> None:
    kept = [name for kind, name in symbols(*objects) if kind in "bBdDcC"]
    assert kept == []


def test_every_public_name_says_its_file(objects: tuple[str, list[Path]]) -> None:
    prefix, files = objects
    for file in files:
        public = {name for kind, name in symbols(prefix, [file]) if kind in "TR"}
        part = "_".join(file.stem.split("_")[:2])
        tables = {"feagi_profiles", "feagi_fields", "feagi_items", "feagi_shapes"} if part == "feagi_spec" else set()
        assert {name for name in public if not name.startswith(f"{part}_")} <= tables, file.name
