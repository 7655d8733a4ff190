"""What a view says of hashes, locks, windows and statistics: of the golden regions, and of bytes that lie."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from feagi_state import AreaStats, InvalidValue, MirrorView, spec
from feagi_state._core import Mirror, mirror_len
from places import SPEC, layout, page_of, section_at, section_head_at, word_of
from test_region_vectors import REGIONS, Operation, mirror_of

COUNTS = ("neuron_count", "incoming_synapse_count", "outgoing_synapse_count")
WITH_SECTIONS = [r for r in REGIONS if any(words[0] == "set_hash" for words, _ in r[4])]


def view_of(memory: bytes | bytearray, folder: Path) -> MirrorView:
    path = folder / "board.mirror"
    path.write_bytes(memory)
    return MirrorView(path)


def memory_of(image: bytes) -> bytearray:
    memory = bytearray(mirror_len(len(image)))
    Mirror(memory, image).close()
    return memory


class Said:
    """What is left of operations, from their results alone."""

    def __init__(self, operations: list[Operation]) -> None:
        self.hashes = dict.fromkeys(spec.HASHES_FIELDS, 0)
        self.owners: dict[int, int] = {}
        self.windows: dict[int, int] = {}
        self.default = spec.FCL_WINDOW_DEFAULT
        self.stats: dict[str, dict[str, int]] = {}
        for (op, *words), result in operations:
            if not result.isdigit():
                continue
            if op == "set_hash":
                self.hashes[words[0]] = int(words[1])
            elif op == "try_lock":
                self.owners[int(words[0])] = int(words[1])
            elif op == "unlock":
                del self.owners[int(words[0])]
            elif op == "take_over":
                self.owners[int(words[0])] = int(words[2])
            elif op == "set_window":
                self.windows[int(words[0])] = int(words[1])
            elif op == "remove_window" and result == "1":
                del self.windows[int(words[0])]
            elif op == "default_window":
                self.default = int(words[0])
            elif op == "init_stats":
                self.stats[bytes.fromhex(words[0]).decode()] = dict.fromkeys(COUNTS, 0)
            elif op == "stat":
                self.stats[bytes.fromhex(words[1]).decode()][words[2]] = int(result)


def test_there_are_golden_regions_with_sections() -> None:
    assert {r[0].split("-")[0] for r in WITH_SECTIONS} == {"tiny", "micro"}
    for region in WITH_SECTIONS:
        said = Said(region[4])
        assert said.owners and said.windows and said.stats and all(said.hashes.values())


@pytest.mark.parametrize(("image", "operations"), [(r[1], r[4]) for r in REGIONS], ids=[r[0] for r in REGIONS])
def test_a_view_says_what_the_operations_left(image: bytes, operations: list[Operation], tmp_path: Path) -> None:
    said = Said(operations)
    with view_of(memory_of(image), tmp_path) as view:
        assert view.hashes == said.hashes
        assert [getattr(view.state, name) for name in spec.HASH_ATTRIBUTES] == list(said.hashes.values())
        assert view.locked_areas == said.owners
        assert view.fcl_windows == said.windows
        for area in (*said.windows, 1, 999, 2**32 - 1):
            assert view.fcl_window(area) == said.windows.get(area, said.default)
        assert view.area_stats == {name: AreaStats(**counts) for name, counts in said.stats.items()}


@pytest.mark.parametrize(("name", "image"), [r[:2] for r in REGIONS], ids=[r[0] for r in REGIONS])
def test_sections_are_the_regions_bytes(name: str, image: bytes) -> None:
    mirror = mirror_of(image)
    for section in SPEC.sections(name.split("-")[0]):
        if section.paged == "none":
            continue
        end = section.offset + section.head_len + section.capacity * section.entry_len
        assert mirror.read_section(section.number) == image[section.offset : end], section.name


def test_a_section_that_is_not_there_is_refused() -> None:
    mirror = mirror_of(REGIONS[0][1])
    for number in (-1, len(spec.SECTIONS), 11, 12, 2**31, 2**64):
        with pytest.raises((IndexError, OverflowError)):
            mirror.read_section(number)
    with pytest.raises(TypeError):
        mirror.read_section("core")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no page"):
        mirror.read_section(spec.SECTIONS["events"])
    mirror.close()
    with pytest.raises(ValueError):
        mirror.read_section(0)


def test_a_hash_that_is_not_there_is_refused() -> None:
    mirror = mirror_of(WITH_SECTIONS[0][1])
    assert mirror.load_hash(len(spec.HASHES_FIELDS) - 1) > 0
    for number in (-1, len(spec.HASHES_FIELDS), 2**31):
        with pytest.raises(IndexError):
            mirror.load_hash(number)


@pytest.mark.parametrize("name", ["hashes", "cortical_locks", "fcl_windows", "area_stats"])
def test_a_section_is_read_from_the_shadow_while_a_page_is_half_published(name: str) -> None:
    _, image, _, _, _ = WITH_SECTIONS[0]
    memory = memory_of(image)
    number = spec.SECTIONS[name]
    was = mirror_of(image).read_section(number)
    at = section_head_at("tiny", name)
    page = page_of("tiny", at)
    memory[at : at + 16] = b"half-published.."
    sequence = len(image) + spec.MIRROR_LEN_BYTES + 4 * page
    memory[sequence] += 1
    assert Mirror(bytes(memory)).read_section(number) == was


@pytest.mark.parametrize("area", [-1, 2**32, "7", None, 1.0])
def test_what_is_no_area_is_refused(area: object, tmp_path: Path) -> None:
    with view_of(memory_of(bytes(layout("tiny")[0])), tmp_path) as view, pytest.raises(InvalidValue, match="area"):
        view.fcl_window(area)  # type: ignore[arg-type]


def test_a_slot_that_was_claimed_and_not_filled_yet_says_nothing(tmp_path: Path) -> None:
    region, _ = layout("micro")
    mirror = Mirror(memory := bytearray(mirror_len(len(region))), region)
    for name in ("cortical_locks", "fcl_windows"):
        mirror.publish((word_of(section_at("micro", name, 1)), struct.pack("<II", 7, 1)))
    with view_of(memory, tmp_path) as view:
        assert view.locked_areas == {} and view.fcl_windows == {}
        assert view.fcl_window(7) == spec.FCL_WINDOW_DEFAULT


def test_an_area_id_with_an_impossible_length_is_cut(tmp_path: Path) -> None:
    region, _ = layout("micro")
    mirror = Mirror(memory := bytearray(mirror_len(len(region))), region)
    mirror.publish((word_of(section_at("micro", "area_stats")), struct.pack("<BB2xIII16s", 1, 255, 1, 2, 3, b"\xff" * 16)))
    with view_of(memory, tmp_path) as view:
        assert view.area_stats == {"\ufffd" * 16: AreaStats(1, 2, 3)}


def test_no_bytes_of_the_sections_make_a_view_fail(tmp_path: Path) -> None:
    source = random.Random(1)
    region, _ = layout("micro")
    start, end = section_at("micro", "hashes"), section_head_at("micro", "events")
    for _ in range(50):
        region[start:end] = source.randbytes(end - start)
        with view_of(memory_of(bytes(region)), tmp_path) as view:
            assert len(view.hashes) == len(spec.HASHES_FIELDS)
            assert all(view.locked_areas.values())
            assert all(view.fcl_window(area) == window for area, window in view.fcl_windows.items())
            assert all(len(name) <= 16 for name in view.area_stats)
            assert isinstance(view.agents, list)
