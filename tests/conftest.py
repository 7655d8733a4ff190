"""What all tests share: where things are, and how our C is compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "firmware" / "core"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]

sys.path.insert(0, str(ROOT / "shared_spec"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top."""
    return ROOT


@pytest.fixture(scope="session")
def compile_core(tmp_path_factory: pytest.TempPathFactory):
    """compile_core(test_source, *flags) -> path of a program of the test and the whole core."""

    def build(source: Path, *flags: str, cc: str = "gcc", std: str = "c11") -> Path:
        program = tmp_path_factory.mktemp("core") / source.stem
        core = [str(p) for p in sorted(CORE.glob("*.c"))]
        includes = [f"-I{CORE}", f"-I{ROOT / 'firmware' / 'port'}"]
        command = [cc, f"-std={std}", "-O1", *WARNINGS, *includes, *flags, str(source), *core, "-o", str(program), "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        return program

    return build
