"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import common


@pytest.fixture(scope="session")
def compile_core(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compile_core(source, *flags, core=folder, compiler="gcc") -> path of a program of the test's source and the whole core."""
    return lambda source, *flags, **which: common.compile_core(source, tmp_path_factory.mktemp("core"), *flags, **which)
