"""Where a board's port is now: a port may be called otherwise when its board is plugged in again, but the serial number
that its USB tells stays.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, NamedTuple

from serial.tools import list_ports

from .errors import MemoryMapError, PortError
from .mirror import MirrorView, attach, server_of
from .running import port_path
from .served_link import takes_commands
from .transport import SerialTransport

__all__ = ["BY_SERIAL_NUMBER", "PortFinder", "served_mirror"]

BY_SERIAL_NUMBER: Final = "id:"  # begins what names a port by its serial number, as in mpremote


class _UsbPort(NamedTuple):
    """What USB says of a port."""

    vendor: int
    product: int
    serial_number: str
    interface: str  # of a board that has several ports; else empty


class PortFinder:
    """One board's port, to be opened again and again. One thread at a time."""

    def __init__(self, port: str, baudrate: int, mirror_dir: str | os.PathLike[str] | None = None) -> None:
        """`port`: as `connect` takes it. `baudrate` in Bd. `mirror_dir`: where to look for who has it."""
        self._port = port
        self._baudrate = baudrate
        self._mirror_dir = mirror_dir
        self._board: _UsbPort | None = None  # what was there when the port was opened last

    def open(self) -> SerialTransport:
        """Opens the port that the board has now: once it was opened, the one with the same USB serial number, if USB
        tells one; else the one of the same name. Raises PortError.
        """
        path = self.path()
        try:
            transport = SerialTransport(path, self._baudrate)
        except PortError as error:
            served = served_elsewhere(path, self._mirror_dir) if error.reason == "busy" else None
            raise served or error from None
        self._board = _usb_ports().get(os.path.realpath(path)) or self._board
        return transport

    def path(self) -> str:
        """Path or URL of the port that `open` would open. Raises PortError."""
        # Looked up every time: what an emulated board was connected to may be another terminal by now.
        if self._port.startswith(BY_SERIAL_NUMBER):
            number = self._port[len(BY_SERIAL_NUMBER) :]
            there = [path for path, board in _usb_ports().items() if board.serial_number == number]
            return self._only(there, f"there is no port with the USB serial number {number}: is the board plugged in?")
        path = port_path(self._port)
        ports = _usb_ports() if self._board is not None else {}
        if self._board is None or ports.get(os.path.realpath(path)) == self._board:
            return path
        there = [other for other, board in ports.items() if board == self._board]
        number = self._board.serial_number
        return self._only(there, f"the board of {path} (USB serial number {number}) is at no port: is it plugged in?")

    def _only(self, paths: list[str], none: str) -> str:
        if len(paths) == 1:
            return paths[0]
        if not paths:
            raise PortError(none, "absent")
        raise PortError(f"{self._port} may be {' or '.join(sorted(paths))}: name the one that is meant", "failed")


def _usb_ports() -> dict[str, _UsbPort]:
    """The ports that USB tells a serial number of, by path."""
    found = {}
    try:
        ports = list_ports.comports()
    except (OSError, TypeError, ValueError):  # a board was unplugged while it was asked about
        return {}
    for port in ports:
        if port.vid is not None and port.pid is not None and port.serial_number:
            _, _, interface = (port.location or "").partition(":")
            found[os.path.realpath(port.device)] = _UsbPort(port.vid, port.pid, port.serial_number, interface)
    return found


def served_mirror(port: str, mirror_dir: str | os.PathLike[str] | None = None) -> MirrorView | None:
    """The mirror of this name, or of the board at this port, if a living process keeps one. To be closed."""
    with suppress(MemoryMapError):
        if os.sep not in port and "://" not in port:
            view = attach(port, mirror_dir=mirror_dir)
            if view.is_served:
                return view
            view.close()
    with suppress(MemoryMapError, PortError):
        return server_of(PortFinder(port, 0).path(), mirror_dir)
    return None


def is_replay(view: MirrorView) -> PortError:
    """What to say to who wants a replay's mirror to be a device."""
    return PortError(
        f"{view.name} is a replay, which takes no commands: feagi_state.attach({view.name!r}) and "
        f"`feagi-state watch {view.name}` read it",
        "failed",
    )


def served_elsewhere(port: str, mirror_dir: str | os.PathLike[str] | None = None) -> PortError | None:
    """Who has the port, when that is a process that serves a mirror of it."""
    with suppress(MemoryMapError):
        view = server_of(port, mirror_dir)
        if view is None:
            return None
        with view:
            pid, name, helps = view.link.owner_pid, view.name, takes_commands(view)
            if view.link.replayed:
                return is_replay(view)
        if pid == os.getpid():
            return PortError(f"{port} is served by this process already, as mirror {name}", "busy")
        if helps:
            way = f"feagi_state.connect({name!r}) and `feagi-state set ... {name}` go through it; to have the port"
        else:
            way = f"feagi_state.attach({name!r}) and `feagi-state watch {name}` read its mirror; to write"
        end = f"end that process first (Ctrl-C there, or kill {pid})"
        return PortError(f"{port} is served by process {pid}: {way}, {end}", "busy")
    return None
