"""The native module for ESP32, S2 and S3 on an emulated Xtensa CPU: the .mpy that boards load, and the core as firmware has it.

No MicroPython runs on that emulator, so this Python is the interpreter around the module: see interpreter.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import xtensa_cpu
from board_scripts import counted
from xtensa_cpu import compiled, linked

from common import CORE, ROOT, VECTORS, run

pytestmark = pytest.mark.qemu

HERE = Path(__file__).resolve().parent
# What two cores need beyond an ESP32-S2's instructions, which is all that the compiler allows by itself.
TWO_CORES = ["-Wa,--mattr=+s32c1i,+prid"]
NEVER_ON_A_BOARD = {"feagi_mirror.c", "feagi_shared.c"}
# Script of tests/micropython -> arguments of its run(), and how many checks it makes at least.
SCRIPTS = {"run_vectors": ([str(VECTORS)], 5000), "check_module": ([], 99), "check_files": ([97], 60)}


def instructions(file: Path) -> set[str]:
    features = "+windowed,+density,+mul16,+mul32,+div32,+nsa,+interrupt,+exception,+s32c1i,+prid"
    done = run("llvm-objdump-22", "--disassemble", "--section=.text", "--no-show-raw-insn", f"--mattr={features}", file)
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^\s*[0-9a-f]+:\s+(\S+)", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return xtensa_cpu.build_stub(tmp_path_factory.mktemp("stub"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_native_module_on_an_emulated_cpu(stub: Path, script: str, tmp_path: Path) -> None:
    arguments, least = SCRIPTS[script]
    output = xtensa_cpu.run_script(stub, tmp_path, script, *arguments)
    count = counted(output)
    assert (count.failed, count.skipped) == (0, ()), output
    assert count.ran >= least


def test_the_native_module_runs_on_an_esp32_s2() -> None:
    natmod = ROOT / "build" / "natmod" / "xtensawin"
    used = {name for module in ("feagi_state", "feagi_files") for name in instructions(natmod / module / "native.o")}
    assert {"entry", "rsil", "retw.n"} <= used  # it is a disassembly
    assert "s32c1i" not in used


def two_cores(folder: Path, cores: int, rounds: int) -> Path:
    sources = [HERE / "two_cores.c", *(source for source in sorted(CORE.glob("*.c")) if source.name not in NEVER_ON_A_BOARD)]
    flags = (f"-DFEAGI_PORT_CORES={cores}", f"-DROUNDS={rounds}u", *TWO_CORES)
    return linked([compiled(source, folder, *flags) for source in sources], folder / "two_cores")


def test_two_cores_write_one_region(tmp_path: Path) -> None:
    done = run("qemu-xtensa", "-cpu", "dc233c", two_cores(tmp_path, cores=2, rounds=5000))
    assert done.returncode == 0


def test_a_region_of_one_core_does_not_stand_two(tmp_path: Path) -> None:
    """That the test above would find a section that keeps no other core out."""
    done = run("qemu-xtensa", "-cpu", "dc233c", two_cores(tmp_path, cores=1, rounds=1_000_000))
    assert 10 <= done.returncode <= 15


@pytest.mark.parametrize(("setting", "locks"), [("", True), ("#define CONFIG_FREERTOS_UNICORE 1", False)])
def test_firmware_learns_its_cores_from_esp_idf(tmp_path: Path, setting: str, locks: bool) -> None:
    (tmp_path / "sdkconfig.h").write_text(f"{setting}\n")
    source = tmp_path / "load.c"
    source.write_text('#include "feagi_port.h"\nuint64_t load(uint64_t *p);\nuint64_t load(uint64_t *p) { return feagi_port_load_u64(p); }\n')
    file = compiled(source, tmp_path, "-DESP_PLATFORM", f"-I{tmp_path}", *TWO_CORES)
    assert ("s32c1i" in instructions(file)) == locks
