"""The link on a line of a given baud rate: how much of it carries frames under load, and how soon a reader sees one change on it.

Four processes, as they would be: the device (the C role on a pseudo-terminal), the line (pty_proxy.py), the host, the reader.
`line.py device LOAD` and `line.py host PORT NAME FOLDER` are two of them, until their standard input ends.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/link", "tests/host", "shared_spec")]
from snapshot_len import snapshot_len  # noqa: E402

import feagi_state  # noqa: E402
from faulty_line import BITS_PER_BYTE, Line  # noqa: E402
from feagi_state import spec  # noqa: E402
from feagi_state.spec import CommandOp  # noqa: E402
from pty_proxy import PtyProxy  # noqa: E402
from simulation import FIELDS, RW_U32, Device, Simulation, compile_device, load_device  # noqa: E402

BAUDS = (115_200, 921_600)
CHANGE_LEN_BYTES = 15  # one u32, with the leading delimiter that an idle line needs
CHANGE_PERIOD_S = 0.05
LOOK_S = 0.0001
COUNT = FIELDS.index("neuron_count")


def lengths(folder: Path) -> dict[str, float]:
    """link.bytes.WHAT: what the C device role and the Python host role say, with one delimiter a frame."""
    library = load_device(compile_device(folder))
    simulation = Simulation(library, 1)
    assert simulation.settle()
    device, session = simulation.device, simulation.session
    while not simulation.device_is_quiet_for(100):
        pass
    device.do("set", COUNT, 0x01020304)
    [delta] = simulation.next_segments()
    numbers = {"link.bytes.one_u32": len(delta) + 1}
    device.do("set", FIELDS.index("burst_engine_state"), 3)
    _, event = simulation.next_segments()
    numbers["link.bytes.event"] = len(event) + 1
    session.command(CommandOp.SET, (spec.CORE_FIELDS["burst_engine_state"].offset, 1), simulation.now, 5.0)
    command = session.take_output()
    numbers["link.bytes.command"] = len(command.strip(b"\0")) + 1
    device.receive(command)
    numbers["link.bytes.reply"] = len(simulation.next_segments()[0]) + 1
    simulation.close()
    for name, worst in (("snapshot", False), ("snapshot_without_zeros", True)):
        wire, state = snapshot_len(library, worst=worst)
        numbers |= {f"link.bytes.{name}": wire, f"link.bytes.{name}.to_its_bytes": wire / state}
    return {name: float(number) for name, number in numbers.items()}


def paced(seconds: float) -> dict[str, float]:
    """line.BAUD.frames: the part of a loaded line that carries frames; line.BAUD.change_ms and .late_ms: until a reader process
    has one change of an idle line, the median, and how much that is over its time on the wire.
    """
    numbers = {}
    for baud in BAUDS:
        numbers[f"line.{baud}.frames"] = load(baud, seconds)
        change_s = idle(baud, seconds)
        numbers[f"line.{baud}.change_ms"] = change_s * 1e3
        numbers[f"line.{baud}.late_ms"] = (change_s - CHANGE_LEN_BYTES * BITS_PER_BYTE / baud) * 1e3
    return numbers


def load(baud: int, seconds: float) -> float:
    """The part of the line's bytes that were frames which the host took, while the device changes more than the line carries."""
    with mirrored(baud, "all") as (mirror, line):
        time.sleep(0.5)  # the snapshot is over
        began, text = time.monotonic(), mirror.link.text_bytes
        before = line.to_host_bytes
        time.sleep(seconds)
        took_s = time.monotonic() - began
        carried = line.to_host_bytes - before - (mirror.link.text_bytes - text)
    return carried * BITS_PER_BYTE / baud / took_s


def idle(baud: int, seconds: float) -> float:
    """Median seconds from a write on the device to a reader of the mirror, one change at a time."""
    with mirrored(baud, "one") as (mirror, _):
        took, seen, end = [], mirror.state.neuron_count, time.monotonic() + max(seconds, 0.5)
        while time.monotonic() < end:
            value = mirror.state.neuron_count
            if value != seen:
                took.append(((time.monotonic_ns() // 1000 - value) & 0xFFFFFFFF) / 1e6)
                seen = value
            time.sleep(LOOK_S)
    return median(took[1:])


class CountedProxy(PtyProxy):
    """Counts what it delivers."""

    to_host_bytes = to_board_bytes = 0

    def _deliver(self, line: Line, number: int) -> None:
        before = line.waiting_bytes
        super()._deliver(line, number)
        if line is self.to_host:
            self.to_host_bytes += before - line.waiting_bytes
        else:
            self.to_board_bytes += before - line.waiting_bytes


@contextmanager
def mirrored(baud: int, load: str) -> Iterator[tuple[feagi_state.MirrorView, CountedProxy]]:
    """The mirror of such a device, and the line before it."""
    name = f"paced-{os.getpid()}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        line = stack.enter_context(CountedProxy(stack.enter_context(child("device", load)), baud=baud))
        stack.enter_context(child("host", line.port, name, folder))
        yield stack.enter_context(feagi_state.attach(name, mirror_dir=folder)), line


@contextmanager
def child(*arguments: str) -> Iterator[str]:
    """Another process of this script; what it said first."""
    with subprocess.Popen([sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


# ---------------------------------------------------------------------------------------------- the other processes


class Plain(Device):
    """Keeps no history for a simulation."""

    def look(self) -> None:
        """Nothing."""


def run_host(port: str, name: str, folder: str) -> None:
    with feagi_state.connect(port, name=name, mirror_dir=folder, timeout_s=30):
        print("live", flush=True)
        sys.stdin.read()


def run_device(load: str) -> None:
    """`load`: "all": everything changes at every poll; "one": one u32 at a time, which says when it was written."""
    with tempfile.TemporaryDirectory() as folder:
        device = Plain(load_device(compile_device(Path(folder))), os.getpid())
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    draw, began, next_change, unsent = random.Random(1), time.monotonic(), 0.0, b""
    poll = select.poll()
    poll.register(master, select.POLLIN)
    poll.register(sys.stdin.fileno(), select.POLLIN)
    os.set_blocking(master, False)
    while True:
        ready = [file for file, _ in poll.poll(1)]
        if sys.stdin.fileno() in ready:
            return
        now = time.monotonic()
        device.tick(int((now - began) * 1000))
        if master in ready:
            device.receive(os.read(master, 4096))
        if load == "all":
            for field in RW_U32:
                device.do("set", field, draw.getrandbits(32))
        elif now >= next_change and device.is_up:
            next_change = now + CHANGE_PERIOD_S
            device.do("set", COUNT, time.monotonic_ns() // 1000 & 0xFFFFFFFF)
        unsent = unsent or device.output()
        if unsent:
            try:
                unsent = unsent[os.write(master, unsent) :]
            except BlockingIOError:
                continue


if __name__ == "__main__":
    if sys.argv[1] == "device":
        run_device(sys.argv[2])
    else:
        run_host(*sys.argv[2:])
