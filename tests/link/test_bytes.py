"""What the link costs on the wire, in bytes: figures that the protocol was chosen for."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
from snapshot_len import snapshot_len

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


def test_a_command_takes_11_bytes_and_its_reply_9(quiet: Simulation) -> None:
    field = spec.CORE_FIELDS["burst_engine_state"].offset
    quiet.session.command(spec.CommandOp.SET, (field, 1), quiet.now_ms / 1000, 5.0)
    command = quiet.session.take_output()
    assert cost(command.strip(b"\0")) <= 11
    quiet.device.receive(command)
    reply = quiet.next_segments()[0]
    assert cost(reply) <= 9


def test_a_snapshot_of_the_core_and_16_agents_takes_at_most_a_twentieth_more_than_its_bytes(device: ctypes.CDLL) -> None:
    wire, state = snapshot_len(device, worst=False)
    assert 500 < wire <= 1.05 * state


def test_a_snapshot_without_a_zero_in_it_takes_a_ninth_more(device: ctypes.CDLL) -> None:
    """Each agent is a page of its own, which costs 5 bytes, and two of them fit a frame, which costs 8."""
    wire, state = snapshot_len(device, worst=True)
    assert state < wire <= state * 10 / 9
