"""The end of the demonstration: the proof that the mirror is equal to the device, and the report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from . import spec
from .emulator import EmulatedBoard
from .errors import LinkError, MemoryMapError, StateError
from .mirror import attach

if TYPE_CHECKING:
    from .device import Device

__all__ = ["closing_report", "counts_before"]

DIGEST_TRIES = 3


def compare_digests(device: Device) -> tuple[bool, str]:
    """(whether the device's region equals the mirror, what to say of it)."""
    problem = ""
    for _ in range(DIGEST_TRIES):
        try:
            theirs, ours = device.digest()
        except (LinkError, StateError) as error:
            problem = str(error)
            time.sleep(0.2)
            continue
        if theirs == ours:
            return True, f"the device's digest {theirs:#010x} is the mirror's: they are equal"
        problem = f"the device's digest is {theirs:#010x}, the mirror's {ours:#010x}: they differ"
    return False, problem


def counts_before(name: str) -> dict[str, int]:
    """Counts of the mirror that an earlier run left under this name: a mirror's go on, the demo's begin at 0."""
    try:
        with attach(name) as old:
            return old.link.counters
    except MemoryMapError:
        return {}


def closing_report(board: EmulatedBoard, device: Device, before: dict[str, int]) -> tuple[dict[str, Any], str]:
    """(the demo's JSON object, a sentence on whether mirror and device are equal).

    `before`: what `counts_before` gave before the device was connected.
    """
    equal, sentence = compare_digests(device)
    link = device.link
    if link.frames < before.get("frames", 0):  # another layout's mirror was replaced by a new one
        before = {}
    assert board.identity is not None
    report = {
        "board": board.board.name,
        "mcu_arch": board.identity.arch,
        "micropython": board.identity.micropython,
        "mpy_arch": board.identity.mpy_arch,
        "machine": board.identity.machine,
        "device_name": link.device_name,
        "schema": f"{spec.SCHEMA_HASH:#010x}",
        **{name: count - before.get(name, 0) for name, count in link.counters.items()},
        "round_trip_us": link.round_trip_us,
        "mirror_equal_device": equal,
        "stale": device.stale,
    }
    return report, sentence
