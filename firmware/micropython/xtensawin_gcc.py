"""A C compiler for native modules on ESP32, S2 and S3, for where the vendor's is not installed.

    xtensawin_gcc.py [FLAG...] -c SOURCE.c... [-o OBJECT.o]

as gcc -c; what begins with -Wa, is for LLVM's assembler.

Debian's gcc-xtensa-lx106 emits code with register windows, but Debian's assembler for it takes none, so LLVM's assembles it. LLVM
does not rewrite as GNU as does what the compiler leaves to it (the functions over assembly text), and states relocations in
another form than MicroPython's mpy_ld.py expects, which was made for GNU as (the function over the object).
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

from elftools.elf.elffile import ELFFile

GCC = ["xtensa-lx106-elf-gcc", "-mabi=windowed", "-isystem/usr/lib/xtensa-lx106-elf/include"]  # picolibc's headers
# What all three have: an ESP32-S2 has no s32c1i.
FEATURES = "+windowed,+density,+mul16,+mul32,+div32,+nsa,+interrupt,+exception"
ASSEMBLER = ["llvm-mc-22", "--arch=xtensa", "--filetype=obj", f"--mattr={FEATURES}"]

# Conditional branches, each with the one that is taken where it is not.
BRANCHES = "beq bne, blt bge, bltu bgeu, beqi bnei, blti bgei, bltui bgeui, beqz bnez, bltz bgez, bany bnone, ball bnall, bbc bbs, bbci bbsi"
OPPOSITE = {}
for pair in BRANCHES.split(", "):
    one, other = pair.split()
    OPPOSITE.update({one: other, other: one})

R_XTENSA_32 = 1
R_XTENSA_SLOT0_OP = 20
L32R = 1  # low bits of its first byte


def with_llvms_names(assembly: str) -> str:
    """LLVM has these directives and instructions under other names, or without one."""
    for pattern, name in ((r"\.word\b", ".long"), (r"\.align\b", ".balign"), (r"(b[a-z]+z)\.n\b", r"\1"), (r"(\.literal .*)@PLT$", r"\1")):
        assembly = re.sub(rf"^\t{pattern}", rf"\t{name}", assembly, flags=re.MULTILINE)
    # A literal of 64 bits, whose upper half is used as name+4, becomes two.
    assembly = re.sub(r"^\t\.literal (\S+), (\S+), (\S+)$", r"\t.literal \1, \2\n\t.literal \1_4, \3", assembly, flags=re.MULTILINE)
    assembly = re.sub(r"(\tl32r\t\S+ \.LC\d+)\+4$", r"\1_4", assembly, flags=re.MULTILINE)
    return re.sub(r"^\tssa8b\ta(\d+)$", lambda found: f"\t.byte 0x00, {0x30 + int(found[1]):#x}, 0x40", assembly, flags=re.MULTILINE)


def assemble(assembly: str, object_file: Path, flags: list[str]) -> None:
    """Assembles; a conditional branch that does not reach becomes its opposite over a jump, as often as that makes others too far."""
    source = object_file.with_suffix(".s")
    jumps = 0
    while True:
        source.write_text(assembly)
        done = subprocess.run([*ASSEMBLER, *flags, "-o", object_file, source], capture_output=True, text=True)
        too_far = [int(line) for line in re.findall(r":(\d+):\d+: error: fixup value out of range", done.stderr)]
        if done.returncode == 0:
            return
        if not too_far or len(too_far) != done.stderr.count(": error: "):
            sys.exit(done.stderr)
        lines = assembly.splitlines()
        for number in too_far:
            branch = re.fullmatch(r"\t(\w+)\t(.*, )(\S+)", lines[number - 1])
            if not branch:
                sys.exit(done.stderr)
            jumps += 1
            name, operands, target = branch.groups()
            lines[number - 1] = f"\t{OPPOSITE[name]}\t{operands}.Lover_{jumps}\n\tj\t{target}\n.Lover_{jumps}:"
        assembly = "\n".join(lines) + "\n"


def with_gnu_relocations(object_file: Path) -> None:
    """Rewrites an object's relocations to what GNU as would have left.

    An l32r's immediate is 0, not -1; and a literal that is a place in a section has its offset in its word, not in the addend.
    """
    with object_file.open("rb") as file:
        elf = ELFFile(file)
        file.seek(0)
        data = bytearray(file.read())
        symbols = elf.get_section_by_name(".symtab")
        for table in elf.iter_sections("SHT_RELA"):
            target = elf.get_section(table["sh_info"])
            for i, relocation in enumerate(table.iter_relocations()):
                at = target["sh_offset"] + relocation["r_offset"]
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                kind = relocation["r_info_type"]
                if kind == R_XTENSA_SLOT0_OP and data[at] & 0xF == L32R:
                    data[at + 1 : at + 3] = bytes(2)
                elif kind == R_XTENSA_32 and symbol["st_info"]["type"] == "STT_SECTION":
                    (word,) = struct.unpack_from("<I", data, at)
                    if relocation["r_addend"] < 0:
                        sys.exit(f"{object_file}: mpy_ld.py takes no address before a section (of a table whose index has something subtracted)")
                    struct.pack_into("<I", data, at, word + relocation["r_addend"])
                    struct.pack_into("<i", data, table["sh_offset"] + i * table["sh_entsize"] + 8, 0)
                elif kind == R_XTENSA_32 and relocation["r_addend"] and symbol.name != "mp_fun_table":
                    sys.exit(f"{object_file}: mpy_ld.py would lose what is added to the address of {symbol.name}")
                elif kind != R_XTENSA_32:
                    sys.exit(f"{object_file}: mpy_ld.py would leave the relocation at {at:#x} undone, of {symbol.name or target.name}")
    object_file.write_bytes(data)


def main(args: list[str]) -> None:
    sources = [arg for arg in args if arg.endswith(".c")]
    named = args[args.index("-o") + 1] if "-o" in args else None
    for_assembler = [arg for arg in args if arg.startswith("-Wa,")]
    flags = [arg for arg in args if arg not in ("-c", "-o", named, *for_assembler, *sources)]
    for source in sources:
        object_file = Path(named or f"{Path(source).stem}.o")
        done = subprocess.run([*GCC, *flags, "-S", "-o", "-", source], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.returncode)
        assemble(with_llvms_names(done.stdout), object_file, [arg.removeprefix("-Wa,") for arg in for_assembler])
        with_gnu_relocations(object_file)


if __name__ == "__main__":
    main(sys.argv[1:])
