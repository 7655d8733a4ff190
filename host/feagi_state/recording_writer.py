"""A recording's file as it is written: from pages and events to messages, and into chunks of MCAP."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, BinaryIO, Final

from . import spec
from ._core import Mirror, mirror_len, region_shape
from .clock import now_s
from .errors import PersistenceError
from .events import Event
from .fields import enum_name, json_value
from .mirror import LinkInfo
from .recording_format import TOPICS, needs_package
from .region_files import is_regular, kind_of_file, path_text
from .sections import decode_agents, decode_core, decode_default_fcl_window
from .views import SectionViews

__all__ = ["Look", "Page", "RecordingWriter"]

# What a recorder that is killed has not written yet: a second, or this part of a longer recording, since every chunk
# stays in memory as an entry of the index.
_FLUSH_S: Final = 1.0
_FLUSH_PART: Final = 1 / 3600
_MS: Final = 1_000_000  # ns
_LATEST_MS: Final = (2**63 - 1) // _MS  # as ns in a file


@dataclass(frozen=True)
class Page:
    """A page as it was found."""

    number: int
    version: int
    passed_over: int  # versions that were not seen
    data: bytes


@dataclass
class Look:
    """What was new in a mirror when it was looked at."""

    log_ns: int  # Unix time of the host
    uptime_ms: float | None = None  # the device's clock at that time; None: it is not known
    snapshot: dict[str, Any] | None = None  # a message of this topic, with the region as bytes
    pages: list[Page] = field(default_factory=list)
    events: list[tuple[Event, int]] = field(default_factory=list)  # and how many were lost before it
    link: LinkInfo | None = None


class _Copy(SectionViews):
    """The region as the file has it so far: what a replay's mirror would be here."""

    def __init__(self, region: bytes) -> None:
        self.mirror = Mirror(bytearray(mirror_len(region_shape(region)[0])), region)

    def _section(self, name: str) -> bytes:
        return self.mirror.read_section(spec.SECTIONS[name])

    def message(self, topic: str) -> dict[str, Any]:
        """What the section of this topic says."""
        if topic == "state":
            values = {name: json_value(name, value) for name, value in decode_core(self._section("core")).items()}
            return {name: value for name, value in values.items() if value is not None}
        if topic == "hashes":
            return self.hashes
        if topic == "agents":
            agents = decode_agents(self._section(topic), self.mirror.agent_len)
            return {topic: [_plain(asdict(agent)) for agent in agents]}
        if topic == "locked_areas":
            return {topic: [{"area": area, "owner": owner} for area, owner in self.locked_areas.items()]}
        if topic == "fcl_windows":
            windows = [{"area": area, "window": window} for area, window in self.fcl_windows.items()]
            return {"default_window": decode_default_fcl_window(self._section(topic)), topic: windows}
        assert topic == "area_stats"
        return {topic: [{"area_id": area_id, **asdict(stats)} for area_id, stats in self.area_stats.items()]}


# The sections that are said in words, by topic.
_SECTIONS: Final = {
    "state": "core",
    "hashes": "hashes",
    "agents": "agents",
    "locked_areas": "cortical_locks",
    "fcl_windows": "fcl_windows",
    "area_stats": "area_stats",
}


