"""A state that was saved on a board is the PC's, and the other way round; a board's restore reaches the PC's mirror."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import feagi_state
from common import ROOT
from feagi_state import AgentType, BurstEngineState, EventKind, GenomeState, StateManager, spec
from feagi_state.boards import find_board
from feagi_state.emulator import EmulatedBoard, Program, start_board
from generator.model import Spec

LAYOUT = Spec(ROOT / "shared_spec")
BOARDS = ["unix", pytest.param("qemu_m3", marks=pytest.mark.qemu)]
PROFILES = ("tiny", "micro")
# Runs code on a board that finds these files, and brings others back: run(code, to_board, from_board) -> what it printed.
Run = Callable[..., str]


def fill(state: StateManager) -> None:
    state.burst_engine_state = BurstEngineState.PAUSED
    state.genome_state = GenomeState.LOADED
    state.brain_readiness = True
    state.burst_frequency = 12.5
    state.neuron_count = 2**32 - 1
    state.genome_timestamp = 2**64 - 1
    state.fatigue_index = 99
    state.cortical_areas_hash = 2**64 - 7
    state.register_agent("caf\xe9", AgentType.BOTH)
    state.set_fcl_window(3, 33)
    state.set_fcl_window(None, 44)
    state.init_area_stats("v1")
    state.set_area_stats("v1", 1, 2, 3)


# The same in the board's Python, where StateManager has the same methods.
FILL = """
state.burst_engine_state, state.genome_state, state.brain_readiness = 4, 2, True
state.burst_frequency, state.neuron_count, state.genome_timestamp, state.fatigue_index = 12.5, 2**32 - 1, 2**64 - 1, 99
state.cortical_areas_hash = 2**64 - 7
state.register_agent("caf\\xe9", feagi_state.AgentType.BOTH)
state.set_fcl_window(3, 33)
state.set_fcl_window(None, 44)
state.init_area_stats("v1")
state.set_area_stats("v1", 1, 2, 3)
"""


def content(state: StateManager) -> dict[str, object]:
    """What a saved state carries, but for times, which are those of the clock that restores it."""
    found = state.create_snapshot().as_dict()
    for name in ("version", "last_modified", "taken_at_ms", "locked_areas"):
        del found[name]
    found["agents"] = [(a["agent_id"], a["agent_type"], a["metadata"]) for a in found["agents"]]
    return {**found, "default": state.get_fcl_window(999)}


@pytest.fixture(params=BOARDS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    if request.param == "unix":

        def run_unix(code: str, to_board: tuple[Path, ...] = (), from_board: tuple[str, ...] = ()) -> str:
            """In the folder of the test: what is there is on the board."""
            assert all(path.parent == tmp_path for path in to_board)
            path = ":".join([".frozen", *map(str, find_board("unix").path)])
            command = [str(Path(sys.executable).parent / "micropython"), "-c", code]
            environment = {**os.environ, "MICROPYPATH": path}
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        return run_unix
    board: EmulatedBoard = request.getfixturevalue("cortex_m3")

    def run_qemu(code: str, to_board: tuple[Path, ...] = (), from_board: tuple[str, ...] = ()) -> str:
        assert board.repl_port is not None
        command = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(board.repl_port), "resume"]
        for path in to_board:
            command += ["fs", "cp", str(path), f":{path.name}", "+"]
        command += ["exec", code]
        for name in from_board:
            command += ["+", "fs", "cp", f":{name}", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_qemu


@pytest.fixture(scope="module")
def cortex_m3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    main = tmp_path_factory.mktemp("m3") / "main.py"
    main.write_text("")
    with start_board(find_board("qemu_m3"), program=Program(main, ()), name=f"saved-{os.getpid()}") as board:
        yield board


def test_a_state_saved_on_a_board_is_loaded_and_restored_on_the_pc(run: Run, tmp_path: Path) -> None:
    saves = "\n".join(f"state = feagi_state.StateManager({p!r}){FILL}state.save('{p}.fgi')" for p in PROFILES)
    run(f"import feagi_state\n{saves}", (), tuple(f"{p}.fgi" for p in PROFILES))
    for profile in PROFILES:
        with StateManager(profile) as right, StateManager.load(tmp_path / f"{profile}.fgi") as loaded, StateManager(profile) as other:
            fill(right)
            assert content(loaded) == content(right)
            other.restore(tmp_path / f"{profile}.fgi")
            assert content(other) == content(right)


def test_a_state_saved_on_the_pc_is_loaded_and_restored_on_a_board(run: Run, tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"pc_{profile}.fgi" for profile in PROFILES)
    for profile, path in zip(PROFILES, paths):
        with StateManager(profile) as state:
            fill(state)
            state.try_lock(4)
            state.save(path)
    # Back to the PC, to be looked at by what wrote it.
    code = "import feagi_state\n"
    for profile in PROFILES:
        code += f"state = feagi_state.StateManager.load('pc_{profile}.fgi')\nassert state.get_locked_areas() == []\n"
        code += f"state.save('loaded_{profile}.fgi')\n"
        code += f"state = feagi_state.StateManager({profile!r})\nstate.restore('pc_{profile}.fgi')\nstate.save('restored_{profile}.fgi')\n"
    run(code, paths, tuple(f"{how}_{profile}.fgi" for how in ("loaded", "restored") for profile in PROFILES))
    for profile, path in zip(PROFILES, paths):
        with StateManager.load(path) as right:
            for how in ("loaded", "restored"):
                with StateManager.load(tmp_path / f"{how}_{profile}.fgi") as back:
                    assert content(back) == content(right)


def with_crc(data: bytearray) -> bytearray:
    """As somebody would who means to deceive, or another version in good faith."""
    at = spec.IMAGE_FIELDS["crc"].offset
    data[at : at + 4] = bytes(4)
    data[at : at + 4] = struct.pack("<I", zlib.crc32(data))
    return data


def at_section(name: str, struct_name: str, field: str) -> int:
    section = next(s for s in LAYOUT.sections("tiny") if s.name == name)
    return section.offset + section.head_len + next(f.offset for f in LAYOUT.structs[struct_name].fields if f.name == field)


def at_core(field: str) -> int:
    return spec.HEADER_LEN_BYTES + spec.CORE_FIELDS[field].offset


HEADER = {name: field.offset for name, field in spec.HEADER_FIELDS.items()}
# Offset in the region, bytes that are put there, what the board says.
SPOILT = [
    (at_core("burst_engine_state"), b"\x08", "field"),
    (at_core("fatigue_index"), b"\x65", "field"),
    (at_core("agent_count"), b"\x02", "agent table"),
    (at_section("agents", "agent", "id"), b"\xff", "agent table"),
    (at_section("cortical_locks", "lock", "used"), b"\x07", "locks or windows"),
    (at_section("area_stats", "stat", "state"), b"\x02", "statistics"),
    (HEADER["schema_hash"], b"\1\2\3\4", "another layout"),
    (HEADER["layout_version"], b"\x09", "another layout"),
    (HEADER["profile"], b"\x02", "another layout"),
    (HEADER["region_len"], b"\xff\xff\xff\xff", "another layout"),
    (HEADER["sections"], b"\xff\xff\xff\xff", "another layout"),
    (spec.IMAGE_FIELDS["image_version"].offset - spec.IMAGE_LEN_BYTES, b"\x02", "another version"),
    (spec.IMAGE_FIELDS["len_bytes"].offset - spec.IMAGE_LEN_BYTES, b"\xe1\xff\xff\xff", "truncated"),
    (spec.IMAGE_FIELDS["magic"].offset - spec.IMAGE_LEN_BYTES, b"FGST", "no saved state"),
]


def test_what_cannot_be_a_state_is_refused_although_its_crc_is_right(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "good.fgi"
    with StateManager("tiny") as state:
        fill(state)
        for n in range(3):  # every slot of the table has an agent
            state.register_agent(f"agent {n}")
        state.save(path)
    good, files = path.read_bytes(), []
    for n, (at, value, _) in enumerate(SPOILT):
        at += spec.IMAGE_LEN_BYTES
        files.append(tmp_path / f"bad{n}.fgi")
        files[-1].write_bytes(with_crc(bytearray(good[:at] + value + good[at + len(value) :])))
    said = run(
        "import feagi_state\nstate = feagi_state.StateManager('tiny')\nbefore = state.digest()\n"
        f"for n in range({len(SPOILT)}):\n"
        " for call in (state.restore, feagi_state.StateManager.load, lambda name: state.restore(bytearray(open(name, 'rb').read()))):\n"
        "  try:\n   call('bad%d.fgi' % n)\n"
        "  except feagi_state.PersistenceError as error: print(n, error)\n"
        "  else: print(n, 'was taken')\n"
        "assert state.digest() == before",
        tuple(files),
    )
    lines = [line for line in said.splitlines() if line[:1].isdigit()]
    assert len(lines) == 3 * len(SPOILT)
    for line in lines:
        assert SPOILT[int(line.split()[0])][2] in line, line


@pytest.mark.qemu
def test_a_state_in_backup_memory_outlives_a_reset(cortex_m3: EmulatedBoard) -> None:
    assert cortex_m3.repl_port is not None
    memory = "import feagi_state, uctypes; memory = uctypes.bytearray_at(0x21800000, 4096)"  # of RAM that a reset leaves alone
    code = f"{memory}; state = feagi_state.StateManager.instance();{FILL}\nstate.save(memory)"
    mpremote = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(cortex_m3.repl_port), "resume"]
    restored = f"{memory}; state = feagi_state.StateManager('micro'); state.restore(memory); print(state.get_agents(), state.neuron_count)"
    for command in (["exec", code], ["reset"], ["exec", restored]):
        done = subprocess.run([*mpremote, *command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
    assert r"agent_id='caf\xe9'" in done.stdout and "4294967295" in done.stdout


LIVE = """
import time
import feagi_state
try:
    from machine import UART
    ports = (UART(1, 115200), None)
