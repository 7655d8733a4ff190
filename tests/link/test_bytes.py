"""What the link costs on the wire, in bytes: figures that the protocol was chosen for."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from feagi_state import spec
from simulation import FIELDS, Simulation


@pytest.fixture
def quiet(device: ctypes.CDLL) -> Iterator[Simulation]:
    """A session in which everything has been said."""
    simulation = Simulation(device, 1, 0)
    assert simulation.settle()
    while not simulation.device_is_quiet_for(100):
        pass
    yield simulation
    simulation.close()


# A frame's bytes between its delimiters and one delimiter: what it costs on a busy line.
def cost(segment: bytes) -> int:
    return len(segment) + 1


def test_one_changed_u32_takes_14_bytes(quiet: Simulation) -> None:
    quiet.device.do("set", FIELDS.index("neuron_count"), 0x01020304)
    (delta,) = quiet.next_segments()
    assert cost(delta) <= 14


def test_an_event_takes_17_bytes(quiet: Simulation) -> None:
    quiet.device.do("set", FIELDS.index("burst_engine_state"), 3)
    _delta, event = quiet.next_segments()
    assert cost(event) <= 17


def test_a_command_takes_11_bytes_and_its_reply_10(quiet: Simulation) -> None:
    field = spec.CORE_FIELDS["burst_engine_state"].offset
    quiet.session.command(spec.CommandOp.SET, (field, 1), quiet.now_ms / 1000, 5.0)
    command = quiet.session.take_output()
    assert cost(command.strip(b"\0")) <= 11
    quiet.device.receive(command)
    reply = quiet.next_segments()[0]
    assert cost(reply) <= 10
