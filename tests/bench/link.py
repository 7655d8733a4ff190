"""What the host's role costs: deltas of one word a second, beside a plain loop over cobs, zlib and cbor2; and a fleet of boards.

`link.py COUNT` is the process of the boards: it prints their ports.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cbor2
from cobs import cobs

from feagi_state import Fleet, spec
from feagi_state.frames import encode
from feagi_state.session import HostSession
from feagi_state.spec import Kind

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/host", "shared_spec")]
from fake_device import FakeDevice  # noqa: E402
from size import CannotMeasure  # noqa: E402

READ_LEN_BYTES = 4096  # what one read gives the session under load
WORD = spec.CORE_FIELDS["neuron_count"].offset // 4
STEP_S = 0.01


def times(deltas: int, rounds: int) -> dict[str, float]:
    """link.deltas_per_s, link.plain_deltas_per_s and link.host_to_plain, which is of the best of each."""
    ours = plain = 0.0
    for _ in range(rounds):
        session, now = live_session()
        reads = wire(session, deltas)
        plain = max(plain, deltas / seconds(plain_loop, reads, session.session))
        applied = session.counters["deltas"]
        ours = max(ours, deltas / seconds(host_role, session, reads, now))
        assert session.counters["deltas"] == applied + deltas
    return {"link.deltas_per_s": ours, "link.plain_deltas_per_s": plain, "link.host_to_plain": ours / plain}


def seconds(work: Callable[..., None], *arguments: object) -> float:
    """Of the processor, how long it takes."""
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


def live_session() -> tuple[HostSession, float]:
    """A session with a device that has fallen silent, and the time there."""
    device, session, now = FakeDevice(77, "micro"), HostSession(), 0.0
    session.port_opened(now)
    while not session.is_live or device.flights or device.dirty:
        now += STEP_S
        device.receive(session.take_output(), now)
        device.tick(now)
        session.receive(device.take_output(), now)
        session.poll(now)
    session.take_output()
    return session, now


def wire(session: HostSession, deltas: int) -> list[bytes]:
    """The reads that bring so many deltas of one changed u32, which follow what the session has."""
    last = session.last_delta
    frames = (
        encode(Kind.DELTA, (last + n) & 255, (WORD, (70_000 + n).to_bytes(4, "little")), session.session)[1:]
        for n in range(1, deltas + 1)
    )
    stream = b"".join(frames)
    return [stream[at : at + READ_LEN_BYTES] for at in range(0, len(stream), READ_LEN_BYTES)]


def host_role(session: HostSession, reads: list[bytes], now: float) -> None:
    """The real thing: checked against the CDDL, published for readers, acknowledged."""
    for data in reads:
        session.receive(data, now)
        session.take_output()


def plain_loop(reads: list[bytes], session_id: int) -> None:
    """The least that takes such frames and applies them: no preferred form, no bounds, no acknowledgements, no readers."""
    memory = bytearray(8192)
    rest, last = b"", None
    for data in reads:
        *segments, rest = (rest + data).split(b"\0")
        for segment in segments:
            body = cobs.decode(segment)
            if zlib.crc32(body[:-4], session_id) != int.from_bytes(body[-4:], "little"):
                continue
            if last is not None and body[1] != (last + 1) & 255:
                continue
            last = body[1]
            items = cbor2.loads(b"\x9f" + body[2:-4] + b"\xff")
            for at in range(0, len(items), 2):
                start = spec.HEADER_LEN_BYTES + 4 * items[at]
                memory[start : start + len(items[at + 1])] = items[at + 1]


# ------------------------------------------------------------------------------------------------------- a fleet

CHANGES_PER_S = 50  # of each board


def fleet_load(boards: int, seconds_long: float) -> dict[str, float]:
    """Of so many boards that want to have 50 changes a second each: link.fleet_changes_per_s, what there was of them in all;
    link.fleet_cores, how much of a core serving them took; and link.boards_per_core, how many boards with 50 changes a second that
    makes. On a machine where the boards' process is held up there are fewer changes to share what serving costs without any: the
    last number is then too low, never too high.
    """
    with TemporaryDirectory() as folder, board_process(boards) as ports, Fleet(ports, mirror_dir=folder) as fleet:
        fleet.wait_live(60)
        deltas, cores, start = total_deltas(fleet), time.process_time(), time.perf_counter()
        time.sleep(seconds_long)
        took_s = time.perf_counter() - start
        cores = (time.process_time() - cores) / took_s
        deltas = (total_deltas(fleet) - deltas) / took_s
    if not deltas:
        raise CannotMeasure("the emulated boards changed nothing")
    return {"link.fleet_changes_per_s": deltas, "link.fleet_cores": cores, "link.boards_per_core": deltas / CHANGES_PER_S / cores}


def total_deltas(fleet: Fleet) -> float:
    return sum(device.link.deltas for device in fleet)


@contextmanager
def board_process(boards: int) -> Iterator[list[str]]:
    """The ports of so many emulated boards in a process of their own."""
    with subprocess.Popen([sys.executable, __file__, str(boards)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().split()
        process.stdin.close()


def run_boards(count: int) -> None:
    """The boards, until standard input ends."""
    boards = {}
    for number in range(count):
        master, slave = os.openpty()
        tty.setraw(slave)
        boards[master] = FakeDevice(1000 + number, "tiny", f"board{number}")
        print(os.ttyname(slave), end=" ")
    print(flush=True)
    poll = select.poll()
    for file in (*boards, sys.stdin.fileno()):
        poll.register(file, select.POLLIN)
    next_change = time.monotonic()
    while True:
        ready = [file for file, _ in poll.poll(max(0.0, next_change - time.monotonic()) * 1000)]
        if sys.stdin.fileno() in ready:
            return
        now = time.monotonic()
        if now >= next_change:
            next_change += 1 / CHANGES_PER_S
            for board in boards.values():
                board.set("neuron_count", board.get("neuron_count") + 1)
            ready = list(boards)
        for file in ready:
            data = os.read(file, READ_LEN_BYTES) if poll_one(file) else b""
            if data:
                boards[file].receive(data, now)
            boards[file].tick(now)
            out = boards[file].take_output()
            if out:
                os.write(file, out)


def poll_one(file: int) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


if __name__ == "__main__":
    run_boards(int(sys.argv[1]))
