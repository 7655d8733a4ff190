"""The golden regions in CPython: read through the C core's atomic loads they hold what the operations left in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from common import ROOT, VECTORS
from feagi_state import spec
from feagi_state._core import Mirror, mirror_len, region_shape
from generator.model import Spec

Operation = tuple[list[str], str]  # words, result


def regions() -> Iterator[tuple[str, bytes, dict[str, int], int, list[Operation]]]:
    """(name, image, last value of every field that was written or read, digest, operations) of each region."""
    image = bytearray()
    values: dict[str, int] = {}
    operations: list[Operation] = []
    digest = 0
    name = ""
    for number, line in enumerate((VECTORS / "regions.txt").read_text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if "=" in words:
            operations.append((words[: words.index("=")], words[-1]))
        if words[0] == "region":
            name = f"{words[1]}-{number}"
            image, values = bytearray(spec.PROFILES[words[1]].region_len), {}
            operations = []
        elif words[0] in ("set", "add", "subtract", "get") and words[-1].isdigit():
            values[words[1]] = int(words[-1])
        elif words[0] == "digest":
            digest = int(words[-1])
        elif words[0] == "bytes":
            data = bytes.fromhex(words[2])
            image[int(words[1]) : int(words[1]) + len(data)] = data
        elif words[0] == "rest" and not name.startswith("host"):  # a mirror is of a region that a link can carry
            yield name, bytes(image), values, digest, operations


REGIONS = list(regions())


def mirror_of(image: bytes) -> Mirror:
    header = image[: spec.HEADER_LEN_BYTES]
    region_len, _pages = region_shape(header)
    assert region_len == len(image)
    return Mirror(bytearray(mirror_len(region_len)), image)


def test_there_are_regions_of_every_profile_that_boards_have() -> None:
    assert {name.split("-")[0] for name, *_ in REGIONS} == {"tiny", "micro"}


@pytest.mark.parametrize(("image", "values", "digest"), [r[1:4] for r in REGIONS], ids=[r[0] for r in REGIONS])
def test_fields_and_digest_of_a_golden_region(image: bytes, values: dict[str, int], digest: int) -> None:
    mirror = mirror_of(image)
    assert mirror.digest() == digest
    # agent_count, version and last_modified go on changing behind the last line that names them.
    for name, value in values.items():
        field = spec.CORE_FIELDS[name]
        if not field.writable:
            continue
        loaded = mirror.load_field(field.offset)
        assert loaded == (struct.unpack("<f", struct.pack("<I", value))[0] if field.type == "f32" else value), name


@pytest.mark.parametrize(("name", "image"), [r[:2] for r in REGIONS], ids=[r[0] for r in REGIONS])
def test_pages_of_a_golden_region_are_its_bytes(name: str, image: bytes) -> None:
    mirror = mirror_of(image)
    pages = Spec(ROOT / "shared_spec").pages(name.split("-")[0])
    assert [mirror.read_page(i) for i in range(mirror.pages)] == [image[at : at + length] for at, length in pages]
