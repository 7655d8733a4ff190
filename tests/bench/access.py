"""What an access costs in CPython, ours and its peers': `access.py WHAT LOOPS` does it so often, for callgrind to count."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import shutil
import socket
import struct
import sys
import tempfile
import timeit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

from feagi_state import StateManager

Accesses = dict[str, tuple[str, Any]]  # name: statement, and what `s` is in it


class Core(ctypes.Structure):
    _fields_ = [("states", ctypes.c_uint8 * 8), ("counts", ctypes.c_uint32 * 2), ("neuron_count", ctypes.c_uint32)]


class Plain:
    def __init__(self) -> None:
        self.neuron_count = 5


def counted(folder: Path) -> Accesses:
    """Ours, and the nearest peer: a ctypes structure over mapped memory."""
    state = StateManager.create(folder / "region")
    view = Core.from_buffer(mmap.mmap(-1, 4096))
    state.neuron_count = view.neuron_count = 70000  # an int that is made anew at every read
    return {
        "empty": ("pass", None),
        "read_u8": ("s.burst_engine_state", state),
        "read_u32": ("s.neuron_count", state),
        "write_u32": ("s.neuron_count = 70000", state),
        "ctypes_read_u32": ("s.neuron_count", view),
        "ctypes_write_u32": ("s.neuron_count = 70000", view),
    }


COUNTED = ("empty", "read_u8", "read_u32", "write_u32", "ctypes_read_u32", "ctypes_write_u32")


@contextmanager
def peers() -> Iterator[Accesses]:
    """What one would use instead."""
    with ExitStack() as stack:
        manager = stack.enter_context(multiprocessing.Manager())
        block = shared_memory.SharedMemory(create=True, size=4096)
        stack.callback(block.unlink)
        stack.callback(block.close)
        value = multiprocessing.Value("I", 5)
        yield {
            "plain_attribute": ("s.neuron_count", Plain()),
            "value_without_lock": ("s.value", multiprocessing.RawValue("I", 5)),
            "value_with_lock": ("s.value", value),
            "manager_value": ("s.value", manager.Value("I", 5)),
            "shared_memory_struct": ("s[1](s[0].buf, 16)", (block, struct.Struct("<I").unpack_from)),
        }


def least_ns(statement: str, subject: Any, loops: int, rounds: int) -> float:
    """The least time of one statement in which `s` is the subject, the empty loop's included."""
    return min(timeit.repeat(statement, globals={"s": subject}, number=loops, repeat=rounds)) / loops * 1e9


def times(folder: Path, loops: int, rounds: int) -> dict[str, float]:
    """python.NAME_ns: ours and the peers'."""
    numbers = {}
    with peers() as others:
        for name, (statement, subject) in {**counted(folder), **others}.items():
            few = 100 if name == "manager_value" else loops
            numbers[f"python.{name}_ns"] = least_ns(statement, subject, few, rounds)
    with StateManager.attach(folder / "region") as state:
        for name in ("health_check", "create_snapshot", "get_agents"):
            numbers[f"python.{name}_ns"] = least_ns(f"s.{name}()", state, max(10, loops // 200), rounds)
    return numbers | redis_times()


def redis_times() -> dict[str, float]:
    """A GET from a Redis server on this machine, where one is running; else nothing."""
    try:
        link = socket.create_connection(("127.0.0.1", 6379), timeout=1)
    except OSError:
        if shutil.which("redis-server") is None:
            print("bench: no Redis here", file=sys.stderr)
        return {}
    with link:
        return {"python.redis_get_ns": least_ns("s.send(b'GET x\\r\\n'); s.recv(100)", link, 1000, 3)}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        statement, subject = counted(Path(name))[sys.argv[1]]
        exec(f"def loop(s, times):\n    for _ in times:\n        {statement}\n", namespace := {})
        namespace["loop"](subject, range(int(sys.argv[2])))


if __name__ == "__main__":
    main()
