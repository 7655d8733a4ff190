"""Recording what happens in a mirror into a file. See recording_format.py for what the file holds."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import Final, Union

from . import spec
from ._core import Mirror
from .clock import now_ns, now_s
from .closing import Closing
from .device import Device
from .errors import PersistenceError, StateError
from .mirror import MirrorView, attach
from .recording_writer import Look, Page, RecordingWriter

__all__ = ["Recorder", "RecorderSummary"]

_LOOK_S: Final = 0.001
_LOOKS_WAITING: Final = 1000  # for the disk
# All of a ring, and of the one that it has replaced: what comes meanwhile is for the next look.
_EVENTS_A_LOOK: Final = 2 * max(profile.events for profile in spec.PROFILES.values())
_LINK_S: Final = 1.0
_VERSIONS: Final = 0x7FFFFFFF  # a page's version is counted modulo this + 1
_PUBLICATIONS: Final = spec.MIRROR_FIELDS["publications"].offset
_ROUND_TRIP: Final = spec.MIRROR_FIELDS["round_trip_us"].offset
_CLOCK_OFFSET: Final = spec.MIRROR_FIELDS["clock_offset_us"].offset

Source = Union[Device, MirrorView, str, "os.PathLike[str]"]


@dataclass(frozen=True)
class RecorderSummary:
    """What was recorded so far."""

    messages: int  # in the file, but for the last ones of a disk that is full
    len_bytes: int  # of the file
    duration_s: float
    passed_over: int  # versions of pages that were replaced before they were seen, or while the disk was behind
    events_lost: int  # overwritten in the mirror before they were seen, or while the disk was behind
    topics: dict[str, int]  # how many messages each topic has, see recording_format.py


class Recorder(Closing):
    """Records a device, or any mirror, from now until `close` (`with`), into an MCAP file.

    It reads the mirror as every other process may, so it holds up neither the link nor the device, and a mirror of
    another process is as good. It looks once a millisecond; of a page that is published more often, and while the disk
    is too slow, the file gets the latest version and how many were passed over. It begins with the whole state.
    A recorder that is killed leaves a file that can be read up to its last second, or 1/3600 of more than an hour. Any
    thread.
    """

    def __init__(
        self,
        source: Source,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        mirror_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """`source`: a Device or MirrorView, which may be closed before the recorder, or a mirror's name or file, see
        `attach`. `path`: the file, which must not be there, unless it may be overwritten.

        Raises PersistenceError, also where the package mcap is not there (`pip install "feagi-state[record]"`);
        MemoryMapError for a mirror that is not there, StaleMirror for a device whose state never arrived.
        """
        view = source.mirror if isinstance(source, Device) else source
        self._view = attach(view.path if isinstance(view, MirrorView) else view, mirror_dir=mirror_dir)
        try:
            self._writer = RecordingWriter(path, self._view.name, overwrite)
        except BaseException:
            self._view.close()
            raise
        self._eyes = _Eyes(self._view)
        self._looks: queue.Queue[Look | None] = queue.Queue(_LOOKS_WAITING)
        self._stop = threading.Event()
        self._ended = threading.Event()  # the file is closed
        self._problem: StateError | None = None
        self._begin = now_s()
        self._summary: RecorderSummary | None = None  # at the end
        # The first look is what a replay begins with: it is there when this returns.
        self._looks.put(self._eyes.look())
        self._threads = [
            threading.Thread(target=run, name=f"{what} {self._view.name}", daemon=True)
            for run, what in ((self._watch, "record"), (self._write, "write recording of"))
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    @property
    def path(self) -> str:
        """The file."""
        return self._writer.path

    @property
    def name(self) -> str:
        """The mirror's name."""
        return self._view.name

    @property
    def problem(self) -> StateError | None:
        """Why nothing is recorded any more, as of a full disk; None: nothing is wrong."""
        return self._problem

    @property
    def summary(self) -> RecorderSummary:
        """What was recorded so far, or in all once it is closed."""
        return self._summary or self._summary_now()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until recording has ended because something is wrong (`problem`), or it was closed. Whether it has."""
        return self._ended.wait(timeout_s)

    def close(self) -> None:
        """Records what is new by now, and closes the file. May be called more than once.

        Raises PersistenceError if not all could be written: what was written before can be read.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._view.close()
        atexit.unregister(self.close)
        if self._problem is not None:
            raise self._problem.with_traceback(None)

    def __repr__(self) -> str:
        """Mirror and file."""
        return f"<Recorder of {self.name} into {self.path}>"

    # -------------------------------------------------------------------------------------------- the two threads

    def _watch(self) -> None:
        """Looks until the end, and once more then. A full queue is left to empty: the mirror keeps the latest state
        meanwhile, and the next look counts what it no longer has.
        """
        try:
            while not self._stop.wait(_LOOK_S):
                if not self._looks.full():
                    self._take()
            self._take(last=True)
        except Exception as error:
            self._failed(error)
        self._looks.put(None)

    def _take(self, last: bool = False) -> None:
        look = self._eyes.look(last)
        if look is not None:
            self._looks.put(look)

    def _write(self) -> None:
        """Writes looks until the last."""
        try:
            while True:
                try:
                    look = self._looks.get(timeout=self._writer.flush())
                except queue.Empty:
                    continue
                if look is None:
                    break
                self._writer.write(look)
            self._writer.finish()
        except Exception as error:
            self._failed(error)
            self._writer.abandon()
            while self._looks.get() is not None:  # whoever looks may wait for room
                pass
        self._summary = self._summary_now()
        self._ended.set()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, StateError):
            error = PersistenceError(f"recording {self.name} into {self.path} failed: {error!r}")
        self._problem = self._problem or error
        self._stop.set()

    def _summary_now(self) -> RecorderSummary:
        writer, eyes = self._writer, self._eyes
        duration_s = now_s() - self._begin
        return RecorderSummary(
            writer.messages, writer.len_bytes, duration_s, eyes.passed_over, eyes.events_lost, dict(writer.topics)
        )


