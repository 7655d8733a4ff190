"""Byte streams that a link can run on: what one must do, and the one over serial ports (and pyserial's URLs)."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import serial

from .errors import PortError

try:  # pyserial lets these through where the system has them
    import termios

    _PORT_ERRORS: tuple[type[BaseException], ...] = (serial.SerialException, OSError, ValueError, termios.error)
except ImportError:  # pragma: no cover - Windows
    _PORT_ERRORS = (serial.SerialException, OSError, ValueError)

#: What the use of a port raises; TypeError where another thread has closed it meanwhile.
port_failures: tuple[type[BaseException], ...] = (*_PORT_ERRORS, TypeError)

__all__ = ["SerialTransport", "Transport", "may_be_port", "permission_hint", "port_failures"]

_BUSY: Final = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)
_NOT_NOW: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_READ_LEN_BYTES: Final = 4096


class Transport(Protocol):
    """A byte stream whose calls do not wait, but for a read that is told to. One thread at a time."""

    @property
    def name(self) -> str:
        """What a message calls it."""

    def fileno(self) -> int:
        """A descriptor that selectors can watch: readable when `read` has something to give or to raise."""

    def read(self, timeout_s: float = 0.0) -> bytes:
        """The bytes that are there, or b"" if none came for `timeout_s`. Raises PortError when the line is gone."""

    def write(self, data: bytes) -> int:
        """Sends as much of `data` as the line takes now; how many bytes. Raises PortError when the line is gone."""

    def close(self) -> None:
        """Gives the line back. May be called more than once."""


class SerialTransport:
    """A serial port that nobody else has open, or a pyserial URL (`socket://host:port`, `rfc2217://host:port`)."""

    def __init__(self, port: str, baudrate: int = 115200) -> None:
        """Opens `port`: a device path, `COM3`, or a URL. `baudrate` in Bd; USB ports ignore it.

        Raises PortError with the reason if it is not there, busy, not permitted, or no serial port.
        """
        self._name = port
        options: dict[str, Any] = {} if "://" in port else {"exclusive": True}
        try:
            opened = serial.serial_for_url(port, baudrate=baudrate, timeout=0, **options)
        except _PORT_ERRORS as error:
            raise _open_error(port, error) from None
        # pyserial opens it and sets it up. Its own read and write use select, which takes no descriptor above 1023:
        # too few for a fleet.
        self._port: Any = opened if _has_descriptor(opened) else _PumpedPort(opened)

    @property
    def name(self) -> str:
        """The port's name as it was given."""
        return self._name

    def fileno(self) -> int:
        """The port's descriptor. Raises PortError when it was closed."""
        try:
            number: int = self._port.fileno()
            return number
        except port_failures as error:
            raise self._gone(error) from None

    def read(self, timeout_s: float = 0.0) -> bytes:
        """The bytes that are there, or b"" if none came for `timeout_s` (at least 0).

        Raises PortError when the port is gone.
        """
        try:
            number = self.fileno()
            ready = select.poll()
            ready.register(number, select.POLLIN)
            if not ready.poll(timeout_s * 1000):
                return b""
            data = os.read(number, _READ_LEN_BYTES)
        except port_failures as error:
            if getattr(error, "errno", None) in _NOT_NOW:
                return b""
            raise self._gone(error) from None
        if not data:  # ready to be read, and nothing there
            raise PortError(f"{self._name} went away", "gone") from None
        return data

    def write(self, data: bytes) -> int:
        """Sends as much of `data` as the port takes now; how many bytes. Raises PortError when the port is gone."""
        try:
            return os.write(self.fileno(), data)
        except port_failures as error:
            if getattr(error, "errno", None) in _NOT_NOW:
                return 0
            raise self._gone(error) from None

    def close(self) -> None:
        """Gives the port back. May be called more than once, and from any thread."""
        with suppress(*_PORT_ERRORS):  # gone already
            self._port.close()

    def _gone(self, error: BaseException) -> PortError:
        if isinstance(error, PortError):
            return error
        return PortError(f"{self._name} went away: {_reason(error)}", "gone")


def _has_descriptor(port: serial.SerialBase) -> bool:
    try:
        return isinstance(port.fileno(), int)
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return False


class _PumpedPort:
    """A port without a descriptor (`rfc2217://`, `loop://`): two threads carry its bytes to and from a socket."""

    _LOOK_S: Final = 0.1  # how late the thread that reads notices the end

    def __init__(self, port: Any) -> None:
        """Takes the port, which is open."""
        self._port = port
        self._port.timeout = self._LOOK_S
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        for carry in (self._carry_in, self._carry_out):
            threading.Thread(target=carry, name=f"feagi_state {port.port}", daemon=True).start()

    def fileno(self) -> int:
        return self._near.fileno()

    def close(self) -> None:
        self._near.close()  # which ends both threads, and they the port

    def _carry_in(self) -> None:
        with suppress(*port_failures):  # of either end
            while True:
                data = self._port.read(1)
                if data:
                    self._far.sendall(data + self._port.read(self._port.in_waiting))
                elif self._near.fileno() < 0:
                    break
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)

    def _carry_out(self) -> None:
        with suppress(*port_failures):
            while data := self._far.recv(_READ_LEN_BYTES):
                self._port.write(data)
        with suppress(*port_failures):
            self._port.close()
        self._far.close()


def _reason(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else str(error) or type(error).__name__


def _open_error(port: str, error: BaseException) -> PortError:
    number = getattr(error, "errno", None)
    if "://" not in port and os.path.exists(port) and not may_be_port(port):
        return PortError(f"{port} is no serial port", "failed")
    if number == errno.ENXIO and port == "/dev/tty":
        return PortError(f"{port} is no serial port here: it is the terminal of a process that has one", "failed")
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTDIR):
        return PortError(f"there is no port {port}: is the board plugged in?", "absent")
    if number in (errno.EACCES, errno.EPERM):
        return PortError(f"no permission to open {port}{permission_hint(port)}", "permission")
    if number in _BUSY:
        return PortError(f"{port} is busy: {_holder(port)}", "busy")
    if f"({errno.ENOTTY}," in str(error):  # where pyserial gives no number: no line has such settings
        return PortError(f"{port} is no serial port", "failed")
    return PortError(f"{port} cannot be opened: {_reason(error)}", "failed")


def _holder(port: str) -> str:
    """Who has the port open: the process that has locked it, as pyserial and mpremote do, where the system tells."""
    with suppress(OSError, ValueError), open("/proc/locks", encoding="ascii") as locks:
        found = os.stat(port)
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        for words in map(str.split, locks):
            if place in words:
                pid = int(words[words.index(place) - 1])
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"process {pid} ({name}) has it open: end that process first"
    return "another program has it open"


def may_be_port(path: str) -> bool:
    """Whether the file `path` is a character device that may be a serial port: /dev/null is none.

    It is not opened for that: some boards start again when their port is.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    if not stat.S_ISCHR(found.st_mode):
        return False
    # Linux knows what a device is; a pseudo-terminal has no entry there.
    kind = f"/sys/dev/char/{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}/subsystem"
    return not os.path.exists(kind) or os.path.basename(os.path.realpath(kind)) in ("tty", "usb")


def permission_hint(port: str) -> str:
    """What gives the permission: membership in the port's group, unless only root's may."""
    try:
        import grp

        found = os.stat(port)
        group = grp.getgrgid(found.st_gid).gr_name
    except (ImportError, KeyError, OSError):
        return ""
    if found.st_gid == 0 or not found.st_mode & stat.S_IWGRP:
        return ""
    return f": it belongs to the group {group!r}; `sudo usermod -aG {group} $USER` and log in again"
