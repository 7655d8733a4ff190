"""The demonstration: a view of its device, the proof that the mirror is equal to the device, and the report."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import spec
from .clock import now_s
from .emulator import EmulatedBoard
from .errors import MemoryMapError, StateError
from .live import status_text
from .mirror import LinkInfo, attach

if TYPE_CHECKING:
    from .device import Device

__all__ = ["DemoView", "OldCounts", "closing_report", "old_counts"]

DIGEST_S = 5.0  # for all tries: who waits for the end has pressed Ctrl-C


@dataclass(frozen=True)
class OldCounts:
    """Counts of the mirror that an earlier run left: a mirror's go on, the demo's begin at 0."""

    file: tuple[int, int] = (0, 0)  # device and inode: a mirror of another layout is replaced, and counts from 0
    counters: dict[str, int] = field(default_factory=dict)


def old_counts(name: str) -> OldCounts:
    """To be called before the device is connected."""
    try:
        with attach(name) as old:
            return OldCounts(_file_id(old.path), old.link.counters)
    except (MemoryMapError, OSError):
        return OldCounts()


def _file_id(path: os.PathLike[str]) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


class DemoView:
    """The device, with its link's counts since the demo connected it: table, lines and report show the same ones."""

    def __init__(self, device: Device, old: OldCounts) -> None:
        """`old`: what `old_counts` gave before the device was connected."""
        self._device = device
        self._before = old.counters if _file_id(device.mirror.path) == old.file else {}

    def __getattr__(self, name: str) -> Any:
        """All but the link is the device's."""
        return getattr(self._device, name)

    @property
    def link(self) -> LinkInfo:
        """The link, counted since the demo connected."""
        link = self._device.link
        counts: dict[str, Any] = {name: count - self._before.get(name, 0) for name, count in link.counters.items()}
        return replace(link, **counts)


def compare_digests(view: Any) -> tuple[bool, str]:
    """(whether the device's region equals the mirror, what to say of it).

    A device that is silent is not asked: nobody waits for an answer that does not come.
    """
    deadline = now_s() + DIGEST_S
    problem = ""
    while (left_s := deadline - now_s()) > 0:
        if view.stale:
            return False, problem or f"not compared: {status_text(view)}"
        try:
            theirs, ours = view.digest(timeout_s=left_s)
        except StateError as error:
            problem = str(error)
            time.sleep(0.2)
            continue
        if theirs == ours:
            return True, f"the device's digest {theirs:#010x} is the mirror's: they are equal"
        problem = f"the device's digest is {theirs:#010x}, the mirror's {ours:#010x}: they differ"
    return False, problem


def closing_report(board: EmulatedBoard, view: Any) -> tuple[dict[str, Any], str]:
    """(the demo's JSON object, a sentence on whether mirror and device are equal). `view`: a DemoView."""
    equal, sentence = compare_digests(view)
    link = view.link
    assert board.identity is not None
    report = {
        "board": board.board.name,
        "mcu_arch": board.identity.arch,
        "micropython": board.identity.micropython,
        "mpy_arch": board.identity.mpy_arch,
        "machine": board.identity.machine,
        "device_name": link.device_name,
        "schema": f"{spec.SCHEMA_HASH:#010x}",
        **link.counters,
        "round_trip_us": link.round_trip_us,
        "mirror_equal_device": equal,
        "stale": view.stale,
    }
    return report, sentence
