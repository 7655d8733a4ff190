"""Fixtures of the link's tests."""

from __future__ import annotations

import ctypes

import pytest

from simulation import TRAPS, build_library


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C device role, as a library for `Simulation`."""
    return build_library(tmp_path_factory.mktemp("device"), *TRAPS)