class _Eyes:
    """What has been seen of a mirror. One thread."""

    def __init__(self, view: MirrorView) -> None:
        self._view = view
        self._stream = view.events()
        self._region: Mirror | None = None  # whose pages were seen
        self._versions: list[int] = []
        self._publications = -1
        self._was_stale = True
        self._link_at = 0.0  # when the link was last looked at
        self._heard: tuple[object, ...] = ()
        self.passed_over = 0
        self.events_lost = 0
        # Not the time of day, which may be set back.
        self._epoch_ns = time.time_ns() - now_ns()

    def look(self, last: bool = False) -> Look | None:
        """What is new; None: nothing. `last`: also what an owner that died had not counted. Raises RegionClosed."""
        now = now_ns()
        region = self._view.region()
        found = Look(self._epoch_ns + now)
        if region is not self._region:
            self._begin(region, found)
        # What is published after this line is counted after it, and found by the next look.
        publications = region.trailer_u32(_PUBLICATIONS)
        if publications != self._publications or last:
            self._look_at_pages(region, found)
            self._look_at_events(found)
            self._publications = publications
        self._look_at_link(now / 1e9, found)
        if found.snapshot is None and not found.pages and not found.events and found.link is None:
            return None
        found.uptime_ms = _uptime_ms(region, now)
        return found

    def _begin(self, region: Mirror, found: Look) -> None:
        """Another mirror, or the first."""
        # Versions before bytes: what is published in between is found again by the next look.
        self._versions = [region.page_version(page) for page in range(region.pages)]
        self._region = region
        self._link_at = 0.0
        link = self._view.link
        found.snapshot = {
            "name": self._view.name,
            "device_name": link.device_name,
            "port": link.port,
            "schema": f"{spec.SCHEMA_HASH:#010x}",
            "region": region.read_region(),
        }

    def _look_at_pages(self, region: Mirror, found: Look) -> None:
        versions = self._versions
        for page in range(region.pages):
            version = region.page_version(page)
            if version != versions[page]:
                passed_over = ((version - versions[page]) & _VERSIONS) - 1
                versions[page] = version
                self.passed_over += passed_over
                found.pages.append(Page(page, version, passed_over, region.read_page(page)))

    def _look_at_events(self, found: Look) -> None:
        for _ in range(_EVENTS_A_LOOK):
            event = self._stream.get()
            if event is None:
                return
            lost = self._stream.lost - self.events_lost
            self.events_lost += lost
            found.events.append((event, lost))

    def _look_at_link(self, now: float, found: Look) -> None:
        """At once when it comes or goes, otherwise every second in which anything was heard."""
        stale = self._view.stale
        if stale == self._was_stale and now < self._link_at + _LINK_S:
            return
        link = self._view.link
        heard = (link.state, link.session, *link.counters.values())
        if heard != self._heard or found.snapshot is not None:
            found.link = link
        self._was_stale, self._link_at, self._heard = link.stale, now, heard


def _uptime_ms(region: Mirror, now_ns: int) -> float | None:
    """The device's own clock, which runs since its start, at this time of clock.py; None: it was not measured yet."""
    if not region.trailer_u32(_ROUND_TRIP):
        return None
    offset_us = region.trailer_u64(_CLOCK_OFFSET)
    offset_us -= offset_us >> 63 << 64  # signed
    return now_ns / 1e6 + offset_us / 1e3