except ImportError:
    import sys
    ports = (sys.stdin.buffer, sys.stdout.buffer)
state = feagi_state.StateManager.instance()
state.register_agent("before")
state.init_area_stats("old")
link = feagi_state.Link(ports[0], state, "live", ports[1])
while True:
    link.poll()
    if state.genome_state == feagi_state.GenomeState.LOADING:
        state.restore({path!r})
    time.sleep_ms(1)
"""


@pytest.mark.parametrize("name", BOARDS)
def test_a_restore_on_the_board_reaches_the_mirror_in_the_same_session(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    saved = tmp_path / "live.fgi"
    with StateManager("micro") as right:
        fill(right)
        right.save(saved)
        main = tmp_path / "main.py"
        main.write_text(LIVE.format(path=str(saved) if name == "unix" else saved.name))
        program = Program(main, () if name == "unix" else (saved,))
        with start_board(find_board(name), program=program, name="live") as board, feagi_state.connect(board.link_port) as device:
            device.wait_live(30)
            session = device.link.session
            events = device.events(timeout_s=30, from_start=True)
            assert next(events).kind == EventKind.AGENT_REGISTERED
            assert [agent.agent_id for agent in device.agents] == ["before"]
            device.set("genome_state", GenomeState.LOADING)
            kinds = [next(events).kind for _ in range(5)]
            changed = [EventKind.GENOME_STATE_CHANGED, EventKind.GENOME_STATE_CHANGED, EventKind.BURST_ENGINE_STATE_CHANGED]
            assert sorted(kinds[:3]) == sorted(changed)
            assert kinds[3:] == [EventKind.AGENT_DEREGISTERED, EventKind.AGENT_REGISTERED]
            assert len(set(device.digest())) == 1
            assert [agent.agent_id for agent in device.agents] == ["caf\xe9"]
            snapshot = right.create_snapshot()
            assert device.area_stats == snapshot.area_stats and device.fcl_windows == snapshot.fcl_windows
            assert device.hashes == snapshot.hashes and device.fcl_window(999) == 44
            for field in ("burst_engine_state", "burst_frequency", "neuron_count", "genome_timestamp", "fatigue_index"):
                assert getattr(device.state, field) == getattr(right, field)
            assert device.link.session == session
