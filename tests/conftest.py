"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

import common
from feagi_state.boards import known_boards

# Where a shell starts the tests in the background, Ctrl-C is ignored, by them and by every program that they start and want to end.
signal.signal(signal.SIGINT, signal.default_int_handler)


class BoardByBoard(LoadScopeScheduling):
    """What a worker takes at once: the tests of a file, or those of them with one board, so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, parameters = nodeid.partition("[")
        boards = [name for name in known_boards() if parameters.startswith(name)]
        return f"{file.partition('::')[0]} {boards}"

    def remove_node(self, node: WorkerController) -> str | None:
        """Give a worker's tests back. The one that ended it counts as run: xdist would run it again, and again, for ever."""
        tests = [(scope, test) for scope in self.assigned_work[node].values() for test, ran in scope.items() if not ran]
        if tests:
            scope, ended_by = tests[0]
            scope[ended_by] = True
        super().remove_node(node)
        return tests[0][1] if tests else None


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> BoardByBoard:
    return BoardByBoard(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name what failed at once: a run that is ended from outside never prints its summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        reason = str(report.longrepr).splitlines()
        print(f"\nFAILED after {report.duration:.0f} s: {report.nodeid}\n    " + "\n    ".join(reason[-12:]), flush=True)


@pytest.fixture(scope="session")
def compile_core(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compile_core(source, *flags, core=folder, compiler="gcc") -> path of a program of the test's source and the whole core."""
    return lambda source, *flags, **which: common.compile_core(source, tmp_path_factory.mktemp("core"), *flags, **which)
