"""What a process that serves a device and one that uses it say to each other, over a Unix socket beside the mirror.

Messages are JSON objects, one a line. The server greets: `feagi_state` (VERSION), `schema`, `pid` and `name` (of the
mirror). Then, from the client:

* `{"run": N, "commands": [[OP, ARGUMENT...]...], "deadline": S}`: runs commands one after the other until one fails;
  N names them, a number that was not used before. Ops and arguments are those of LINK.md, bytes as hexadecimal digits.
  From S (seconds of clock.py, the same for all processes of a computer) on none is sent.
* `{"cancel": N}`: forgets them, as far as they were not sent.
* `{"text": true}`: wants to hear what the board prints.
* `{"log": true}`: wants to hear the lines of its log.

And from the server:

* `{"sent": N}`: the next command of N goes to the device now. It is said before it goes: if the server dies, and this
  was not said, the device has not got the command and never will.
* `{"reply": N, "status": S, "values": [...], "digest": D}`: the device's answer to it, and for DIGEST the mirror's.
* `{"end": N, "error": E}`: nothing more is sent of N. E is null, or says why: `{"kind": "SessionLost", "message": ...,
  "may_have_run": true}`, `reason` with a PortError.
* `{"text": "..."}`: bytes between frames, a character each. Passed over for a client that does not read.
* `{"log": [LEVEL, MESSAGE]}`: a line of the board's log, as LINK.md has it. Passed over as text is.
* `{"error": "..."}`: the client broke these rules; the connection ends.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from . import errors
from .errors import CommandTimeout, LinkError, PortError, SerializationError, StateError
from .frames import encode_body
from .spec import Kind

__all__ = [
    "VERSION",
    "Connection",
    "ConnectionLost",
    "connect_to",
    "error_from_wire",
    "error_to_wire",
    "line_from_wire",
    "listen_at",
    "socket_path",
    "value_from_wire",
    "value_to_wire",
]

VERSION: Final = 2
Message = dict[str, Any]

_LINE_MOST_BYTES: Final = 1 << 16
_UNSENT_MOST_BYTES: Final = 1 << 20
_READ_LEN_BYTES: Final = 1 << 16
_ADDRESS_MOST_BYTES: Final = 100  # systems differ: 104 to 108
_BACKLOG: Final = 64
# What an error becomes again on the other side. The others are LinkErrors there.
_KINDS: Final = {
    kind.__name__: kind
    for kind in (errors.SessionLost, errors.StaleMirror, errors.SerializationError, errors.MemoryMapError)
}


class ConnectionLost(Exception):
    """The other side has gone, or does not keep to the rules. `ended`: it has closed its end, or died."""

    def __init__(self, message: str, ended: bool = False) -> None:
        """`message`: why, for people."""
        super().__init__(message)
        self.ended = ended


class Connection:
    """One end of a connection, which never waits. One thread."""

    def __init__(self, line: socket.socket) -> None:
        """Takes the socket."""
        line.setblocking(False)
        self._socket = line
        self._read = b""
        self._unsent = b""
        self.is_read_out = False  # the last `receive` found nothing

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the other side to read."""
        return bool(self._unsent)

    def receive(self) -> list[Message]:
        """The next messages, if any are there. Raises ConnectionLost."""
        try:
            data = self._socket.recv(_READ_LEN_BYTES)
        except (BlockingIOError, InterruptedError):
            self.is_read_out = True
            return []
        except OSError as error:
            raise ConnectionLost(error.strerror or "an error", ended=True) from None
        self.is_read_out = False
        if not data:
            raise ConnectionLost("the other side has closed the connection", ended=True)
        *lines, self._read = (self._read + data).split(b"\n")
        if len(self._read) > _LINE_MOST_BYTES:
            raise ConnectionLost(f"a message of more than {_LINE_MOST_BYTES} bytes")
        return [_message(line) for line in lines]

    def send(self, message: Message) -> None:
        """Sends a message, or as much of it as the other side has room for now. Raises ConnectionLost, also for a side
        that reads nothing for long.
        """
        self._unsent += json.dumps(message).encode() + b"\n"
        if len(self._unsent) > _UNSENT_MOST_BYTES:
            raise ConnectionLost("the other side does not read")
        self.flush()

    def flush(self) -> None:
        """Sends more of what waits. Raises ConnectionLost."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            raise ConnectionLost(error.strerror or "an error", ended=True) from None

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


def _message(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ConnectionLost(f"{line[:80]!r} is no message")
    return message


# ---------------------------------------------------------------------------------------------------------- values


def value_to_wire(value: int | bytes) -> int | str:
    """An argument or a value of a reply."""
    return value.hex() if isinstance(value, bytes) else value


def value_from_wire(value: Any) -> int | bytes:
    """The opposite. Raises ValueError for what is none."""
    if type(value) is int:
        return value
    if type(value) is str:
        return bytes.fromhex(value)
    raise ValueError(f"{value!r:.80} is neither a number nor bytes")


def line_from_wire(line: Any) -> tuple[int, str] | None:
    """A line of a board's log: level, message. None for what no board can have said."""
    if isinstance(line, list) and [type(part) for part in line] == [int, str]:
        with suppress(SerializationError, UnicodeEncodeError):
            encode_body(Kind.LOG, 0, tuple(line))
            return line[0], line[1]
    return None


def error_to_wire(error: StateError) -> Message:
    """Why a command has no reply."""
    message: Message = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, LinkError):
        message["may_have_run"] = error.may_have_run
    if isinstance(error, PortError):
        message["reason"] = error.reason
    return message


def error_from_wire(message: Any) -> StateError:
    """The opposite, for whatever comes: what says nothing else may have run."""
    if not isinstance(message, dict):
        message = {}
    kind, text = message.get("kind"), str(message.get("message", "the server did not say why"))
    may_have_run = message.get("may_have_run") is not False
    if kind == "PortError":
        return PortError(text, str(message.get("reason", "failed")))
    if kind == "CommandTimeout":
        return CommandTimeout(text, may_have_run)
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind](text)
    error = LinkError(text)
    error.may_have_run = may_have_run
    return error


# ---------------------------------------------------------------------------------------------------------- sockets


def socket_path(mirror: Path) -> Path:
    """The socket of the process that serves the mirror with this file."""
    return mirror.with_suffix(".sock")


def listen_at(path: Path) -> socket.socket:
    """A socket that only this user can connect to, in place of what a dead server left. Raises OSError."""
    line = socket.socket(socket.AF_UNIX)
    try:
        # Bound in a folder that nobody else can enter, so that there is no instant with other permissions.
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            with _address(Path(folder) / "s") as address:
                line.bind(address)
            os.chmod(Path(folder) / "s", 0o600)
            line.listen(_BACKLOG)
            line.setblocking(False)
            os.replace(Path(folder) / "s", path)
    except BaseException:
        line.close()
        raise
    return line


def connect_to(path: Path) -> socket.socket | None:
    """A connection to the process that listens there, None if none does. Does not wait."""
    line = socket.socket(socket.AF_UNIX)
    line.setblocking(False)
    with suppress(OSError), _address(path) as address:
        line.connect(address)
        return line
    line.close()
    return None


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """What the system takes for the path of a socket, which is short: a long one is named by way of its folder's
    descriptor. Raises OSError where there is no such way.
    """
    if len(os.fsencode(path)) <= _ADDRESS_MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
