"""Runs a script for boards with the module feagi_state as an emulated Xtensa CPU executes it:

    run.py PROGRAM MPY_DIR MPYS SCRIPT [ARGUMENT]

calls SCRIPT's run() with the arguments, which are Python's literals. Its other imports and its own code are this Python's.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from interpreter import Interpreter, NativeObject

HERE = Path(__file__).resolve().parent
TICKS_MASK = 2**30 - 1


class BytesIO(io.BytesIO):
    """As MicroPython's, which takes a capacity too."""

    def __init__(self, initial: bytes | int = b"") -> None:
        super().__init__(b"" if isinstance(initial, int) else initial)


class File(io.FileIO):
    """A file that takes a state's bytes, as MicroPython's do."""

    def write(self, data: Any) -> int:
        return super().write(bytes(data) if isinstance(data, NativeObject) else data)


def open_file(path: str, mode: str = "r", real: Callable[..., Any] = open) -> Any:
    return File(path, mode) if mode == "wb" else real(path, mode)


def view(value: Any, real: Callable[[Any], memoryview] = memoryview) -> memoryview:
    """memoryview(), which a class of this Python cannot support by itself."""
    return real(bytes(value) if isinstance(value, NativeObject) else value)


def add_module(name: str, **contents: Any) -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(contents)
    return module


def main(program: str, mpy_dir: str, mpys: str, script: str, *arguments: str) -> None:
    # What scripts and the module use of MicroPython's own modules and this Python has not.
    vars(time).update(
        ticks_us=lambda: time.monotonic_ns() // 1000 & TICKS_MASK,
        ticks_ms=lambda: time.monotonic_ns() // 1000000 & TICKS_MASK,
        ticks_diff=lambda a, b: a - b,
    )
    vars(gc).update(mem_free=lambda: 2**20)
    vars(builtins).update(memoryview=view, open=open_file)
    vars(io).update(BytesIO=BytesIO)
    firmware = HERE.parents[1] / "firmware"
    with Interpreter(Path(program), Path(mpy_dir)) as vm:
        add_module("micropython", heap_lock=lambda: vm.lock_heap(True), heap_unlock=lambda: vm.lock_heap(False))
        add_module("uctypes", addressof=vm.address_of)
        halves = {"feagi_state": firmware / "micropython" / "_feagi_state.py", "feagi_files": firmware / "python" / "feagi_files.py"}
        for name, half in halves.items():
            module = add_module(name)
            vm.load(Path(mpys) / f"{name}.mpy", vars(module), half)
        sys.path.insert(0, str(HERE.parent / "micropython"))
        importlib.import_module(script).run(*map(ast.literal_eval, arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
