"""A native module's .mpy file, read and relocated as MicroPython's py/persistentcode.c does."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

ARCH_XTENSAWIN = 10
BYTECODE, NATIVE_VIPER = 0, 2  # MP_CODE_... less MP_CODE_BYTECODE
STRING, BYTES, TUPLE = 5, 6, 10  # MP_PERSISTENT_OBJ_...; numbers below are None and such, which have no bytes
HAS_RELOCATIONS, HAS_RODATA, HAS_BSS = 0x10, 0x20, 0x40  # MP_SCOPE_FLAG_VIPER...


@dataclass
class Places:
    """Addresses that relocations add."""

    text: int
    rodata: int
    bss: int
    qstr_table: int
    fun_table: list[int]
    fun_table_at: int

    def of(self, what: int) -> int:
        if what >= 9:
            return self.fun_table[what - 9]
        return {0: self.text, 1: self.rodata, 2: self.bss, 6: self.qstr_table, 8: self.fun_table_at}[what]


@dataclass
class NativeModule:
    """The native code of a file."""

    names: list[str | int]  # the table of qstrs: names, or the numbers of those that every MicroPython has
    text: bytes
    rodata: bytes
    bss_len_bytes: int
    relocations: list[tuple[bool, int, int]]  # whether in rodata, index of the word there, what is added to it

    def relocated(self, places: Places) -> tuple[bytes, bytes]:
        """Text and rodata for these places."""
        text, rodata = bytearray(self.text), bytearray(self.rodata)
        for in_rodata, index, what in self.relocations:
            section = rodata if in_rodata else text
            (word,) = struct.unpack_from("<I", section, 4 * index)
            struct.pack_into("<I", section, 4 * index, (word + places.of(what)) & 0xFFFFFFFF)
        return bytes(text), bytes(rodata)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.bytes(1)[0]

    def uint(self) -> int:
        value = 0
        while True:
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value


def read_native(path: Path) -> NativeModule:
    """Reads a file of MicroPython 1.23 or later. Raises ValueError if it has no native module for xtensawin."""
    reader = _Reader(path.read_bytes())
    magic, version, features, _ = reader.bytes(4)
    if (magic, version, features) != (ord("M"), 6, ARCH_XTENSAWIN << 2 | 3):
        raise ValueError(f"{path}: no native module for xtensawin of MicroPython's ABI 6.3")
    name_count, object_count = reader.uint(), reader.uint()
    names: list[str | int] = []
    for _ in range(name_count):
        length = reader.uint()
        names.append(length >> 1 if length & 1 else reader.bytes((length >> 1) + 1)[:-1].decode())
    for _ in range(object_count):  # of the bytecode
        _skip_object(reader)
    module = _read_code(reader, names)
    if not module:
        raise ValueError(f"{path}: bytecode only")
    return module


def _skip_object(reader: _Reader) -> None:
    kind = reader.byte()
    if kind == TUPLE:
        for _ in range(reader.uint()):
            _skip_object(reader)
    elif kind >= STRING:
        reader.bytes(reader.uint() + (kind <= BYTES))  # these end with a zero byte


def _read_code(reader: _Reader, names: list[str | int]) -> NativeModule | None:
    """The first native code in this piece and those below it; a merged file has its own on top."""
    head = reader.uint()
    code = reader.bytes(head >> 3)
    if head & 3 == NATIVE_VIPER:
        flags = reader.uint()
        rodata_len = reader.uint() if flags & HAS_RODATA else 0
        bss_len = reader.uint() if flags & HAS_BSS else 0
        rodata = reader.bytes(rodata_len)
        return NativeModule(names, code, rodata, bss_len, _read_relocations(reader) if flags & HAS_RELOCATIONS else [])
    if head & 3 == BYTECODE and head & 4:
        for _ in range(reader.uint()):
            module = _read_code(reader, names)
            if module:
                return module
    return None


def _read_relocations(reader: _Reader) -> list[tuple[bool, int, int]]:
    relocations = []
    in_rodata, index = False, 0
    while (head := reader.byte()) != 0xFF:
        if head & 1:
            address = reader.uint()
            in_rodata, index = bool(address & 1), address >> 1
        what, count = head >> 1, 1
        if what <= 5:
            count = reader.uint() if what & 1 else 1
            what >>= 1
        for _ in range(count):
            relocations.append((in_rodata, index, what))
            index += 1
    return relocations
