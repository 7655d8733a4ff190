#!/usr/bin/env python3
"""Says on what the golden vectors of shared_spec/vectors/ pass: the native module of each architecture on its board, the C core,
and the packages for CPython and for browsers.

A number is of checks: a vector that is a frame is decoded and encoded, one that is an operation on a region has a result, and a
region has bytes in the end. Boards have no room for regions of the profile `host`; those are counted as left out. No MicroPython
runs on the emulated Xtensa CPU: CPython calls the functions of the .mpy file there.

Writes the numbers as JSON. Exit status: 0, 1 if a check failed or was left out without need, 2 if a target could not be run.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import board_scripts
import xtensa_cpu
from board_scripts import counted

from common import FIELD_NAMES, ROOT, SANITIZERS, VECTORS, CannotRun, compile_core, run
from feagi_state.boards import Board, BoardError, known_boards
from feagi_state.identity import PROBE, IdentityError, parse_identity

SCRIPT = "run_vectors"
FILES = ("frames.txt", "regions.txt")
# Profiles of which a board in QEMU need not have room for a region and its copy.
TOO_LARGE_FOR_BOARDS = {"host"}


@dataclass(frozen=True)
class Result:
    """What one target did."""

    tested: str
    cpu: str
    micropython: str | None  # its version, None where there is none
    run: int
    passed: int
    failed: int
    left_out: Mapping[str, int]  # regions that there was no room for, by profile
    needless: tuple[str, ...] = ()  # profiles of these for which there should have been
    said: str = ""  # what the target printed

    @property
    def passes(self) -> bool:
        """Whether all that can be run there has been run, and passed."""
        return self.run > 0 and not self.failed and not self.needless

    def numbers(self) -> dict[str, object]:
        """As in the JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("needless", "said")}


Target = Callable[[Path, Path], Result]  # of the vectors' folder, and of one for files; raises CannotRun


def result(tested: str, cpu: str, output: str, micropython: str | None = None, may_leave_out: Set[str] = frozenset()) -> Result:
    """The result in what a run printed. Raises CannotRun."""
    count = counted(output)
    left_out = dict(Counter(re.findall(r"^skipped: .* of profile (\w+)", "\n".join(count.skipped), re.MULTILINE)))
    needless = tuple(sorted(set(left_out) - may_leave_out))
    return Result(tested, cpu, micropython, count.ran, count.ran - count.failed, count.failed, left_out, needless, output)


def on_board(board: Board, vectors: Path, folder: Path) -> Result:
    """The board's native module under its MicroPython, which says its version."""
    code = f"{PROBE}; import {SCRIPT}; {SCRIPT}.run({{!r}})"
    try:
        if board.how == "unix":
            output = board_scripts.run_on_unix(code.format(str(vectors)), folder)
        else:
            files = (board_scripts.FOLDER / f"{SCRIPT}.py", *(vectors / name for name in FILES))
            with board_scripts.start_quiet(board, folder, *files) as started:
                output = board_scripts.run_on(started, code.format(""))
        version = parse_identity(output).micropython
    except (BoardError, IdentityError) as error:
        raise CannotRun(str(error)) from error
    return result(f"{board.mpy} .mpy", board.architecture, output, version, TOO_LARGE_FOR_BOARDS if board.how == "qemu" else frozenset())


def on_xtensa(vectors: Path, folder: Path) -> Result:
    """The native module for ESP32."""
    output = xtensa_cpu.run_script(xtensa_cpu.build_stub(folder), folder, SCRIPT, str(vectors))
    return result("xtensawin .mpy", "Xtensa dc233c", output)


def core(cpu: str, compiler: str, flags: list[str], emulator: list[str], vectors: Path, folder: Path) -> Result:
    """The C core, without any Python."""
    program = compile_core(ROOT / "tests" / "core" / "vectors.c", folder, *flags, FIELD_NAMES, compiler=compiler)
    outputs = []
    for name in FILES:
        done = run(*emulator, program, Path(name).stem, vectors / name)
        outputs.append(result("C core", cpu, done.stdout + done.stderr))
    frames, regions = outputs
    numbers = (frames.run + regions.run, frames.passed + regions.passed, frames.failed + regions.failed)
    return Result("C core", cpu, None, *numbers, {}, said=frames.said + regions.said)


def cpython(vectors: Path, folder: Path) -> Result:
    """The package feagi_state of this Python."""
    done = run(sys.executable, ROOT / "tests" / "host" / "golden.py", vectors, cwd=folder)
    return result(f"CPython {platform.python_version()}", platform.machine(), done.stdout + done.stderr)


def wasm(build: str, vectors: Path, folder: Path) -> Result:
    """The package feagi-state for browsers, in Node."""
    done = run("node", ROOT / "tests" / "web" / "run_vectors.mjs", vectors, build, cwd=folder)
    version = run("node", "--version").stdout.strip().lstrip("v")
    return result(f"Node {version}", "wasm32" if build == "single" else "wasm32 threads", done.stdout + done.stderr)


def targets() -> dict[str, Target]:
    """What there is to run, by name."""
    found: dict[str, Target] = {board.name: partial(on_board, board) for board in known_boards().values() if board.emulated}
    return found | {
        "xtensawin": on_xtensa,
        "cpython": cpython,
        "core": partial(core, platform.machine(), "gcc", SANITIZERS, []),
        "wasm": partial(wasm, "single"),
        "wasm_threaded": partial(wasm, "threaded"),
        "core_aarch64": partial(core, "aarch64", "aarch64-linux-gnu-gcc", ["-static"], ["qemu-aarch64"]),
    }


def table(results: Mapping[str, Result]) -> str:
    """The results for reading."""
    rows = [("target", "what", "on CPU", "MicroPython", "run", "passed", "failed", "regions left out")]
    for name, found in results.items():
        left_out = ", ".join(f"{count} of profile {profile}" for profile, count in found.left_out.items())
        numbers = (str(found.run), str(found.passed), str(found.failed))
        rows.append((name, found.tested, found.cpu, found.micropython or "-", *numbers, left_out))
    return "\n".join("{:<14}{:<16}{:<15}{:<17}{:>6}{:>8}{:>8}   {}".format(*row).rstrip() for row in rows)


def complaint(name: str, found: Result) -> str:
    """What is wrong with a target that does not pass, with the lines that failed."""
    lines = [f"conformance: {name}: {found.failed} of {found.run} checks failed"]
    lines += [f"conformance: {name}: no room for a region of profile {profile}" for profile in found.needless]
    return "\n".join([*lines, *(f"  {line}" for line in found.said.splitlines() if "failed:" in line or line.startswith("line "))])


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, writes the JSON and answers the exit status."""
    known = targets()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, default=VECTORS, help=f"folder that holds {' and '.join(FILES)}")
    parser.add_argument("--target", action="append", choices=known, help="only this one, may be repeated (default: all)")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "conformance.json", help="file for the numbers")
    args = parser.parse_args(arguments)
    results: dict[str, Result] = {}
    not_run = []
    for name in args.target or known:
        try:
            with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
                results[name] = known[name](args.vectors.resolve(), Path(folder))
        except CannotRun as error:
            not_run.append(f"conformance: {name} was not run: {error}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({name: found.numbers() for name, found in results.items()}, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    failing = [complaint(name, found) for name, found in results.items() if not found.passes]
    for line in [*failing, *not_run]:
        print(line, file=sys.stderr)
    return 1 if failing else 2 if not_run else 0


if __name__ == "__main__":
    sys.exit(main())
