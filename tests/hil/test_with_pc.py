"""A board and the PC: from an empty board to a live mirror, and the prompt beside the link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import feagi_state
from boards_by_cli import until
from feagi_state import Device, spec
from on_bench import Bench

STATE = "import feagi_state; s = feagi_state.StateManager.instance(); "


@pytest.fixture
def device(with_program: Bench) -> Iterator[Device]:
    """The link to the board's program."""
    if with_program.link_port is None:
        pytest.skip("nobody has wired the link: --link PORT")
    with feagi_state.connect(with_program.link_port, timeout_s=20) as device:
        yield device


def test_from_an_empty_board_to_a_live_mirror_by_one_command(with_program: Bench) -> None:
    report = with_program.report
    assert report["schema"] == f"{spec.SCHEMA_HASH:#010x}"
    assert report["module"] == with_program.module
    assert ("feagi_state.mpy" in report["files"]) == (with_program.module != "built-in")
    assert report["files"][-1] == "main.py"
    if with_program.link_port is not None:
        assert isinstance(report["neuron_count"], int), "the link did not come up"


def test_the_mirror_is_the_device(device: Device) -> None:
    before = device.state.neuron_count
    until(lambda: device.state.neuron_count > before, 20, "the program at work")  # it sleeps for three of twenty seconds
    theirs, ours = device.digest()
    assert theirs == ours
    assert device.agents or until(lambda: device.agents, 10, "an agent")
    assert device.events().get(10) is not None


def test_a_command_changes_the_device(device: Device) -> None:
    assert device.set("memory_usage", 2**32 - 1) == 2**32 - 1
    until(lambda: device.state.memory_usage == 2**32 - 1, 5, "the device's answer in the mirror")
    with pytest.raises(feagi_state.StateError):
        device.set("version", 1)


def test_the_prompt_shows_the_state_while_the_link_runs(device: Device, with_program: Bench) -> None:
    """The real mpremote, on a port of its own."""
    if with_program.shares_port:
        pytest.skip("one port: test_on_board.py has how they take turns")
    sessions = device.link.sessions
    device.set("memory_usage", 4711)
    assert with_program.run(STATE + "print(s.memory_usage); s.memory_usage = 4712").strip() == "4711"
    until(lambda: device.state.memory_usage == 4712, 5, "what was written at the prompt")
    assert device.link.sessions == sessions and not device.stale


def test_a_soft_reset_begins_a_new_session(device: Device, with_program: Bench) -> None:
    if with_program.shares_port:
        pytest.skip("one port: the program that has it hears no Ctrl-D")
    session, version = device.link.session, device.state.version
    with_program.soft_reset()
    until(lambda: not device.stale and device.link.session != session, 20, "the program's new session")
    # It counts from 0 again: what the mirror shows is not of the program before.
    assert device.state.version < version
    theirs, ours = device.digest()
    assert theirs == ours
