"""What the host's role costs: deltas of one word a second, beside a plain loop over cobs, zlib and cbor2."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable

import cbor2
from cobs import cobs

from feagi_state import spec
from feagi_state.frames import encode
from feagi_state.session import HostSession
from feagi_state.spec import Kind
from size import ROOT

sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/host", "shared_spec")]
from fake_device import FakeDevice  # noqa: E402

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
