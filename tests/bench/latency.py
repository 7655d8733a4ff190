"""How soon another process sees a write: `latency.py region PATH LOOPS` and `latency.py socket PATH LOOPS` are that process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from feagi_state import StateManager


def times(folder: Path, loops: int) -> dict[str, float]:
    """latency.shared_memory_ns, one way, both processes spinning; latency.socket_ns, one way over a Unix socket. Medians."""
    with StateManager.create(folder / "latency", "tiny") as state, partner("region", folder / "latency", loops):
        shared = [exchange(state, number) for number in range(1, loops + 1)]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        server.listen()
        with partner("socket", folder / "socket", loops):
            link, _ = server.accept()
            with link:
                over_socket = [ask(link) for _ in range(loops)]
    return {"latency.shared_memory_ns": median(shared) / 2, "latency.socket_ns": median(over_socket) / 2}


def partner(what: str, path: Path, loops: int) -> subprocess.Popen[bytes]:
    """The other process; as a context it is waited for."""
    return subprocess.Popen([sys.executable, __file__, what, path, str(loops)])


def exchange(state: StateManager, number: int) -> int:
    """Writes a number and spins until the partner has answered it: ns."""
    start = time.perf_counter_ns()
    state.neuron_count = number
    while state.synapse_count != number:
        pass
    return time.perf_counter_ns() - start


def ask(link: socket.socket) -> int:
    """Sends a byte and waits for the partner's: ns."""
    start = time.perf_counter_ns()
    link.send(b"x")
    link.recv(1)
    return time.perf_counter_ns() - start


def median(values: list[int]) -> float:
    """The middle one."""
    return float(sorted(values)[len(values) // 2])


def main() -> None:
    what, path, loops = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "region":
        with StateManager.attach(path) as state:
            for number in range(1, loops + 1):
                while state.neuron_count != number:
                    pass
                state.synapse_count = number
    else:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            while link.recv(1):
                link.send(b"x")


if __name__ == "__main__":
    main()
