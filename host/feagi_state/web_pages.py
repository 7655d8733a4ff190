"""What a browser has of a mirror's pages, and the deltas that it lacks (LINK.md, Pages and words)."""

from __future__ import annotations

import zlib
from typing import Final, Union

from . import spec
from ._core import Mirror

__all__ = ["PageCopy"]

Item = Union[int, bytes]

_HEAD_LEN: Final = 2  # of a frame's body: kind and seq
_RUN_HEAD_MOST: Final = 5  # bytes of CBOR before a run's own: the word's number, and the head of the byte string


class PageCopy:
    """The pages of a mirror as they were sent last. One thread.

    Changes are found by comparing: who asks seldom gets fewer of them, and never older ones. Each page in a delta is
    of one version of the mirror's, so that no reader sees half of an update.
    """

    def __init__(self, mirror: Mirror) -> None:
        """Of which nothing was sent yet."""
        self._mirror = mirror
        self._sent: list[bytes | None] = [None] * mirror.pages  # None: never, so that it does not exist for the browser
        self._versions = [-1] * mirror.pages  # when it was compared
        self._words = _first_words(mirror)
        self._next = 0  # where the next delta begins to look, so that a page that never rests keeps none waiting

    def take_delta(self, mtu: int) -> tuple[Item, ...]:
        """The items of a delta with what has changed in as many pages as fit into a body of `mtu` bytes, which count as
        sent from now on; none if the browser lacks nothing. Any page fits into LINK_MTU_LEAST_BYTES.
        """
        items: list[Item] = []
        room = mtu - _HEAD_LEN
        pages = len(self._sent)
        for step in range(pages):
            page = (self._next + step) % pages
            version = self._mirror.page_version(page)  # before the bytes: what comes in between is looked at again
            if version == self._versions[page]:
                continue
            data = self._mirror.read_page(page)
            runs = _runs(self._words[page], self._sent[page], data)
            room -= sum(_RUN_HEAD_MOST + len(run) for run in runs[1::2] if isinstance(run, bytes))
            if room < 0:
                self._next = page
                break
            items += runs
            self._sent[page] = data
            self._versions[page] = version
        return tuple(items)

    def digest(self) -> int:
        """CRC-32 of all pages, as the link's DIGEST gives it, once all were sent."""
        crc = 0
        for data in self._sent:
            crc = zlib.crc32(data or b"", crc)
        return crc


def _first_words(mirror: Mirror) -> list[int]:
    """The number of each page's first word."""
    words: list[int] = []
    for offset in range(0, mirror.region_len, 4):
        try:
            page = mirror.page_of(offset)
        except IndexError:
            continue  # between sections, or an event
        if page == len(words):
            words.append((offset - spec.HEADER_LEN_BYTES) // 4)
    return words


def _runs(first_word: int, old: bytes | None, new: bytes) -> list[Item]:
    """Word, bytes, word, bytes... of what differs; of a page that was never sent its first word and what is not 0."""
    known = bytes(len(new)) if old is None else old
    changed = [at for at in range(0, len(new), 4) if new[at : at + 4] != known[at : at + 4]]
    if old is None and changed[:1] != [0]:
        changed.insert(0, 0)
    runs: list[Item] = []
    while changed:
        start = end = changed[0]
        while changed and changed[0] == end:
            end += 4
            changed.pop(0)
        runs += (first_word + start // 4, new[start:end])
    return runs
