"""What the wire says, judged by others: by zcbor, which reads shared_spec/frames.cddl for itself, and each side's encoder by the
other one's.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections import Counter
from collections.abc import Iterable

from common import ROOT
from feagi_state import frames, spec
from feagi_state.errors import SerializationError

PYTHON = ROOT / "build" / "zcbor" / "bin" / "python"  # `make` puts it there
Payload = tuple[int, bytes]  # kind, CBOR


def refused(payloads: Iterable[Payload]) -> list[str]:
    """Those that are not what frames.cddl says of their kind: the rule, the payload and zcbor's reason."""
    assert PYTHON.exists(), f"{PYTHON} is missing: `make check` and `make test` install it"
    lines = [f"{spec.Kind(kind).name.lower().replace('_', '-')} {payload.hex()}\n" for kind, payload in payloads]
    command = [PYTHON, ROOT / "tests" / "link" / "judge_payloads.py", ROOT / "shared_spec" / "frames.cddl"]
    done = subprocess.run(command, input="".join(lines), capture_output=True, text=True)
    *found, judged = done.stdout.splitlines() or [""]
    assert judged == f"{len(lines)} judged", done.stderr
    return found


def judge(library: ctypes.CDLL, segments: Iterable[bytes], sessions: Iterable[int]) -> Counter[str]:
    """How many frames of each kind there are among `segments`, of these sessions or none. Each is valid, and what the encoders
    of both sides make of its items; else an AssertionError.
    """
    counted: Counter[str] = Counter()
    payloads: set[Payload] = set()
    wire = ctypes.create_string_buffer(spec.FRAME_LEN_BYTES + 3)
    sessions = list(sessions)
    for segment in segments:
        for session in (0, *sessions):
            try:
                kind, seq, items = frames.decode(segment, session)
            except SerializationError:
                continue
            seed = 0 if kind in (spec.Kind.HELLO, spec.Kind.HELLO_ACK) else session
            assert frames.encode(kind, seq, items, seed) == b"\0" + segment + b"\0", f"the host's encoder: {items}"
            len_bytes = library.frame_again(segment, len(segment), seed, wire)
            assert wire[: max(0, len_bytes)] == b"\0" + segment + b"\0", f"the device's encoder: {items}"
            payloads.add((kind, frames.encode_body(kind, seq, items)[2:]))
            counted[spec.Kind(kind).name] += 1
            break
    wrong = refused(payloads)
    assert not wrong, f"not in frames.cddl: {wrong[0]}"
    return counted
