"""Every frame that either side sends is what frames.cddl says, to a validator that is not ours; and both encoders make it."""

from __future__ import annotations

import ctypes
import re
from contextlib import closing

import cbor2

from cddl_oracle import judge, refused
from common import ROOT, VECTORS
from feagi_state import spec
from schedules import Schedule
from simulation import Simulation

SCHEDULES = 60
WRONG = [
    (spec.Kind.PING, ()), (spec.Kind.PING, (b"a",)), (spec.Kind.PING, (1, 2, 3)), (spec.Kind.PING, (1.5,)), (spec.Kind.DELTA, ()),
    (spec.Kind.DELTA, (1,)), (spec.Kind.DELTA, (1, b"")), (spec.Kind.DELTA, (1, b"a", 2)), (spec.Kind.DELTA, (1, bytes(129))),
    (spec.Kind.REPAIR, (1,)), (spec.Kind.REPAIR, (256, 1, b"a")), (spec.Kind.KEEPALIVE, (1,)), (spec.Kind.EVENT, (65536, 1, 1)),
    (spec.Kind.EVENT, (1, 2**32, 1)), (spec.Kind.COMMAND, ()), (spec.Kind.COMMAND, (1,) * 10), (spec.Kind.COMMAND, (1, bytes(65))),
    (spec.Kind.REPLY, (b"a",)), (spec.Kind.LOG, (1, "a" * 201)), (spec.Kind.ACK, (256,)),
]  # fmt: skip


def test_every_kind_has_a_rule() -> None:
    rules = re.findall(r"^([a-z-]+) *=", (ROOT / "shared_spec" / "frames.cddl").read_text(), re.MULTILINE)
    assert {kind.name.lower().replace("_", "-") for kind in spec.Kind} | {"value"} == set(rules)


def test_the_validator_takes_golden_frames_and_refuses_wrong_ones() -> None:
    lines = [line.split() for line in (VECTORS / "frames.txt").read_text().splitlines() if line.startswith("ok")]
    assert refused([(int(kind, 16), bytes.fromhex(payload.strip("-"))) for *_, kind, _, payload in lines]) == []
    wrong = [(kind, b"".join(map(cbor2.dumps, items))) for kind, items in WRONG]
    assert len(refused(wrong)) == len(wrong)


def test_every_frame_of_many_schedules_is_valid(device: ctypes.CDLL) -> None:
    said: set[bytes] = set()
    sessions: set[int] = set()
    for seed in range(SCHEDULES):
        schedule = Schedule(device, seed)
        schedule.run()
        simulation = schedule.simulation
        said |= simulation.to_device.sent | simulation.to_host.sent
        sessions |= set(simulation.device_of_session)
    with closing(Simulation(device, 1, 0)) as simulation:  # schedules log nothing
        assert simulation.settle()
        simulation.device.do("log", 50, "caf\u00e9")
        said |= set(simulation.next_segments())
        sessions |= set(simulation.device_of_session)
    said.discard(b"")
    # A host's first hello, as text: what it holds is judged when it is said as a frame.
    said = {segment for segment in said if not (segment[0] == spec.TEXT_BEGIN and segment[-1] == spec.TEXT_END)}
    counted = judge(device, said, sessions)
    assert counted.total() == len(said) > 40 * SCHEDULES, "something was sent that is no frame"
    assert set(counted) == {kind.name for kind in spec.Kind}
