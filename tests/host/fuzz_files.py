"""Feeds mutated files to `attach`, `load` and `restore`: `fuzz_files.py FOLDER [options of libFuzzer]`.

FOLDER gets the seeds, a region's file and a saved image, and the mutated file. Every input is tried as it is, and once more with
its checksum put right, so that what lies behind the checksum is reached too. A finding ends the process: an exception that is
not the documented one, a running region that was changed by a file that was refused, a crash, or a hang (-timeout).
"""

from __future__ import annotations

import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["feagi_state"]):
    import feagi_state
    from feagi_state import StateManager, spec

CRC = spec.IMAGE_FIELDS["crc"].offset


def seeds(folder: Path) -> None:
    """Writes a file of each kind, with something in every section."""
    folder.mkdir(exist_ok=True)
    with StateManager.create(folder / "region", "tiny") as state:
        fill(state)
        state.save(folder / "image")


def fill(state: StateManager) -> None:
    state.burst_engine_state = feagi_state.BurstEngineState.RUNNING
    state.neuron_count = 7
    state.register_agent("cam", feagi_state.AgentType.MOTOR)
    state.register_agent("mic")
    state.deregister_agent("mic")
    state.morphologies_hash = 2**63
    state.try_lock(5, 1)
    state.set_fcl_window(5, 3)
    state.init_area_stats("a")


def use(state: StateManager) -> None:
    """Every kind of read, and if it is writable of write. Each may be refused, with an error of the package."""
    for name in spec.CORE_FIELDS:
        getattr(state, name)
    operations = [
        state.create_snapshot,
        lambda: state.create_snapshot().as_dict(),
        lambda: state.create_snapshot().agents,
        state.health_check,
        state.get_agents,
        lambda: state.get_agent("cam"),
        state.get_locked_areas,
        lambda: state.is_locked(5),
        lambda: state.get_fcl_window(5),
        state.get_fcl_windows,
        state.get_all_area_stats,
        lambda: list(state.subscribe_events(from_start=True, timeout_s=0)),
    ]
    if state.writable:
        operations += [
            lambda: fill(state),
            lambda: state.heartbeat("cam"),
            lambda: state.evict_stale(0),
            lambda: state.unlock(5, 1),
            lambda: state.emit(256),
            lambda: update(state),
        ]
    for operation in operations:
        with suppress(feagi_state.StateError):
            operation()


def update(state: StateManager) -> None:
    with state.update():
        state.add_neuron_count(5)
        state.genome_state = feagi_state.GenomeState.LOADED


def try_file(path: Path) -> None:
    for readonly in (True, False):
        with suppress(feagi_state.MemoryMapError), StateManager.attach(path, readonly=readonly) as state:
            use(state)
    with suppress(feagi_state.PersistenceError), StateManager.load(path) as state:
        use(state)
    before = running.create_snapshot()
    try:
        running.restore(path)
    except feagi_state.PersistenceError:
        assert running.create_snapshot() == before, "a refused file has changed the region"
    else:
        use(running)


def one_input(data: bytes) -> None:
    mutated.write_bytes(data)
    try_file(mutated)
    if len(data) >= spec.IMAGE_LEN_BYTES:
        right = bytearray(data)
        struct.pack_into("<I", right, CRC, 0)
        struct.pack_into("<I", right, CRC, zlib.crc32(right))
        mutated.write_bytes(right)
        try_file(mutated)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    seeds(where / "seeds")
    mutated = where / "mutated"
    running = StateManager("tiny")
    atheris.Setup([sys.argv[0], str(where / "seeds"), *sys.argv[2:]], one_input)
    atheris.Fuzz()
