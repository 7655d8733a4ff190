"""The README's examples, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import ROOT
from feagi_state.boards import find_board
from feagi_state.emulator import start_board

BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
BIN = Path(sys.executable).parent
SETTLE_S = 30.0  # a newcomer's patience, not a figure to hold


def block(containing: str) -> str:
    found = [text for _kind, text in BLOCKS if containing in text]
    assert len(found) == 1, f"{len(found)} blocks of the README contain {containing!r}"
    return found[0]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """As in a shell with the virtual environment active, with a place of its own for ports and mirrors."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    yield {**env, "PATH": f"{BIN}:{env['PATH']}", "FEAGI_STATE_DIR": str(tmp_path)}


def run(command: str, env: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def run_until_it_works(command: str, env: dict[str, str], cwd: Path = ROOT) -> str:
    """As one would who waits for what was started before it."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        done = run(command, env, cwd)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < deadline, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr


def test_the_readme_has_the_blocks_that_are_tested_here() -> None:
    words = ("make run", "feagi-state get", "feagi-state install", "device.add(", "feagi_state.attach", "Fleet(",
             "feagi-state record", "Recorder(", "brain.saved", "create_snapshot", "state.fgi", "make check")  # fmt: skip
    tested = [block(word) for word in words]
    assert sorted(tested) == sorted(text for _kind, text in BLOCKS), "the README has an example that no test runs"


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("number", [0, 1])
def test_two_commands(number: int, environment: dict[str, str]) -> None:
    command = block("make run").splitlines()[number].replace("SECONDS=10", "SECONDS=3")
    assert command.startswith("make run")
    done = run(command, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"mirror_equal_device": true' in done.stdout


@pytest.mark.parametrize(("words", "terminals"), [("feagi-state get", 2), ("feagi-state install", 1), ("feagi-state record", 2)])
def test_shell_examples(words: str, terminals: int, environment: dict[str, str], tmp_path: Path) -> None:
    background = []
    try:
        for line in block(words).splitlines():
            command, _, comment = map(str.strip, line.partition("#"))
            if comment.startswith(("first terminal", "second terminal")):
                if background:  # what was started before must be there first
                    run_until_it_works("feagi-state boards --json | grep -q '\"running\": \\[{'", environment)
                background.append(
                    subprocess.Popen(
                        ["bash", "-c", f"exec {command}"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
                    )
                )
            else:
                assert run_until_it_works(command, environment, tmp_path).strip()
        assert len(background) == terminals
    finally:
        for process in reversed(background):
            process.terminate()
            process.wait(10)


def test_python_examples(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    serving, reading = tmp_path / "serving.py", tmp_path / "reading.py"
    serving.write_text(block("device.add("))
    reading.write_text(block("feagi_state.attach"))
    with start_board(find_board("unix")):
        import feagi_state

        with feagi_state.connect("unix") as device:
            assert any(device.changes("neuron_count", timeout_s=SETTLE_S)), "the program does not run"
        done = subprocess.run([sys.executable, serving], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^\d+ \d+ \d+$", done.stdout, re.MULTILINE), "no change: the program stands still"
        assert "Event(" in done.stdout
        fleet = subprocess.run([sys.executable, "-c", block("Fleet(")], env=environment, capture_output=True, text=True, timeout=60)
        assert fleet.returncode == 0 and fleet.stdout.startswith("unix "), fleet.stderr
        with feagi_state.connect("unix"):
            done = subprocess.run([sys.executable, reading], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "LIVE" in done.stdout


def test_recording_from_python(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    with start_board(find_board("unix")):
        done = subprocess.run([sys.executable, "-c", block("Recorder(")], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("snapshot ") and done.stdout.endswith("unix-replay 30\n")


def test_state_manager_examples(environment: dict[str, str], tmp_path: Path) -> None:
    for word, says in (("brain.saved", ""), ("create_snapshot", "5 ['cam']")):
        code = block(word).replace("/dev/shm/", f"{tmp_path}/")
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brain", "brain.saved"]


@pytest.mark.qemu
def test_the_boards_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from feagi_state.emulator import Program

    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    main = tmp_path / "main.py"
    code = block("state.fgi")
    # QEMU's board has neither backup memory nor the memory of an ESP32's clock: bytes stand for the one, a list for the other.
    for old, new in (("0x40024000", "uctypes.addressof(backup)"), ("machine.RTC().memory(state", "kept.append(state")):
        assert old in code
        code = code.replace(old, new)
    main.write_text(f"backup = bytearray(4096)\nkept = []\n{code}\nwhile True:\n    link.poll()\n")
    import feagi_state

    with start_board(find_board("qemu_m3"), program=Program(main)) as board, feagi_state.connect(board.link_port, timeout_s=20) as device:
        assert device.link.device_name == "my board"
        assert device.state.burst_engine_state is feagi_state.BurstEngineState.RUNNING
        assert device.state.neuron_count == 5
        assert [agent.metadata for agent in device.agents] == ["160x120"]


def test_the_readmes_files_and_links_are_there() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
