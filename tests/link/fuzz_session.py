"""Feeds whatever a line may bring to the host's role: `fuzz_session.py FOLDER [options of libFuzzer]`.

FOLDER gets the seeds, the golden frames. An input is a list of steps: a byte that says what, and what it takes. Bytes come as they
are, or as the payload of a frame that is right around it (COBS, CRC, session), since no mutation would ever find a CRC. A finding
ends the process: any exception, a frame that is taken but is not what the encoder makes of its items, memory that grows with what
arrives, or a mirror that is none any more.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["feagi_state", "cbor2", "cobs"]):
    from feagi_state import frames, spec
    from feagi_state._core import Mirror, region_shape
    from feagi_state.errors import SerializationError
    from feagi_state.session import HostSession

from cobs import cobs

VECTORS = Path(__file__).parents[2] / "shared_spec" / "vectors" / "frames.txt"
SESSIONLESS = (spec.Kind.HELLO, spec.Kind.HELLO_ACK)
BOOT = 0x12345678
RAW, FRAMED, HELLO, TIME, COMMAND = range(5)


def wire(kind: int, seq: int, payload: bytes, session: int) -> bytes:
    """A frame around whatever payload."""
    body = bytes((kind, seq)) + payload
    crc = zlib.crc32(body, 0 if kind in SESSIONLESS else session)
    return b"\0" + bytes(cobs.encode(body + crc.to_bytes(4, "little"))) + b"\0"


def hello(session: HostSession, pages: int) -> bytes:
    """A device's, with another id than the present session's."""
    boot = session.session + 1 if session.session else BOOT
    return frames.encode(spec.Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, boot, 200, pages, 128, 5))


def check_segment(segment: bytes, session: int) -> None:
    """What is taken for a frame is what the encoder makes."""
    try:
        frame = frames.decode(segment, session)
    except SerializationError:
        return
    assert frames.encode(*frame, session)[1:-1] == segment, frame


def one_input(data: bytes) -> None:
    session, now = HostSession(random_u32=lambda: 7), 0.0
    session.port_opened(now)
    while len(data) >= 4:
        what, a, b, n = data[:4]
        taken, data = data[4 : 4 + n], data[4 + n :]
        what %= 5
        if what == RAW:
            session.receive(taken, now)
        elif what == FRAMED:
            framed = wire(a, b, taken[: spec.FRAME_LEN_BYTES - 6], session.session)
            check_segment(framed[1:-1], session.session)
            session.receive(framed, now)
        elif what == HELLO:
            session.receive(hello(session, 13 if a % 2 else a), now)
        elif what == TIME:
            now += a * b / 1000
            session.poll(now)
        else:
            session.command(a % 6, (b,), now, 1.0)
        assert len(session.unread) <= spec.FRAME_LEN_BYTES + 1
        assert len(session.take_output()) < 20 * spec.FRAME_LEN_BYTES
    mirror = session.mirror
    if mirror is not None:
        assert isinstance(mirror, Mirror)
        assert region_shape(mirror.read_page(0)) == (mirror.region_len, mirror.pages)


def step(what: int, a: int = 0, b: int = 0, taken: bytes = b"") -> bytes:
    return bytes((what, a, b, min(len(taken), 255))) + taken[:255]


def seeds(folder: Path) -> None:
    """An input of each golden frame, in a session."""
    folder.mkdir(exist_ok=True)
    begin, snapshot = step(HELLO, 13), b""
    for line in VECTORS.read_text().splitlines():
        if not line or line[0] == "#":
            continue
        how, name, _, coded, *parts = line.split()
        inputs = begin + step(RAW, taken=bytes.fromhex(coded))
        if how == "ok":
            kind, seq, payload = parts
            inputs = begin + step(FRAMED, int(kind, 16), int(seq), bytes.fromhex("" if payload == "-" else payload))
            snapshot += inputs[len(begin) :]
        (folder / name).write_bytes(inputs)
    (folder / "all").write_bytes(begin + snapshot)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    seeds(where / "seeds")
    atheris.Setup([sys.argv[0], str(where), *sys.argv[2:], str(where / "seeds"), str(Path(__file__).with_name("fuzz_session_corpus"))], one_input)
    atheris.Fuzz()
