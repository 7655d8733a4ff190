"""Reading what was recorded."""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from . import spec
from .errors import PersistenceError
from .recording_format import TOPICS, needs_package
from .region_files import is_regular, path_text

if TYPE_CHECKING:
    from .replay import Replay

__all__ = ["Recording", "RecordingMessage"]

_RECORD_MOST_BYTES: Final = 1 << 28  # of a damaged file, whose lengths are anything
_MCAP_MAGIC: Final = b"\x89MCAP0\r\n"


@dataclass(frozen=True)
class RecordingMessage:
    """Something that was recorded."""

    topic: str  # see recording_format.TOPICS
    log_time_ns: int  # Unix time: when the host saw it
    device_time_ns: int  # Unix time: when it was on the device, as far as that is known; else log_time_ns
    value: dict[str, Any]  # as its JSON schema says


class Recording:
    """A file that a Recorder made. Iterate it for its messages, in the order in which they were recorded, as often as
    needed. Any thread; each iteration by itself.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file and reads its first message. Raises PersistenceError, which says what is wrong with it, also
        where the package mcap is not there (`pip install "feagi-state[record]"`).
        """
        self._path = path_text(path)
        self._truncated = False
        first = next(self._messages(), None)
        if first is None:
            how = "is truncated: it ends before its first message" if self._truncated else "has no message"
            raise PersistenceError(f"{self._path} {how}")
        schema = first.value.get("schema")
        if schema != f"{spec.SCHEMA_HASH:#010x}":
            raise PersistenceError(
                f"{self._path} was recorded with schema {schema}, this version has {spec.SCHEMA_HASH:#010x}: read it "
                "with the version that recorded it"
            )
        self._first = first

    @property
    def path(self) -> str:
        """The file."""
        return self._path

    @property
    def name(self) -> str:
        """Name of the mirror that was recorded."""
        return str(self._first.value["name"])

    @property
    def device_name(self) -> str:
        """Name of the device that was recorded."""
        return str(self._first.value["device_name"])

    @property
    def began_ns(self) -> int:
        """When the recording began [ns since the Unix epoch]."""
        return self._first.log_time_ns

    @property
    def truncated(self) -> bool:
        """Whether the file has no end, as an iteration found: its recorder was killed, or the disk was full."""
        return self._truncated

    def __iter__(self) -> Iterator[RecordingMessage]:
        """All messages, the first of which is the snapshot. Of a file that is truncated, all up to there. Raises
        PersistenceError where it is damaged.
        """
        return self._messages()

    def replay(
        self,
        *,
        name: str | None = None,
        speed: float = 1.0,
        start_s: float = 0.0,
        loop: bool = False,
        mirror_dir: str | os.PathLike[str] | None = None,
    ) -> Replay:
        """Replays it into a mirror. See Replay."""
        from .replay import Replay

        return Replay(self, name=name, speed=speed, start_s=start_s, loop=loop, mirror_dir=mirror_dir)

    def export(self, folder: str | os.PathLike[str], kind: str = "csv", *, overwrite: bool = False) -> list[str]:
        """Writes a table of each topic, but for the bytes, into a folder; see export.py. Returns the files' paths."""
        from .export import export

        return export(self, folder, kind, overwrite)

    def __repr__(self) -> str:
        """What was recorded, and where it is."""
        return f"<Recording of {self.name} in {self._path}>"

    def _messages(self) -> Iterator[RecordingMessage]:
        try:
            from mcap.exceptions import EndOfFile, McapError
            from mcap.records import Channel, Footer, Message, Statistics
            from mcap.stream_reader import StreamReader
            from zstandard import ZstdError
        except ModuleNotFoundError:
            raise needs_package("mcap", "record") from None
        path = self._path
        topics: dict[int, str] = {}
        count = 0  # a chunk whose head is damaged may be passed over in silence
        try:
            with _opened(path) as file:
                whole = cast("BinaryIO", _Whole(file, EndOfFile))
                for record in StreamReader(whole, validate_crcs=True, record_size_limit=_RECORD_MOST_BYTES).records:
                    if isinstance(record, Channel):
                        topics[record.id] = record.topic.rpartition("/")[2]
                    elif isinstance(record, Message):
                        topic = topics[record.channel_id]
                        if topic not in TOPICS or (not count and topic != "snapshot"):
                            raise _no_recording(path)
                        if record.sequence != count & 0xFFFFFFFF:
                            raise damaged(path, f"message {record.sequence} follows where {count} should")
                        count += 1
                        yield RecordingMessage(topic, record.log_time, record.publish_time, _value(record.data))
                    elif isinstance(record, Statistics) and record.message_count != count:
                        raise damaged(path, f"it has {count} messages of {record.message_count}")
                    elif isinstance(record, Footer):
                        return
        except EndOfFile:
            self._truncated = True
        except OSError as error:
            raise PersistenceError(f"{path} cannot be read: {error.strerror or error}") from None
        except (McapError, ZstdError, ValueError, KeyError, struct.error, MemoryError) as error:
            raise damaged(path, error) from None


class _Whole:
    """A file of which all that is asked for is there, or none of it, whatever a damaged length asks for."""

    def __init__(self, file: BinaryIO, end: type[Exception]) -> None:
        """`end`: what is raised where the file has less."""
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self._end = end

    def read(self, len_bytes: int) -> bytes:
        """So many bytes."""
        if len_bytes > self._left:
            raise self._end
        self._left -= len_bytes
        return self._file.read(len_bytes)


def _opened(path: str) -> BinaryIO:
    """The file. Raises PersistenceError, OSError."""
    try:
        if not is_regular(path):
            raise PersistenceError(f"{path} is no regular file")
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise PersistenceError(f"there is no file {path}") from None
    magic = file.read(len(_MCAP_MAGIC))
    file.seek(0)
    if not _MCAP_MAGIC.startswith(magic):
        file.close()
        raise PersistenceError(f"{path} is no recording: it begins with {magic!r}, not as MCAP files do")
    return file


def _value(data: bytes) -> dict[str, Any]:
    """What a message says. Raises ValueError."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError(f"a message is {value!r}, not an object")
    return value


def _no_recording(path: str) -> PersistenceError:
    return PersistenceError(f"{path} is no recording of feagi-state, but an MCAP file of something else")


def damaged(path: str, error: object) -> PersistenceError:
    """What to say of a file whose contents cannot be."""
    return PersistenceError(f"{path} is damaged: {error}")


def decoded(path: str, message: RecordingMessage, column: str) -> bytes:
    """The bytes of a message's column. Raises PersistenceError."""
    with suppress(ValueError, KeyError, TypeError):
        return base64.b64decode(message.value[column], validate=True)
    raise damaged(path, f"a message of {message.topic} without {column}")
