"""Fixtures of the link's tests."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from simulation import TRAPS, compile_device, load_device


@pytest.fixture(scope="session")
def device_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C device role, compiled."""
    return compile_device(tmp_path_factory.mktemp("device"), *TRAPS)


@pytest.fixture(scope="session")
def device(device_library: Path) -> ctypes.CDLL:
    """The same, loaded, for `Simulation`."""
    return load_device(device_library)
