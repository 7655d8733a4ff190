"""Byte streams that a link can run on: what one must do, and the one over serial ports (and pyserial's URLs)."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Any, Final, Protocol

import serial

from .errors import PortError

try:  # pyserial lets these through where the system has them
    import termios

    _PORT_ERRORS: tuple[type[BaseException], ...] = (serial.SerialException, OSError, ValueError, termios.error)
except ImportError:  # pragma: no cover - Windows
    _PORT_ERRORS = (serial.SerialException, OSError, ValueError)

# What pyserial raises besides on a port that another thread closed meanwhile.
_USE_ERRORS: tuple[type[BaseException], ...] = (*_PORT_ERRORS, TypeError)

__all__ = ["SerialTransport", "Transport"]

# A write that takes longer is given up: the link repeats what is lost, but a blocked reader would help nobody.
_WRITE_TIMEOUT_S: Final = 0.5
_BUSY: Final = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)


class Transport(Protocol):
    """A byte stream. One thread reads; another one may write and close meanwhile."""

    @property
    def name(self) -> str:
        """What a message calls it."""

    def read(self, timeout_s: float) -> bytes:
        """The bytes that are there, or b"" if none came for `timeout_s`. Raises PortError when the line is gone."""

    def write(self, data: bytes) -> None:
        """Sends `data`, or part of it if the line is congested. Raises PortError when the line is gone."""

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
            self._serial = serial.serial_for_url(
                port, baudrate=baudrate, timeout=0, write_timeout=_WRITE_TIMEOUT_S, **options
            )
        except _PORT_ERRORS as error:
            raise _open_error(port, error) from None

    @property
    def name(self) -> str:
        """The port's name as it was given."""
        return self._name

    def read(self, timeout_s: float) -> bytes:
        """The bytes that are there, or b"" if none came for `timeout_s` (at least 0).

        Raises PortError when the port is gone.
        """
        try:
            if self._serial.timeout != timeout_s:
                self._serial.timeout = timeout_s  # costs a reconfiguration of the port: callers keep to one value
            data: bytes = self._serial.read(1)
            if data:
                data += self._serial.read(self._serial.in_waiting)
            return data
        except _USE_ERRORS as error:
            raise self._gone(error) from None

    def write(self, data: bytes) -> None:
        """Sends `data`; gives up after half a second on a line that takes nothing.

        Raises PortError when the port is gone.
        """
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            pass  # lost bytes are what the link is made for
        except _USE_ERRORS as error:
            raise self._gone(error) from None

    def close(self) -> None:
        """Gives the port back. May be called more than once, and from any thread."""
        with suppress(*_PORT_ERRORS):  # gone already
            self._serial.close()

    def _gone(self, error: BaseException) -> PortError:
        return PortError(f"{self._name} went away: {_reason(error)}", "gone")


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
        return PortError(f"no permission to open {port}{_permission_hint(port)}", "permission")
    if number in _BUSY:
        return PortError(f"{port} is busy: another program has it open", "busy")
    if f"({errno.ENOTTY}," in str(error):  # where pyserial gives no number: no line has such settings
        return PortError(f"{port} is no serial port", "failed")
    return PortError(f"{port} cannot be opened: {_reason(error)}", "failed")


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


def _permission_hint(port: str) -> str:
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
