"""What a browser costs the host that serves it, and how soon it sees a change: `.venv/bin/python tests/bench/browsers.py` prints numbers.

The board is a device role in Python on a pseudo-terminal, which looks for changes every 5 ms; the browser is the JavaScript host role in
Node. `browsers.py sockets URL COUNT` is the process of many idle browsers, until it is killed.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/host", "shared_spec")]

from fake_device import FakeDevice, PtyDevice  # noqa: E402
from feagi_state import Fleet  # noqa: E402
from feagi_state.clock import now_s  # noqa: E402
from feagi_state.session import HostSession  # noqa: E402
from feagi_state.web_server import WebServer  # noqa: E402

CHANGES = 300
SOCKETS = 30
IDLE_S = 3.0


def changes(server: WebServer, board: PtyDevice) -> dict[str, float]:
    """Latency, and bytes of a snapshot and of a change with all that goes with it, at about 30 changes a second."""
    command = ["node", ROOT / "tests" / "web" / "run_latency.mjs", server.url, str(CHANGES)]
    browser = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while browser.poll() is None:
        time.sleep(random.uniform(0.02, 0.04))
        with board.lock:
            board.device.set("genome_timestamp", time.monotonic_ns() // 1000)
    assert browser.stdout is not None
    found = json.load(browser.stdout)
    times = sorted(found["times"])
    return {
        "web.latency_ms": median(times) / 1000,
        "web.latency_p90_ms": times[len(times) * 9 // 10] / 1000,
        "web.bytes.snapshot": found["snapshot"],
        "web.bytes.change": found["bytes"],
    }


def idle(server: WebServer) -> dict[str, float]:
    """Memory and time of the processor that a socket takes whose board does not change."""
    memory, load = resident_bytes(), load_percent()
    found = urlsplit(server.url)
    url = f"ws://{found.netloc}/boards/board?{found.query}"
    browsers = subprocess.Popen([sys.executable, __file__, "sockets", url, str(SOCKETS)], stdout=subprocess.PIPE)
    try:
        assert browsers.stdout is not None and browsers.stdout.readline() == b"live\n"
        more = load_percent() - load
        memory = resident_bytes() - memory
    finally:
        browsers.kill()
        browsers.communicate()
    return {"web.socket_kib": memory / SOCKETS / 1024, "web.socket_load_percent": more / SOCKETS}


def sockets(url: str, count: int) -> None:
    """The host role at the end of so many sockets, until this process is killed."""
    with contextlib.ExitStack() as stack:
        pages = [(stack.enter_context(connect(url, compression=None)), HostSession()) for _ in range(count)]
        for _, host in pages:
            host.port_opened(now_s())
        is_live = False
        while True:
            for socket, host in pages:
                with contextlib.suppress(TimeoutError):
                    data = socket.recv(timeout=0.001)
                    assert isinstance(data, bytes)
                    host.receive(data, now_s())
                host.poll(now_s())
                out = host.take_output()
                if out:
                    socket.send(out)
            if not is_live and all(host.is_live for _, host in pages):
                is_live = True
                print("live", flush=True)


def resident_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def load_percent() -> float:
    """Of one processor, while nothing happens."""
    start, used = time.monotonic(), time.process_time()
    time.sleep(IDLE_S)
    return 100 * (time.process_time() - used) / (time.monotonic() - start)


def main() -> None:
    """Measures, and prints numbers as JSON."""
    if sys.argv[1:2] == ["sockets"]:
        sockets(sys.argv[2], int(sys.argv[3]))
    with tempfile.TemporaryDirectory() as folder, PtyDevice(FakeDevice(77, "micro", "board")) as board, Fleet([board.port], mirror_dir=folder) as fleet:
        fleet.wait_live(10)
        with WebServer(lambda: fleet.devices, "0") as server:
            print(json.dumps({**changes(server, board), **idle(server)}, indent=4))


if __name__ == "__main__":
    main()
