"""What a board says of itself, and which native modules its firmware takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import StateError

__all__ = ["ABI", "MPY_ARCHITECTURES", "PROBE", "Identity", "IdentityError", "parse_identity"]

ABI = "6.3"  #: of our native modules: MicroPython 1.23 and later

# sys.implementation._mpy has the version of .mpy files in bits 0-7, that of native code in bits 8-9, and the
# architecture from bit 10 on, see "mpy files" in MicroPython's documentation.
MPY_ARCHITECTURES = (
    "none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)  # fmt: skip
# Firmware for these takes modules for itself and for all before it.
THUMB = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
# Firmware for a Cortex-M3 gives the same architecture there as for an M4: the CPU's name in the machine's comes first.
CPU_ARCHITECTURES = {
    "cortex-m0": "armv6m",
    "cortex-m0+": "armv6m",
    "cortex-m3": "armv7m",
    "cortex-m4": "armv7em",
    "cortex-m7": "armv7em",
    "cortex-m33": "armv8m",
}
PROBE = (
    "import sys; i = sys.implementation; "
    "v = '%d.%d.%d' % i.version[:3] + ''.join('-' + t for t in i.version[3:] if t); "
    "print('\\nfeagi-board', getattr(i, '_mpy', 0), v, getattr(i, '_build', '') or '-', sys.platform, "
    "getattr(i, '_machine', sys.platform))"
)


class IdentityError(StateError):
    """What a board printed is no answer to PROBE."""


@dataclass(frozen=True)
class Identity:
    """What a board says of itself."""

    micropython: str  # version, for example "1.25.0" or "1.29.0-preview"
    arch: str  # the CPU's architecture, for example "armv7m"
    mpy_arch: str  # architecture of the native modules that its firmware takes, "armv7em" on the same CPU; "none"
    machine: str  # for example "NUCLEO-F446RE with STM32F446xx"
    abi: str = ""  # of the native modules that it takes, for example "6.3"; "" where it takes no .mpy file
    build: str = ""  # name of the board that the firmware was built for, "" before MicroPython 1.25
    platform: str = ""  # sys.platform

    @property
    def is_process(self) -> bool:
        """Whether it is a process of an operating system, the unix port: it ends where a board is reset."""
        return self.platform in ("linux", "darwin")

    def module_architectures(self) -> tuple[str, ...]:
        """Architectures of the modules that the firmware takes, the best one first; empty when it takes none."""
        if self.mpy_arch in THUMB:
            return THUMB[THUMB.index(self.mpy_arch) :: -1]
        return () if self.mpy_arch == "none" else (self.mpy_arch,)


def parse_identity(output: str) -> Identity:
    """The answer to PROBE in what a board printed. Raises IdentityError that quotes it."""
    match = re.search(r"^feagi-board (\d+) (\S+) (\S+) (\S+) (.*?)\r?$", output, re.MULTILINE)
    if match is None:
        raise IdentityError(f"the board does not say what it is; it said {output.strip()[-200:]!r}")
    mpy, machine = int(match[1]), match[5]
    number = mpy >> 10 & 0xF
    arch = MPY_ARCHITECTURES[number] if number < len(MPY_ARCHITECTURES) else f"unknown ({number})"
    cpu = machine.rpartition(" with ")[2].lower()
    return Identity(
        micropython=match[2],
        arch=CPU_ARCHITECTURES.get(cpu, arch),
        mpy_arch=arch,
        machine=machine,
        abi=f"{mpy & 0xFF}.{mpy >> 8 & 3}" if mpy else "",
        build="" if match[3] == "-" else match[3],
        platform=match[4],
    )