class RecordingWriter:
    """A recording's file, from its first byte to its last. One thread."""

    def __init__(self, path: str | os.PathLike[str], name: str, overwrite: bool) -> None:
        """Makes the file. `name`: the mirror's. Raises PersistenceError, also where the package mcap is not there."""
        try:
            from mcap.writer import Writer
        except ModuleNotFoundError:
            raise needs_package("mcap", "record") from None
        self.path = path_text(path)
        self.messages = 0
        self.topics = dict.fromkeys(TOPICS, 0)  # messages of each
        self.len_bytes = 0  # of the file, as of the last flush
        self._file = _make(self.path, overwrite)
        self._begun = now_s()
        self._flush_at = self._begun + _FLUSH_S
        self._copy: _Copy | None = None
        self._said: dict[str, bytes] = {}  # sections as they were said last
        self._mcap = Writer(self._file)
        self._mcap.start(profile="", library=f"feagi-state schema {spec.SCHEMA_HASH:#010x}")
        self._channels = {
            topic: self._mcap.register_channel(
                f"/{name}/{topic}",
                "json",
                self._mcap.register_schema(
                    f"feagi_state.{found.title}", "jsonschema", json.dumps(found.json_schema()).encode()
                ),
            )
            for topic, found in TOPICS.items()
        }

    def write(self, look: Look) -> None:
        """Takes what was new. Raises PersistenceError."""
        try:
            self._write(look)
        except OSError as error:
            raise self._failed(error) from None

    def flush(self) -> float:
        """Writes what is due, so that it outlives this process. Returns seconds until more is. Raises
        PersistenceError.
        """
        now = now_s()
        if now < self._flush_at:
            return self._flush_at - now
        try:
            self._mcap.flush()
        except OSError as error:
            raise self._failed(error) from None
        self.len_bytes = self._file.tell()
        pause_s = max(_FLUSH_S, (now - self._begun) * _FLUSH_PART)
        self._flush_at = now + pause_s
        return pause_s

    def finish(self) -> None:
        """Writes the rest and the index, and closes the file. Raises PersistenceError."""
        try:
            self._mcap.finish()
            self.len_bytes = self._file.tell()
            self._file.close()
        except OSError as error:
            raise self._failed(error) from None

    def abandon(self) -> None:
        """Closes the file as it is: it can be read up to the last chunk that is whole."""
        with suppress(OSError):  # what is in the buffer is lost, as was said
            self._file.close()
        with suppress(OSError):
            self.len_bytes = os.stat(self.path).st_size

    def _failed(self, error: OSError) -> PersistenceError:
        return PersistenceError(
            f"{self.path} cannot be written: {error.strerror or error}; what was written before can be read"
        )

    # ------------------------------------------------------------------------------------------------- the messages

    def _write(self, look: Look) -> None:
        if look.snapshot is not None:
            region = look.snapshot["region"]
            self._copy = _Copy(region)
            self._said.clear()
            self._put("snapshot", look, look.log_ns, {**look.snapshot, "region": _base64(region)})
        copy = self._copy
        assert copy is not None, "the first look has a snapshot"
        for page in look.pages:
            copy.mirror.publish_page(page.number, page.data)
            values = {"page": page.number, "version": page.version, "passed_over": page.passed_over}
            self._put("page", look, look.log_ns, {**values, "data": _base64(page.data)})
        if look.snapshot is not None or look.pages:
            for topic, section in _SECTIONS.items():
                self._say(topic, section, copy, look)
        for event, lost in look.events:
            self._put("event", look, _device_ns(event.time_ms, look), _event_message(event, lost))
        if look.link is not None:
            self._put("link", look, look.log_ns, _link_message(look.link))

    def _say(self, topic: str, section: str, copy: _Copy, look: Look) -> None:
        """Says in words what a section holds, if that is new."""
        data = copy._section(section)
        if self._said.get(topic) == data:
            return
        self._said[topic] = data
        message = copy.message(topic)
        self._put(topic, look, _device_ns(message["last_modified"], look) if topic == "state" else look.log_ns, message)

    def _put(self, topic: str, look: Look, device_ns: int, message: dict[str, Any]) -> None:
        data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        self._mcap.add_message(self._channels[topic], look.log_ns, data, device_ns, self.messages & 0xFFFFFFFF)
        self.messages += 1
        self.topics[topic] += 1


def _make(path: str, overwrite: bool) -> BinaryIO:
    """The file, empty. Raises PersistenceError."""
    try:
        if os.path.exists(path):
            live = kind_of_file(path)
            if live:
                raise PersistenceError(f"{path} is {live}, which is not overwritten: record into another file")
            if not is_regular(path):
                raise PersistenceError(f"{path} is no regular file: record into another one")
        return open(path, "wb" if overwrite else "xb")
    except FileExistsError:
        raise PersistenceError(
            f"{path} is there already: record into another file, or overwrite it (--force, overwrite=True)"
        ) from None
    except OSError as error:
        raise PersistenceError(f"{path} cannot be written: {error.strerror or error}") from None


def _device_ns(time_ms: int, look: Look) -> int:
    """A device's time as Unix time [ns]: its own where it knows that one, else by its clock as the link measured it;
    the time of the look where neither is known.
    """
    if time_ms >= spec.UNIX_LEAST_MS:
        return time_ms * _MS if time_ms <= _LATEST_MS else look.log_ns
    if look.uptime_ms is None or not time_ms:
        return look.log_ns
    return look.log_ns + int((time_ms - look.uptime_ms) * _MS)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it: members by name; what there is none of is left out."""
    return {
        name: value.name if isinstance(value, IntEnum) else value for name, value in values.items() if value is not None
    }


def _event_message(event: Event, lost: int) -> dict[str, Any]:
    value = event.value
    message = {
        "kind": enum_name(spec.EventKind, event.kind),
        "arg": event.arg,
        "value": value if isinstance(value, (IntEnum, str)) else None,
        "time_ms": event.time_ms,
        "position": event.position,
        "lost": lost,
    }
    return _plain(message)


def _link_message(link: LinkInfo) -> dict[str, Any]:
    values = {
        "state": link.state,
        "session": link.session,
        "round_trip_us": link.round_trip_us,
        "clock_offset_us": link.clock_offset_us,
        **link.counters,
    }
    return _plain(values)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
