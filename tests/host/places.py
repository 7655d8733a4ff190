"""Where things lie in a region and in a mirror's file, from the spec: what tests spoil and what they look at."""

from __future__ import annotations

from common import ROOT
from feagi_state import spec
from generator.model import Spec
from generator.vectors import Model

SPEC = Spec(ROOT / "shared_spec")
Page = tuple[int, int]  # offset, length
HEADER_LEN = spec.HEADER_LEN_BYTES
TRAILER_LEN = SPEC.structs["mirror"].size


def layout(profile: str) -> tuple[bytearray, list[Page]]:
    """A fresh region of this profile, and its pages, as the vectors' model has them."""
    model = Model(SPEC, profile, 1)
    return model.data, model.pages


def section_at(profile: str, section: str, entry: int = 0) -> int:
    """Offset of a section's entry, behind the section's head, in the region."""
    found = next(s for s in SPEC.sections(profile) if s.name == section)
    return found.offset + found.head_len + entry * found.entry_len


def section_head_at(profile: str, section: str) -> int:
    """Offset of a section in the region."""
    return next(s.offset for s in SPEC.sections(profile) if s.name == section)


def word_of(offset: int) -> int:
    """How a delta names the word at this offset of the region."""
    return (offset - HEADER_LEN) // 4


def page_of(profile: str, offset: int) -> int:
    """The page that holds the byte at this offset of the region."""
    return next(i for i, (at, length) in enumerate(SPEC.pages(profile)) if at <= offset < at + length)


def field_at(struct: str, field: str) -> int:
    """Offset of a field in its struct."""
    return next(f.offset for f in SPEC.structs[struct].fields if f.name == field)


def header_at(field: str) -> int:
    """Offset of a field of the header."""
    return field_at("header", field)


def table_at(section: str, column: str = "offset") -> int:
    """Offset in the header of what its section table says of a section."""
    return header_at("sections") + spec.SECTIONS[section] * SPEC.structs["section"].size + field_at("section", column)


def trailer_at(profile: str, field: str) -> int:
    """Offset of a field of the trailer in a mirror's file."""
    return spec.PROFILES[profile].region_len + field_at("mirror", field)
