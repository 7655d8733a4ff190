"""An emulated Xtensa CPU, whose memory can be read and written and whose functions can be called; the other end is stub.c."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

READ, WRITE, CALL, RETURN, RAISE, ASK, HELLO = range(1, 8)
ARGUMENTS = 6


class Emulated:
    """Runs the program; a context manager, which ends it.

    `answer(index, arguments)` is called for each call of a function of the table. What it returns is the call's result; an exception
    that it raises leaves the innermost call().
    """

    def __init__(self, program: Path, answer: Callable[[int, Sequence[int]], int]) -> None:
        command = ["qemu-xtensa", "-cpu", "dc233c", str(program)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin and self.process.stdout
        self.input: BinaryIO = self.process.stdin
        self.output: BinaryIO = self.process.stdout
        self.answer = answer
        _, self._free, length = self._words(3)
        self._end = self._free + length
        _, count, _ = self._words(3)
        self.functions = self._words(count)

    def __enter__(self) -> Emulated:
        return self

    def __exit__(self, *_: object) -> None:
        self.input.close()
        self.process.wait(timeout=60)
        self.output.close()

    def _bytes(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.output.read(count - len(data))
            if not more:
                raise RuntimeError(f"the emulated program ended with status {self.process.wait(timeout=60)}")
            data += more
        return data

    def _words(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._bytes(4 * count))

    def _send(self, *words: int, data: bytes = b"") -> None:
        message = struct.pack(f"<{len(words)}I", *words) + data
        while message:
            message = message[self.input.write(message) :]

    def reserve(self, count: int) -> int:
        """The address of so many more bytes, zero and aligned to 16. They are never given back."""
        address = self._free
        self._free += (count + 15) & ~15
        if self._free > self._end:
            raise MemoryError(f"{count} bytes, with {self._end - address} left")
        return address

    def read(self, address: int, count: int) -> bytes:
        self._send(READ, address, count)
        return self._bytes(count)

    def write(self, address: int, data: bytes) -> None:
        self._send(WRITE, address, len(data), data=data)

    def read_words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self.read(address, 4 * count))

    def write_words(self, address: int, *words: int) -> None:
        self.write(address, struct.pack(f"<{len(words)}I", *words))

    def call(self, function: int, *arguments: int) -> int:
        """What the function returns, unsigned. Raises what an answer raised."""
        self._send(CALL, function, 0, *arguments, *[0] * (ARGUMENTS - len(arguments)))
        error: BaseException | None = None
        while True:
            operation, value, _ = self._words(3)
            if operation == RETURN:
                return value
            if operation == RAISE:
                assert error
                raise error
            assert operation == ASK
            try:
                self._send(RETURN, self.answer(value, self._words(ARGUMENTS)) & 0xFFFFFFFF, 0)
            except Exception as raised:
                error = raised
                self._send(RAISE, 0, 0)
