"""States, command lines and boards that they serve, and settings of the property tests: the same examples in every run, and no judgement of how long they take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import Background, Cli
from hypothesis import HealthCheck, settings

from fake_device import FakeDevice, PtyDevice
from feagi_state import StateManager

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# To look further: HYPOTHESIS_PROFILE=default pytest ...
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def state() -> Iterator[StateManager]:
    """A small state of this process alone."""
    with StateManager("tiny") as made:
        yield made


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[StateManager]:
    """A small state in a file."""
    with StateManager.create(tmp_path / "region", "tiny") as made:
        yield made


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line, in a state directory of its own."""
    return Cli(tmp_path / "run")


@pytest.fixture
def board() -> Iterator[PtyDevice]:
    """A device called "board" on a pseudo-terminal."""
    with PtyDevice(FakeDevice(77, "micro", "board")) as served:
        yield served


@pytest.fixture
def serving(cli: Cli, board: PtyDevice) -> Iterator[Background]:
    """`feagi-state serve` of the board, once it is live."""
    background = cli.start("serve", board.port)
    background.until("board: live")
    yield background
    background.end()
