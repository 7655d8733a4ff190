"""Every public call of the core says who may make it; of those for interrupts it is measured how long they keep others out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import calls
import pytest

from common import CORE

# For hosts alone, or for the core's own files.
NOT_FOR_BOARDS = {"feagi_mirror.h", "feagi_shared.h", "feagi_image.h", "feagi_table.h", "feagi_write.h", "feagi_link_internal.h"}
HEADERS = sorted(file.name for file in CORE.glob("*.h") if file.name not in NOT_FOR_BOARDS)
CONTEXT = re.compile(r"any context|any reader|any thread|ISR-safe|producer only|consumer only|set-up only|main context|one context|one writer", re.IGNORECASE)


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """(comment, functions) of each part between blank lines that declares functions."""
    for part in text.split("\n\n"):
        comment = "\n".join(line for line in part.splitlines() if line.startswith("//"))
        # Declarations, and definitions of inline ones: what begins in the first column.
        names = re.findall(r"^(?!//|#|typedef|return)\w[\w *]*?\b(feagi_\w+)\(", part, re.MULTILINE)
        if names:
            yield comment.replace("\n// ", " "), names


def marked(header: str) -> dict[str, str]:
    """Function -> what is said of its context: the header's words on top, and its own."""
    text = (CORE / header).read_text()
    top = text.split("#ifndef", 1)[0].replace("\n// ", " ")
    return {name: top + comment for comment, names in blocks(text) for name in names}


@pytest.mark.parametrize("header", HEADERS)
def test_every_call_says_who_may_make_it(header: str) -> None:
    functions = marked(header)
    helpers = {"feagi_region_u32", "feagi_region_u64", "feagi_text_hash_word"}  # of an address, of two numbers
    assert [name for name, said in functions.items() if not CONTEXT.search(said) and name not in helpers] == []


def isr_safe() -> set[str]:
    found = {name for header in HEADERS for comment, names in blocks((CORE / header).read_text()) for name in names if "ISR-safe" in comment}
    assert {"feagi_state_set", "feagi_state_load_u64", "feagi_events_push", "feagi_stats_subtract", "feagi_hashes_set"} <= found
    return found


@pytest.fixture(scope="module")
def costs() -> dict[str, dict[str, calls.Cost]]:
    return {target: calls.measure(target) for target in calls.CPUS}


@pytest.mark.qemu
@pytest.mark.parametrize("header", calls.HEADERS, ids=lambda header: header.stem)
def test_ports_state_how_long_interrupts_wait(costs: dict[str, dict[str, calls.Cost]], header: calls.Path) -> None:
    """To a tenth and three instructions: another compiler may need a few more."""
    stated = calls.stated(header)
    targets = calls.HEADERS[header]
    measured = {name: tuple(costs[target][name].section for target in targets) for name in costs[targets[0]]}
    measured = {name: sections for name, sections in measured.items() if any(sections) and name.startswith("feagi_")}
    assert measured.keys() == stated.keys(), "`tests/bench/calls.py --write` states them anew"
    off = {
        name: f"stated {stated[name]}, measured {sections}"
        for name, sections in measured.items()
        if any(abs(a - b) > max(3, b // 10) for a, b in zip(stated[name], sections, strict=True))
    }
    assert off == {}, "`tests/bench/calls.py --write` states them anew"


@pytest.mark.qemu
def test_every_call_for_interrupts_is_measured(costs: dict[str, dict[str, calls.Cost]]) -> None:
    inside_others = {"feagi_region_mark_word", "feagi_state_load_u8", "feagi_state_store_u8", "feagi_state_store"}
    for target, found in costs.items():
        assert isr_safe() - inside_others <= found.keys(), target
