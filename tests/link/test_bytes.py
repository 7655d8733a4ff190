"""What the link costs on the wire, in bytes: figures that the protocol was chosen for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common import ROOT
from feagi_state import spec
from simulation import FIELDS, STEP_MS, Simulation


@pytest.fixture(scope="module")
def device(compile_core) -> Path:
    return compile_core(ROOT / "tests" / "core" / "device.c")


@pytest.fixture
def quiet(device: Path) -> Iterator[Simulation]:
    """A session in which everything has been said."""
    simulation = Simulation(device, 1, 0)
    assert simulation.settle()
    while not simulation.device_is_quiet_for(100):
        pass
    yield simulation
    simulation.device.close()


def test_one_changed_u32_takes_14_bytes_and_a_delimiter(quiet: Simulation) -> None:
    quiet.device.change("set", FIELDS.index("neuron_count"), 0x01020304)
    assert len(quiet.next_output()) <= 15


def test_an_event_takes_17_bytes_and_a_delimiter(quiet: Simulation) -> None:
    quiet.device.change("set", FIELDS.index("burst_engine_state"), 3)
    quiet.next_output()  # the change itself
    assert len(quiet.next_output()) <= 18


def test_a_command_takes_11_bytes_and_its_reply_10_and_delimiters(quiet: Simulation) -> None:
    field = spec.CORE_FIELDS["burst_engine_state"].offset
    quiet.session.command(spec.CommandOp.SET, (field, 1), quiet.now_ms / 1000, 5.0)
    command = quiet.session.take_output()
    assert len(command) <= 12
    quiet.device.change("rx", command.hex())
    wire = quiet.next_output()
    reply = wire[: wire.index(b"\0", 1) + 1]
    assert len(reply) <= 11
