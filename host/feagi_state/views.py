"""What all have in common that show a region or a copy of one: sections, and fields and hashes as attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from . import spec
from .checks import cortical_area, no_attribute
from .core_fields import CoreValues
from .sections import (
    AreaStats,
    decode_area_stats,
    decode_default_fcl_window,
    decode_fcl_windows,
    decode_hashes,
    decode_locked_areas,
)

__all__ = ["Attributes", "SectionViews", "add_properties"]

_Read = Callable[[Any], Any]


def add_properties(cls: type, field: Callable[[spec.Field], _Read], hash_number: Callable[[int], _Read]) -> None:
    """Gives a class a read-only property for every field of the core block and for every hash.

    `field` and `hash_number` make what reads a field, and the hash of this number in spec.HASHES_FIELDS, of an object.
    """
    for name, found in spec.CORE_FIELDS.items():
        setattr(cls, name, property(field(found), doc=found.doc))
    for number, (name, found) in enumerate(spec.HASH_ATTRIBUTES.items()):
        setattr(cls, name, property(hash_number(number), doc=found.doc))


class Attributes(CoreValues):
    """Fields and hashes as attributes that are only read, see add_properties; what is none says which are near."""

    __slots__ = ()

    if not TYPE_CHECKING:  # to a type checker, what is not there is an error too

        def __getattr__(self, name: str) -> NoReturn:
            """Only called for what is not there."""
            if name.startswith("_"):  # Python's own protocols ask for it
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise no_attribute(name, [other for other in dir(self) if not other.startswith("_")])


class SectionViews:
    """The sections that are read as a whole, each of one instant as far as its class says so."""

    __slots__ = ()

    def _section(self, name: str) -> bytes:
        """A copy of a section (spec.SECTIONS), its head first."""
        raise NotImplementedError

    @property
    def hashes(self) -> dict[str, int]:
        """What FEAGI's services hash to notice changes: all six of one instant, by name (spec.HASHES_FIELDS)."""
        return decode_hashes(self._section("hashes"))

    @property
    def locked_areas(self) -> dict[int, int]:
        """Owner (1 to 2^64-1) of every cortical area that is locked, be its owner alive or not."""
        return decode_locked_areas(self._section("cortical_locks"))

    @property
    def fcl_windows(self) -> dict[int, int]:
        """Window of every cortical area that has one of its own; see fcl_window for the others."""
        return decode_fcl_windows(self._section("fcl_windows"))

    def fcl_window(self, area: int) -> int:
        """The FCL window of a cortical area (0 to 2^32-1): its own, or the default. Raises InvalidValue."""
        area = cortical_area(area)
        section = self._section("fcl_windows")
        return decode_fcl_windows(section).get(area, decode_default_fcl_window(section))

    @property
    def area_stats(self) -> dict[str, AreaStats]:
        """Statistics of the cortical areas that they are kept of, by the area's id."""
        return decode_area_stats(self._section("area_stats"))
