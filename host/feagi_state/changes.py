"""Changes of a mirror's fields, as they are read: each reader compares for itself, and nobody waits for a reader.

A reader looks at the mirror now and then. It hands out the latest value of a field that differs from the one that it
handed out before, and counts what it can have missed in between: so a slow reader gets fewer changes, never older ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Final

from . import spec
from ._core import Mirror
from .checks import core_field
from .waiting import Stream

__all__ = ["Change", "ChangeStream", "FieldWatch"]

_VERSIONS: Final = 0x7FFFFFFF  # a page's version is counted modulo this + 1
_TRIES: Final = 100  # to read a page's fields between two of its publications
# They change with everything else: who wants them names them.
_NOT_IN_ALL: Final = ("version", "last_modified")


@dataclass(frozen=True)
class Change:
    """A field has another value than the one that its reader got before."""

    field: str
    value: Any  # as MirrorView.state gives it
    old: Any  # what the reader had before; None: nothing
    passed_over: int  # versions of the field's page between `old` and `value` that the reader got nothing of; 0: none
    mirror: str  # its name


@dataclass
class _Field:
    name: str
    found: spec.Field
    value: Any = None  # what the reader has
    mark: int = 0  # the page's `unseen` when it got that
    dropped: int = 0  # values since then that were found, and replaced before it took them


@dataclass
class _Page:
    number: int
    fields: list[_Field] = attribute(default_factory=list)
    version: int = -1  # when it was looked at; -1: never
    unseen: int = 0  # versions between two looks, in all


class FieldWatch:
    """What one reader has seen of one mirror's fields. One thread at a time."""

    def __init__(
        self, mirror: Callable[[], Mirror | None], name: Callable[[], str], fields: Iterable[str], from_start: bool
    ) -> None:
        """`mirror` gives it as it is mapped now, None before there is one. `fields`: names; none: all but `version` and
        `last_modified`. `from_start`: the first values are changes too, as they are if there is no mirror yet. Raises
        InvalidField, RegionClosed.
        """
        self._mirror = mirror
        self._name = name
        self._from_start = from_start
        names = tuple(fields) or tuple(name for name in spec.CORE_FIELDS if name not in _NOT_IN_ALL)
        self._fields = [_Field(name, core_field(name)) for name in dict.fromkeys(names)]
        self._region: Mirror | None = None  # in which the pages were found
        self._pages: list[_Page] = []
        self._pending: dict[str, tuple[_Page, _Field, Any]] = {}  # in the order in which they were found
        self._look()
        self._from_start |= self._region is None

    def take(self) -> Change | None:
        """The change that was found first and still is one, with the field's latest value; None: there is none.

        Raises RegionClosed.
        """
        self._look()
        if not self._pending:
            return None
        page, field, value = self._pending.pop(next(iter(self._pending)))
        change = Change(field.name, value, field.value, page.unseen - field.mark + field.dropped, self._name())
        field.value, field.mark, field.dropped = value, page.unseen, 0
        return change

    def _look(self) -> None:
        region = self._mirror()
        if region is None:
            return
        if region is not self._region:
            self._find_pages(region)
        for page in self._pages:
            version = region.page_version(page.number)
            if version != page.version:
                self._compare(region, page, version)

    def _find_pages(self, region: Mirror) -> None:
        """The pages of another mirror, which is this reader's first one or has replaced that."""
        first = self._region is None
        pages: dict[int, _Page] = {}
        for field in self._fields:
            number = region.page_of(spec.HEADER_LEN_BYTES + field.found.offset)
            pages.setdefault(number, _Page(number)).fields.append(field)
        self._region, self._pages = region, list(pages.values())
        self._pending.clear()
        for page in self._pages:
            for field in page.fields:
                field.mark = 0
            if not first:
                page.version = 0
            elif not self._from_start:
                version, values = _read(region, page, region.page_version(page.number))
                page.version = version
                for field, value in zip(page.fields, values):
                    field.value = value

    def _compare(self, region: Mirror, page: _Page, version: int) -> None:
        version, values = _read(region, page, version)
        if page.version >= 0:
            page.unseen += max(0, ((version - page.version) & _VERSIONS) - 1)
        page.version = version
        for field, value in zip(page.fields, values):
            waiting = self._pending.get(field.name)
            if _same(value, waiting[2] if waiting else field.value):
                continue
            if waiting:
                field.dropped += 1
            if _same(value, field.value):
                del self._pending[field.name]  # it is again what the reader has
            else:
                self._pending[field.name] = (page, field, value)


class ChangeStream(Stream[Change]):
    """Changes for `for` and `async for`; see Stream. Of several mirrors it takes from each in turn."""

    def __init__(
        self, watches: Callable[[], Iterable[FieldWatch]], timeout_s: float | None, ended: Callable[[], bool]
    ) -> None:
        """`watches` gives those of the mirrors that there are now; see MirrorView.changes and Fleet.changes, which
        make these. Raises InvalidValue for what is no timeout.
        """
        super().__init__(timeout_s, ended)
        self._watches = watches
        self._turns: deque[FieldWatch] = deque()

    def _next(self) -> Change | None:
        if not self._turns:
            self._turns.extend(self._watches())
        while self._turns:
            change = self._turns[0].take()
            self._turns.popleft()
            if change is not None:
                return change
        return None


def _read(region: Mirror, page: _Page, version: int) -> tuple[int, list[Any]]:
    """(version, the values of its fields), all of this one version but for an owner that never rests."""
    for _ in range(_TRIES):
        values = [region.load_field(field.found.offset) for field in page.fields]
        again = region.page_version(page.number)
        if again == version:
            break
        version = again
    return version, values


def _same(one: Any, other: Any) -> bool:
    return one is other or one == other or (one != one and other != other)  # the last: both are no number
