"""The link beside what else talks to boards, on an emulated Cortex-M3: bytes on the wire and how often a second.

mpremote and belay work at the board's prompt and measure themselves; the link works on the board's second port at the same time. Of
SMP there is no server for MicroPython, so only the bytes that its own encoder makes of the same work are counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from line import CountedProxy

import feagi_state
from feagi_state.boards import BoardError, find_board
from feagi_state.emulator import Program, start_board
from size import HERE, ROOT, CannotMeasure

PYTHON = ROOT / "build" / "peers" / "bin" / "python"  # `make bench` installs requirements-peers.txt there
TOOLS = {"mpremote": Path(sys.executable), "belay": PYTHON}
WORK = {"read": 100, "set": 100, "snapshot": 10}
SMP = """
import cbor2
from smp.header import GroupId, CommandId, Header, OP, Version
from smp.packet import encode
def cost(op, value):
    payload = cbor2.dumps(value)
    head = Header(op=op, version=Version.V2, flags=0, length=len(payload), group_id=64, sequence=1, command_id=1)
    return sum(map(len, encode(bytes(head) + payload)))
agents = [["agent-of-the-sort-%02d" % n, 0, 1700000000000, 1700000000000] for n in range(16)]
print(cost(OP.READ, {"k": "neuron_count"}), cost(OP.READ_RSP, {"v": 0x01020304}),
      cost(OP.WRITE, {"k": "fatigue_index", "v": 1}), cost(OP.WRITE_RSP, {"rc": 0}),
      cost(OP.READ, {"k": "all"}), cost(OP.READ_RSP, {"f": [0x01020304] * 7, "a": agents}))
"""


def measure(share: float) -> tuple[dict[str, float], list[str]]:
    """(peers.TOOL.WORK.sent_bytes, .received_bytes and .per_s, of the board's side of the line; why what is missing is). `share`: of
    the full number of repetitions. Raises CannotMeasure.
    """
    numbers: dict[str, float] = {}
    missing = []
    board = find_board("qemu_m3")
    try:
        with tempfile.TemporaryDirectory() as folder:
            main = Path(folder) / "main.py"
            main.write_text("import peers_main\n")
            with start_board(board, program=Program(main, (HERE / "peers_main.py",)), name="peers") as started:
                assert started.repl_port is not None
                for tool, python in TOOLS.items():
                    try:
                        numbers |= at_prompt(tool, python, started.repl_port, share)
                    except CannotMeasure as error:
                        missing.append(f"{tool}: {error}")
                numbers |= over_link(started.link_port, share)
    except BoardError as error:
        raise CannotMeasure(str(error)) from error
    try:
        numbers |= of_smp()
    except CannotMeasure as error:
        missing.append(f"smp: {error}")
    return numbers, missing


def at_prompt(tool: str, python: Path, port: str, share: float) -> dict[str, float]:
    """What a tool costs."""
    numbers: dict[str, float] = {}
    with CountedProxy(port) as line, worker(python, tool, line.port) as ask:
        for what, times in WORK.items():
            count = max(2, int(times * share))
            before = line.to_host_bytes, line.to_board_bytes
            seconds = float(ask(f"{what} {count}"))
            numbers[f"peers.{tool}.{what}.sent_bytes"] = (line.to_host_bytes - before[0]) / count
            numbers[f"peers.{tool}.{what}.received_bytes"] = (line.to_board_bytes - before[1]) / count
            numbers[f"peers.{tool}.{what}.per_s"] = count / seconds
    return numbers


def over_link(port: str, share: float) -> dict[str, float]:
    """The snapshot is what a connection begins with; a read is of the mirror and costs the line nothing; a SET is a command, and the
    change that it makes.
    """
    numbers: dict[str, float] = {}
    with CountedProxy(port) as line, tempfile.TemporaryDirectory() as folder, feagi_state.connect(line.port, mirror_dir=folder, timeout_s=30) as device:
        numbers["peers.link.snapshot.sent_bytes"] = line.to_host_bytes
        numbers["peers.link.snapshot.received_bytes"] = line.to_board_bytes
        count = max(2, int(WORK["set"] * share))
        before = line.to_host_bytes, line.to_board_bytes
        began = time.perf_counter()
        for number in range(count):
            device.set("fatigue_index", number % 100)
        seconds = time.perf_counter() - began
        numbers["peers.link.set.sent_bytes"] = (line.to_host_bytes - before[0]) / count
        numbers["peers.link.set.received_bytes"] = (line.to_board_bytes - before[1]) / count
        numbers["peers.link.set.per_s"] = count / seconds
        count, began = 10_000, time.perf_counter()
        for _ in range(count):
            _ = device.state.neuron_count
        numbers["peers.link.read.per_s"] = count / (time.perf_counter() - began)
    return numbers


def of_smp() -> dict[str, float]:
    """Bytes alone."""
    done = run_python(PYTHON, "-c", SMP)
    names = [f"peers.smp.{what}.{way}_bytes" for what in WORK for way in ("received", "sent")]
    return dict(zip(names, map(float, done.split()), strict=True))


def run_python(python: Path, *arguments: str) -> str:
    try:
        done = subprocess.run([python, *arguments], capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise CannotMeasure(f"not installed: {error}") from error
    if done.returncode:
        raise CannotMeasure(done.stderr.strip().splitlines()[-1])
    return done.stdout


@contextmanager
def worker(python: Path, tool: str, port: str) -> Iterator[Callable[[str], str]]:
    """peer.py: a function that gives it a line and returns its answer."""
    run_python(python, "-c", f"import {tool}")
    with subprocess.Popen([python, HERE / "peer.py", tool, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(line: str) -> str:
            print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                raise CannotMeasure("it gave up")
            return answer

        if not process.stdout.readline():
            raise CannotMeasure("it did not begin")
        yield ask
        process.stdin.close()


def table(numbers: dict[str, float]) -> str:
    """Bytes to the board + from it, and times a second."""
    lines = [f"{'on the M3':<12}" + "".join(f"{what:>28}" for what in WORK)]
    for tool in ("mpremote", "belay", "smp", "link"):
        cells = []
        for what in WORK:
            name = f"peers.{tool}.{what}"
            bytes_ = f"{numbers[f'{name}.received_bytes']:.0f}+{numbers[f'{name}.sent_bytes']:.0f} B" if f"{name}.sent_bytes" in numbers else "0 B"
            cells.append(f"{bytes_}, {numbers[f'{name}.per_s']:,.0f}/s" if f"{name}.per_s" in numbers else bytes_)
        lines.append(f"{tool:<12}" + "".join(f"{cell:>28}" for cell in cells))
    return "\n".join(lines)
