"""Fixtures of all tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common import CORE, PORT, WARNINGS


@pytest.fixture(scope="session")
def compile_core(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compile_core(source, *flags, core=folder, compiler="gcc") -> path of a program of the test's source and the whole core."""

    def build(source: Path, *flags: str, core: Path = CORE, compiler: str = "gcc") -> Path:
        program = tmp_path_factory.mktemp("core") / source.stem
        sources = [str(p) for p in sorted(core.glob("*.c"))]
        command = [compiler, "-std=c11", "-O1", *WARNINGS, f"-I{core}", f"-I{PORT}", *flags, str(source), *sources, "-o", str(program)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        return program

    return build
