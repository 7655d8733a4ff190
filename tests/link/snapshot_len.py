"""How many bytes the snapshot of a core block and 16 agents takes on the wire, beside the bytes that it is of."""

from __future__ import annotations

import ctypes
import random

import cbor2

from common import ROOT
from feagi_state import spec
from feagi_state.frames import decode, encode
from feagi_state.spec import Kind
from generator.model import Spec

PROFILE = "micro"
CAPACITY_BYTES = 1 << 16
FRAME_BYTES = 8  # of a frame with one delimiter, around its payload
SECTIONS = {section.name: section for section in Spec(ROOT / "shared_spec").sections(PROFILE)}
AGENTS_END = SECTIONS["cortical_locks"].offset
AT = spec.HEADER_LEN_BYTES


def snapshot_len(library: ctypes.CDLL, *, worst: bool) -> tuple[int, int]:
    """(bytes on the wire, bytes of the state). `worst`: no byte is zero; else 16 agents of 20 bytes of id each, and fields as they are
    when a network runs.
    """
    device = library.device_new(spec.PROFILES[PROFILE].id, 7)
    base, draw = library.device_base(device), random.Random(1)
    agents = SECTIONS["agents"].offset
    state = len(range(AT, AT + spec.CORE_LEN_BYTES)) + AGENTS_END - agents
    if worst:
        for begin, end in ((AT, AT + spec.CORE_LEN_BYTES), (agents, AGENTS_END)):
            ctypes.memmove(base + begin, bytes(draw.randrange(1, 256) for _ in range(begin, end)), end - begin)
    else:
        for number in range(16):
            library.device_do(device, b"register", b"agent-of-the-sort-%02d" % number, b"", b"")
        for index, field in enumerate(spec.CORE_FIELDS.values()):
            library.device_do(device, b"set", str(index).encode(), str(draw.randrange(min(field.maximum, 10**7))).encode(), b"")
    out, wire, now_ms = ctypes.create_string_buffer(CAPACITY_BYTES), 0, 5
    session = library.device_session(device)

    def say(kind: Kind, seq: int, *items: int) -> list[bytes]:
        nonlocal now_ms
        now_ms += 5
        library.device_tick(device, now_ms)
        frame = encode(kind, seq, items, session)
        library.device_receive(device, frame, len(frame))
        return out[: library.device_output(device, 8, CAPACITY_BYTES, out)].split(b"\0")

    segments = say(Kind.HELLO_ACK, 0, session)
    while any(segments):
        last = None
        for frame in (decode(segment, session) for segment in segments if segment):
            if frame.kind == Kind.DELTA:
                last = frame.seq
                runs = zip(frame.items[::2], frame.items[1::2])
                ours = [run for run in runs if 0 <= 4 * run[0] < spec.CORE_LEN_BYTES or agents <= AT + 4 * run[0] < AGENTS_END]
                wire += sum(len(cbor2.dumps(item)) for run in ours for item in run) + (FRAME_BYTES if ours else 0)
        if last is None:
            break
        segments = say(Kind.ACK, last, spec.LINK_WINDOW)
    library.device_free(device)
    return wire, state
