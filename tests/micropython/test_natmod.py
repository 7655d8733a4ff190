"""The native modules as files: for the right architecture, whole in themselves, and without instructions that a CPU lacks."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from common import ROOT
from feagi_state.boards import find_board
from feagi_state.emulator import Program, start_board
from feagi_state.identity import MPY_ARCHITECTURES

MAKEFILE = (ROOT / "Makefile").read_text()
ARCHES = re.search(r"^ARCHES := (.*)$", MAKEFILE, re.MULTILINE)[1].split()  # type: ignore[index]
ABI = (6, 3)
# What mpy_ld.py gives a module, from MicroPython and for one CPU from libgcc; all else must be in it.
GIVEN = re.compile(r"_GLOBAL_OFFSET_TABLE_|mp_fun_table|mp_native_qstr_table|mp_type_\w+|__riscv_(save|restore)_\d+|")
EVERY_ARCH = pytest.mark.parametrize("arch", ["x64", *(pytest.param(arch, marks=pytest.mark.cross) for arch in ARCHES if arch != "x64")])


MODULES = ["feagi_state", "feagi_files"]
EVERY_MODULE = pytest.mark.parametrize("module", MODULES)


def module_of(arch: str, module: str = "feagi_state") -> Path:
    file = ROOT / "build" / "mpy" / f"{arch}_{ABI[0]}.{ABI[1]}" / f"{module}.mpy"
    assert file.is_file(), f"`make natmod ARCH={arch}` makes {file}"
    return file


def object_of(arch: str, module: str) -> ELFFile:
    """What the module was linked of, but for MicroPython's part of it."""
    return ELFFile((ROOT / "build" / "natmod" / arch / module / "native.o").open("rb"))


