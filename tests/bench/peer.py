"""One tool at a board's prompt, for peers.py: `peer.py TOOL PORT`, in a Python that has the tool. Does for every line `WHAT TIMES` of
standard input so often what it says, and says how long that took [s].
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Do = Callable[[str], object]


def mpremote(port: str) -> Do:
    """Runs statements, in one raw REPL."""
    from mpremote.transport_serial import SerialTransport

    transport = SerialTransport(port, baudrate=115200)
    transport.enter_raw_repl(soft_reset=False)
    return transport.exec


def belay(port: str) -> Do:
    """Evaluates expressions; statements are run."""
    import belay as package

    return package.Device(port, startup="")


# What each does, as code at the prompt. `main` is peers_main.py.
WORK = {
    "mpremote": {"read": "print(main.state.neuron_count)", "set": "main.state.fatigue_index=1", "snapshot": "print(main.snapshot())"},
    "belay": {"read": "main.state.neuron_count", "set": "main.state.fatigue_index=1", "snapshot": "main.snapshot()"},
}


def run() -> None:
    tool, port = sys.argv[1:]
    do = {"mpremote": mpremote, "belay": belay}[tool](port)
    do("import peers_main as main")
    print("ready", flush=True)
    for line in sys.stdin:
        what, times = line.split()
        code = WORK[tool][what]
        began = time.perf_counter()
        for _ in range(int(times)):
            do(code)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    run()
