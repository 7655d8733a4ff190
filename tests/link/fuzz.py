"""The fuzzers of the link: the C side under libFuzzer, the host's under atheris.

    python tests/link/fuzz.py [--seed N] [--runs N]

runs each from its corpus (tests/core/fuzz_link_corpus, tests/link/fuzz_session_corpus) and ends with status 1 at a finding, which
is kept as a file in build/fuzz and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from common import ROOT, SANITIZERS, compile_core

CORPUS = ROOT / "tests" / "core" / "fuzz_link_corpus"
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


def compile_fuzzer(folder: Path) -> Path:
    """tests/core/fuzz_link.c and the core, with libFuzzer and sanitizers. Raises CannotRun."""
    return compile_core(ROOT / "tests" / "core" / "fuzz_link.c", folder, "-fsanitize=fuzzer", *SANITIZERS, compiler="clang-22")


def fuzz_device(fuzzer: Path, folder: Path, runs: int, seed: int) -> list[str | Path]:
    """The command that runs the C side's. New inputs and findings go to `folder`."""
    return [fuzzer, *options(folder, runs, seed), folder, CORPUS]


def fuzz_host(folder: Path, runs: int, seed: int) -> list[str | Path]:
    """The command that runs the host's."""
    return [sys.executable, ROOT / "tests" / "link" / "fuzz_session.py", folder, *options(folder, runs, seed)]


def options(folder: Path, runs: int, seed: int) -> list[str]:
    """Of libFuzzer."""
    # libFuzzer takes 32 bits, and 0 for one of its own.
    seed = seed % 2**32 or 1
    return [f"-seed={seed}", f"-runs={runs}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the fuzzers of the link.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100_000)
    chosen = parser.parse_args()
    status = 0
    with TemporaryDirectory() as folder:
        fuzzer = compile_fuzzer(Path(folder))
        for name in ("device", "host") if HAS_ATHERIS else ("device",):
            kept = ROOT / "build" / "fuzz" / name
            kept.mkdir(parents=True, exist_ok=True)
            print(f"fuzzing the {name}'s side, seed {chosen.seed}: {chosen.runs} inputs", flush=True)
            command = fuzz_device(fuzzer, kept, chosen.runs, chosen.seed) if name == "device" else fuzz_host(kept, chosen.runs, chosen.seed)
            status |= subprocess.run(command).returncode != 0
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
