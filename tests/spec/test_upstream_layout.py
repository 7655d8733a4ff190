"""The core block against FEAGI's own struct: the table below was read from feagi-core's MemoryMappedState with offset_of! on
x86-64 and is typed here by hand, so that a slip in our spec or generator cannot hide."""

from __future__ import annotations

import subprocess
from pathlib import Path

from common import CORE, ROOT
from generator.model import Spec

UPSTREAM = {
    "genome_state": (0, 1), "connectome_state": (1, 1), "burst_engine_state": (2, 1), "fq_sampler_state": (3, 1), "api_state": (4, 1),
    "zmq_state": (5, 1), "brain_readiness": (6, 1), "agent_count": (8, 4), "burst_frequency": (12, 4), "neuron_count": (16, 4),
    "synapse_count": (20, 4), "cortical_area_count": (24, 4), "memory_usage": (28, 4), "regular_neuron_count": (32, 4),
    "memory_neuron_count": (36, 4), "neuron_capacity": (40, 4), "synapse_capacity": (44, 4), "version": (48, 8), "last_modified": (56, 8),
    "genome_timestamp": (64, 8), "fatigue_index": (72, 1), "fatigue_active": (73, 1), "regular_neuron_util": (74, 1),
    "memory_neuron_util": (75, 1), "synapse_util": (76, 1),
}  # fmt: skip
UPSTREAM_SIZE = 128

UPSTREAM_ENUMS = {
    "BurstEngineState": ["UNAVAILABLE", "INITIALIZING", "READY", "RUNNING", "PAUSED", "ERROR", "LIGHT_SLEEP", "DEEP_SLEEP"],
    "GenomeState": ["MISSING", "LOADING", "LOADED", "SAVING", "ERROR"],
    "ConnectomeState": ["MISSING", "INITIALIZING", "UPDATING", "READY", "SNAPSHOTTING", "ERROR"],
    "ServiceState": ["UNAVAILABLE", "INITIALIZING", "READY", "DEGRADED", "ERROR"],
}


def test_the_compiled_core_block_has_upstreams_offsets_and_sizes(tmp_path: Path) -> None:
    lines = [f'printf("{n} %zu %zu\\n", offsetof(feagi_core_t, {n}), sizeof(((feagi_core_t *)0)->{n}));' for n in UPSTREAM]
    lines.append('printf("size %zu %zu\\n", sizeof(feagi_core_t), offsetof(feagi_core_t, genome_state));')
    source = tmp_path / "offsets.c"
    source.write_text(f'#include <stdio.h>\n#include "feagi_spec.h"\nint main(void) {{ {" ".join(lines)} return 0; }}\n')
    subprocess.run(["gcc", "-std=c11", f"-I{CORE}", str(source), "-o", str(tmp_path / "offsets")], check=True)
    output = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True).stdout
    compiled = {name: (int(at), int(size)) for name, at, size in map(str.split, output.splitlines())}
    assert compiled.pop("size") == (UPSTREAM_SIZE, 0)
    assert compiled == UPSTREAM


def test_the_host_package_reads_the_block_where_upstream_has_it() -> None:
    from feagi_state import spec

    assert {name: (f.offset, f.size) for name, f in spec.CORE_FIELDS.items()} == UPSTREAM


def test_enums_have_upstreams_numbers() -> None:
    enums = Spec(ROOT / "shared_spec").enums
    for name, members in UPSTREAM_ENUMS.items():
        assert list(enums[name]["values"].items()) == [(member, number) for number, member in enumerate(members)]
