"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

import common
from feagi_state.boards import known_boards


class BoardByBoard(LoadScopeScheduling):
    """What a worker takes at once: the tests of a file, or those of them with one board, so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, parameters = nodeid.partition("[")
        boards = [name for name in known_boards() if parameters.startswith(name)]
        return f"{file.partition('::')[0]} {boards}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> BoardByBoard:
    return BoardByBoard(config, log)


@pytest.fixture(scope="session")
def compile_core(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compile_core(source, *flags, core=folder, compiler="gcc") -> path of a program of the test's source and the whole core."""
    return lambda source, *flags, **which: common.compile_core(source, tmp_path_factory.mktemp("core"), *flags, **which)
