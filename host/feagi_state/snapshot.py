"""A whole state as it was at one instant."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, NoReturn

from . import spec
from .checks import file_mode
from .errors import InvalidField
from .persistence import write_image
from .region_files import path_text, profile_name
from .sections import AgentInfo, decode_agents, decode_core, decode_core_field
from .views import Attributes, SectionViews, add_properties

__all__ = ["Snapshot"]

_CORE_AT: Final = spec.HEADER_LEN_BYTES
_PROFILE: Final = spec.HEADER_FIELDS["profile"].offset


class Snapshot(SectionViews, Attributes):
    """A region's state as it was at one instant: fields and hashes as attributes, and all sections but events.

    Made by StateManager.create_snapshot. It never changes, costs no more than its bytes, and decodes what is asked for.
    Two are equal if they have the same bytes: the same region, with no write between them. Any thread.
    """

    __slots__ = ("_agent_len", "_image", "_places", "_taken_at_ms")

    def __init__(
        self, image: bytes, taken_at_ms: int, places: Mapping[str, tuple[int, int]], agent_len_bytes: int
    ) -> None:
        """`image`: the region up to its events; `places`: offset and length of its sections, by name."""
        for name, value in zip(self.__slots__, (agent_len_bytes, image, dict(places), taken_at_ms)):
            object.__setattr__(self, name, value)

    _agent_len: int
    _image: bytes
    _places: dict[str, tuple[int, int]]
    _taken_at_ms: int

    @property
    def taken_at_ms(self) -> int:
        """When it was taken [ms since the Unix epoch]."""
        return self._taken_at_ms

    @property
    def profile(self) -> str:
        """Name of the region's profile."""
        return profile_name(self._image[_PROFILE])

    @property
    def agents(self) -> list[AgentInfo]:
        """The registered agents, in the order of their slots; agent_count of them."""
        return decode_agents(self._section("agents"), self._agent_len)

    def as_dict(self) -> dict[str, Any]:
        """All of it: the fields by name, then `hashes`, `agents`, `locked_areas`, `fcl_windows`, `area_stats` and
        `taken_at_ms`. Agents and statistics are dicts too, enums are members, which json writes as numbers.
        """
        return {
            **decode_core(self._section("core")),
            "hashes": self.hashes,
            "agents": [asdict(agent) for agent in self.agents],
            "locked_areas": self.locked_areas,
            "fcl_windows": self.fcl_windows,
            "area_stats": {area: asdict(stats) for area, stats in self.area_stats.items()},
            "taken_at_ms": self._taken_at_ms,
        }

    def save(self, path: str | os.PathLike[str], mode: int = 0o600) -> None:
        """Saves it, in place of what was saved under this name. See StateManager.save."""
        write_image(path_text(path), self._image, self._taken_at_ms, file_mode(mode))

    def __bytes__(self) -> bytes:
        """The region's bytes up to its events (LAYOUT.md)."""
        return self._image

    def __eq__(self, other: object) -> bool:
        """Whether both have the same bytes."""
        return self._image == other._image if isinstance(other, Snapshot) else NotImplemented

    def __hash__(self) -> int:
        """Of the bytes."""
        return hash(self._image)

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies, and for other processes."""
        return Snapshot, (self._image, self._taken_at_ms, self._places, self._agent_len)

    def __repr__(self) -> str:
        """The profile, and what tells one snapshot from another."""
        return f"<Snapshot {self.profile}, version {self.version}, taken at {self._taken_at_ms}>"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        """Always refuses: what was does not change."""
        raise InvalidField(f"a snapshot does not change: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        """Always refuses."""
        raise InvalidField(f"a snapshot does not change: {name!r} cannot be deleted")

    def _section(self, name: str) -> bytes:
        at, len_bytes = self._places[name]
        return self._image[at : at + len_bytes]


def _field(field: spec.Field) -> Callable[[Snapshot], Any]:
    return lambda snapshot: decode_core_field(field, snapshot._image, _CORE_AT)


def _hash(number: int) -> Callable[[Snapshot], Any]:
    return lambda snapshot: [*snapshot.hashes.values()][number]


add_properties(Snapshot, _field, _hash)