@pytest.fixture(scope="module")
def mpy_tool() -> ModuleType:
    """MicroPython's own reader of .mpy files."""
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    spec = importlib.util.spec_from_file_location("mpy_tool", f"{mpy_dir}/tools/mpy-tool.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(f"{mpy_dir}/tools")
        patch.syspath_prepend(f"{mpy_dir}/py")
        spec.loader.exec_module(tool)
    tool.config.MICROPY_LONGINT_IMPL = tool.config.MICROPY_LONGINT_IMPL_MPZ
    tool.config.MPZ_DIG_SIZE = 16
    return tool


def native_code(tool: ModuleType, file: Path) -> bytes:
    """The machine code in a .mpy file."""
    tool.global_qstrs = tool.GlobalQStrList()
    tool.config.native_arch = tool.MP_NATIVE_ARCH_NONE

    def native(code: Any) -> Iterator[bytes]:
        if type(code).__name__ == "RawCodeNative":
            yield bytes(code.fun_data)
        for child in code.children:
            yield from native(child)

    [found] = native(tool.read_mpy(str(file)).raw_code)
    return found


@EVERY_MODULE
@EVERY_ARCH
def test_the_header_says_what_it_is_for(arch: str, module: str) -> None:
    magic, version, features, _small_int_bits = module_of(arch, module).read_bytes()[:4]
    assert magic == ord("M")
    assert (version, features & 3) == ABI
    assert MPY_ARCHITECTURES[features >> 2 & 0xF] == arch


@EVERY_MODULE
@EVERY_ARCH
def test_it_needs_no_library(arch: str, module: str) -> None:
    symbols = list(object_of(arch, module).get_section_by_name(".symtab").iter_symbols())
    there = {symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"}
    missing = {symbol.name for symbol in symbols} - there
    assert {name for name in missing if not GIVEN.fullmatch(name)} == set()
    assert "mp_fun_table" in missing


@EVERY_MODULE
@EVERY_ARCH
def test_it_has_no_initialised_memory(arch: str, module: str) -> None:
    """A native module has none: mpy_ld.py refuses it in most places, and leaves it out in some."""
    sizes = {section.name: section.data_size for section in object_of(arch, module).iter_sections() if section.name.startswith((".data", ".sdata", ".sbss"))}
    assert {name: size for name, size in sizes.items() if size and not name.startswith(".data.rel.ro")} == {}


@EVERY_ARCH
def test_mip_can_install_it(arch: str) -> None:
    folder = module_of(arch).parent
    package = json.loads((folder / "package.json").read_text())
    assert sorted(name for name, _ in package["urls"]) == sorted(file.name for file in folder.glob("*.mpy"))
    assert all((folder / place).is_file() for _, place in package["urls"])
    assert f'version = "{package["version"]}"' in (ROOT / "host" / "pyproject.toml").read_text()


# ---- Instructions that a CPU lacks


def text_in(code: bytes, elf: ELFFile) -> bytes:
    """An object's .text as it lies in the module's code, with the addresses that the linker put into it."""
    text = elf.get_section_by_name(".text")
    pattern = [re.escape(bytes([byte])) for byte in text.data()]
    relocations = elf.get_section_by_name(".rela.text") or elf.get_section_by_name(".rel.text")
    for relocation in relocations.iter_relocations() if relocations else ():
        at = relocation["r_offset"]
        length = min(8, len(pattern) - at)  # a call is two instructions
        pattern[at : at + length] = [b"."] * length
    [found] = re.findall(b"".join(pattern), code, re.DOTALL)
    return found


def mnemonics(machine: str, code: bytes, folder: Path) -> set[str]:
    """Of all instructions, which are disassembled without gaps."""
    file = folder / "code"
    file.write_bytes(code)
    command = ["riscv64-unknown-elf-objdump", "-b", "binary", "-m", machine, "-D", "-M", "no-aliases", "--no-show-raw-insn", str(file)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^ +[0-9a-f]+:\s+(\S+)", output, re.MULTILINE))


def of_the_a_extension(names: set[str]) -> set[str]:
    return {name for name in names if re.match(r"(lr|sc)\.[wd]|amo", name)}


@pytest.mark.cross
@EVERY_MODULE
def test_the_risc_v_module_has_no_instruction_of_the_a_extension(mpy_tool: ModuleType, module: str, tmp_path: Path) -> None:
    code = native_code(mpy_tool, module_of("rv32imc", module))
    names = mnemonics("riscv:rv32", text_in(code, object_of("rv32imc", module)), tmp_path)
    assert of_the_a_extension(names) == set()
    assert {"csrrci", "csrrs", "c.lwsp", "jal"} <= names  # it is what was disassembled
    assert not any(name.startswith(".") for name in names)  # nothing that is no instruction


@pytest.mark.cross
def test_an_instruction_of_the_a_extension_is_found(tmp_path: Path) -> None:
    """With MicroPython's own flags for rv32imc, which have the extension, an atomic OR is one."""
    source = tmp_path / "mark.c"
    source.write_text("void mark(unsigned *p);\nvoid mark(unsigned *p) { __atomic_fetch_or(p, 1, __ATOMIC_RELAXED); }\n")
    for extensions, found in (("imac", {"amoor.w"}), ("imc", set())):
        command = ["riscv64-unknown-elf-gcc", "-c", "-Os", "-ffreestanding", f"-march=rv32{extensions}_zicsr", "-mabi=ilp32"]
        subprocess.run([*command, str(source), "-o", str(tmp_path / "mark.o")], check=True)
        text = ELFFile((tmp_path / "mark.o").open("rb")).get_section_by_name(".text").data()
        assert of_the_a_extension(mnemonics("riscv:rv32", text, tmp_path)) == found


# ---- Installing it


# As in firmware/micropython/README.md.
INSTALL = re.search(r"```python\n(import sys, mip\n.*?)```", (ROOT / "firmware" / "micropython" / "README.md").read_text(), re.DOTALL)[1]  # type: ignore[index]


def test_mip_on_a_board_with_a_network_installs_its_own(tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(ROOT / "build" / "mpy"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        code = INSTALL.replace("http://192.168.1.2:8000", f"http://127.0.0.1:{server.server_port}")
        assert code != INSTALL
        command = [str(Path(sys.executable).parent / "micropython"), "-c", code + "import feagi_state; print(feagi_state.__file__)"]
        path = f"{tmp_path}/lib:.frozen"
        done = subprocess.run(command, env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        server.shutdown()
    assert done.stdout.splitlines()[-1:] == [f"{tmp_path}/lib/feagi_state.mpy"], done.stdout + done.stderr
    assert (tmp_path / "lib" / "feagi_state.mpy").read_bytes() == module_of("x64").read_bytes()


@pytest.mark.qemu
def test_mpremote_installs_it_from_its_package(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    module = module_of("armv7m")
    with start_board(find_board("qemu_m3"), program=Program(tmp_path / "main.py"), name=f"mip-{os.getpid()}") as board:
        mpremote = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(board.repl_port), "resume"]
        install = ["mip", "install", "--target", "/there", str(module.parent / "package.json")]
        code = "import sys; sys.path[:] = ['/there']; sys.modules.pop('feagi_state', 0); import feagi_state; print(feagi_state.__file__)"
        # Not in one command: what the board says goes past the buffer of what mpremote says, and so before it, unless Python is
        # told not to have one.
        for command, says in ((install, "Done"), (["exec", code], "/there/feagi_state.mpy")):
            done = subprocess.run([*mpremote, *command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
            assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [says]), done.stdout + done.stderr
