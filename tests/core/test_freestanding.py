"""The core needs nothing but its compiler, whatever the CPU: no libc, no allocator, no memory of its own, and any C from C99 with
GNU atomics on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from calls import HOST_ONLY

from common import CORE, PORT, WARNINGS

GCC = ["gcc", "-O2", "-fcf-protection=none"]
ARM = ["arm-none-eabi-gcc", "-Os", "-mthumb"]
RISC_V = ["riscv64-unknown-elf-gcc", "-Os", "-mabi=ilp32"]
HOSTS = {
    "x86-64-c11": [*GCC, "-std=c11"],
    "x86-64-c99": [*GCC, "-std=c99"],
    # Without the calls of libgcc that choose an instruction as the program runs.
    "aarch64": ["aarch64-linux-gnu-gcc", "-O2", "-std=c11", "-mno-outline-atomics"],
}
# As in natmod.mk, and others that a firmware with the core in it may be built for.
BOARDS = {
    "armv6m-c99": [*ARM, "-mcpu=cortex-m0", "-std=c99"],
    "armv6m-c11": [*ARM, "-mcpu=cortex-m0plus", "-std=c11"],
    "armv7m-c99": [*ARM, "-mcpu=cortex-m3", "-std=c99"],
    "armv7m-c11": [*ARM, "-mcpu=cortex-m3", "-std=c11"],
    "armv7emsp": [*ARM, "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-std=c99"],
    "armv7emdp": [*ARM, "-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard", "-std=c99"],
    "armv8m-base": [*ARM, "-mcpu=cortex-m23", "-std=c99"],
    "armv8m-main": [*ARM, "-mcpu=cortex-m33", "-std=c99"],
    "rv32imc": [*RISC_V, "-march=rv32imc_zicsr", "-std=c99"],
    "rv32imac": [*RISC_V, "-march=rv32imac_zicsr", "-std=c11"],
}
# As the native module is built; see firmware/micropython/natmod.mk.
FREESTANDING = ["-ffreestanding", "-fno-tree-loop-distribute-patterns", "-fno-stack-protector"]


def parameters() -> list[object]:
    commands = HOSTS | BOARDS
    return [pytest.param(name, marks=[] if command[0] == "gcc" else pytest.mark.cross) for name, command in commands.items()]


@pytest.fixture(scope="module", params=parameters())
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Path]]:
    """(prefix of the target's binutils, an object file for each source of the core that the target has)."""
    name = request.param
    command = (HOSTS | BOARDS)[name]
    assert shutil.which(command[0]), f"{command[0]} is missing: `make test` installs it"
    folder = tmp_path_factory.mktemp("objects")
    made = []
    for source in sorted(CORE.glob("*.c")):
        if name in BOARDS and source.stem in HOST_ONLY:
            continue
        target = folder / f"{source.stem}.o"
        done = subprocess.run(
            [*command, *WARNINGS, "-Wconversion", *FREESTANDING, f"-I{CORE}", f"-I{PORT}", "-c", str(source), "-o", str(target)],
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
    """So it allocates nothing, in interrupts and elsewhere; and a native module, which has no library, can have it."""
    found = symbols(*objects)
    there = {name for kind, name in found if kind in "TR"}
    assert {name for kind, name in found if kind == "U"} - there == set()


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
