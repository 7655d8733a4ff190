"""Recordings of real links: replays end with the bytes of the device, whatever the line does."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from feagi_state import LinkState, Recorder, Recording, attach, connect
from feagi_state.boards import find_board
from feagi_state.emulator import start_board
from feagi_state.mirror_files import OwnedMirror
from feagi_state.session import Hello
from simulation import Simulation, WatchedMirror, Watcher

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    return tmp_path


class FileWatcher(Watcher):
    """Keeps the mirror in a file, where others find it."""

    owned: OwnedMirror

    def open_mirror(self, header: bytes, hello: Hello) -> WatchedMirror:
        if self.mirror is None:
            self.mirror = WatchedMirror(self.owned.open(header, hello.name, "simulation"), self.simulation)
        return self.mirror


@pytest.mark.parametrize("rate", [0, 1e-2])
@pytest.mark.parametrize("seed", range(3))
def test_a_replayed_simulation_is_byte_for_byte_the_live_mirror(device: ctypes.CDLL, tmp_path: Path, seed: int, rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    FileWatcher.owned = OwnedMirror("simulated")
    monkeypatch.setattr("simulation.Watcher", FileWatcher)
    simulation = Simulation(device, seed, rate)
    assert simulation.settle()
    simulation.spoil(rate)
    mirror = simulation.session.mirror
    assert mirror is not None
    simulation.watcher.events.clear()
    with Recorder("simulated", tmp_path / "run.mcap") as recorder:
        for step in range(300):
            for _ in range(simulation.random.choice([0, 0, 1, 3])):
                simulation.act()
            simulation.step()
            if step == 150:
                simulation.boot()
        assert simulation.settle()
    recording = Recording(recorder.path)
    with recording.replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S)
        assert replay.mirror.region().read_region() == mirror.read_region()
        assert replay.mirror.state.as_dict() == attach("simulated").state.as_dict()
    recorded = [message.value for message in recording if message.topic == "event"]
    assert len(recorded) + sum(event["lost"] for event in recorded) == len(simulation.watcher.events)
    simulation.close()
    FileWatcher.owned.close()


@pytest.mark.parametrize("board", ["unix", pytest.param("qemu_m3", marks=pytest.mark.qemu)])
def test_a_boards_recording_ends_with_the_mirrors_last_bytes(tmp_path: Path, board: str) -> None:
    """It runs and takes commands meanwhile; the mirror is the board's by its digest, and a replay is the mirror's."""
    with start_board(find_board(board)) as started:
        with connect(started.link_port, timeout_s=30) as device:
            recorder = Recorder(device, tmp_path / "run.mcap")
            for index in range(30):
                device.set("memory_usage", index)
            on_board, mirrored = device.digest(timeout_s=30)
            assert on_board == mirrored and device.link.events_lost == 0
            name = device.name
        recorder.close()  # after the link's end, when nothing changes any more
    with attach(name) as view, Recording(recorder.path).replay(speed=0) as replay:
        assert replay.wait(PATIENCE_S)
        assert replay.mirror.region().read_region() == view.region().read_region()
        assert (replay.mirror.link.state, view.link.state) == (LinkState.STALE, LinkState.CLOSED)
        assert replay.mirror.link.counters == view.link.counters
    states = [message for message in Recording(recorder.path) if message.topic == "state"]
    values = [message.value["memory_usage"] for message in states]
    assert values == sorted(values) and values[-1] == 29
    assert recorder.summary.events_lost == 0
    # The board heard the time of day: its times are this computer's.
    assert all(abs(message.log_time_ns - message.device_time_ns) < PATIENCE_S * 1e9 for message in states)
