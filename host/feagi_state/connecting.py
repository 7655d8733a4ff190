"""`connect`: one port, one device, one thread."""

from __future__ import annotations

import os
import time

from .device import Device
from .errors import PortError, SchemaMismatch
from .port_finder import PortFinder, is_replay, served_mirror
from .port_link import PortLink
from .runner import Runner
from .served_link import ServedLink, connection_to
from .waiting import Patience

__all__ = ["connect"]


def connect(
    port: str,
    *,
    name: str | None = None,
    baudrate: int = 115200,
    timeout_s: float = 5.0,
    mirror_dir: str | os.PathLike[str] | None = None,
    mirror_mode: int = 0o600,
    serve: bool = False,
    restart: bool = True,
) -> Device:
    """The device on a serial port, or of a mirror that another process serves; returns when its mirror is live.

    `port`: a device path, `COM3`, `socket://host:port`, `rfc2217://host:port`, `id:` and a USB serial number, or the
    name of a running emulated board or of a served mirror.

    Where a process takes commands for the port (`feagi-state serve`, a Fleet or a `connect` with `serve`), the device
    is used through it, and that process's settings hold; if it ends, commands raise PortError or SessionLost until
    another takes its place. Else the port is opened, exclusively: `name` is the mirror's, by default the emulated
    board's, the device's own, or the port's; if a living process has it, `-2`, `-3`... is added. `baudrate` in Bd.
    `mirror_mode`: permissions of the mirror's file. `serve`: whether other processes of this user may send commands
    through this one, and use the board's prompt where it is on the same line: `feagi-state repl`. `restart`: whether
    the board's main.py is started again, by a soft reset, once somebody has interrupted the program there and gone.
    `mirror_dir`: see `attach`. The Device reconnects by itself when the board goes away and returns,
    and is to be closed (`with`).

    Raises PortError (absent, busy, no permission), SchemaMismatch, NotADevice, MemoryMapError, or another LinkError if
    the mirror was not live within `timeout_s`.
    """
    link: PortLink | ServedLink | None = None
    runner = Runner(port)
    try:
        link = _served_link(runner, port, mirror_dir)
        if link is None:
            finder = PortFinder(port, baudrate, mirror_dir)
            try:
                transport = finder.open()
            except PortError as error:
                # Somebody has it. Whoever has just begun to serve it may take commands by now.
                link = _served_link(runner, port, mirror_dir) if error.reason == "busy" else None
                if link is None:
                    raise
            else:
                link = PortLink(
                    runner,
                    transport.name,
                    finder.open,
                    transport,
                    name=name,
                    mirror_dir=mirror_dir,
                    mirror_mode=mirror_mode,
                    serve=serve,
                    restart=restart,
                )
        _wait_first(link, timeout_s)
    except BaseException:
        if link is not None:
            link.close()
        runner.close()
        raise
    return Device(link, runner)


def _served_link(runner: Runner, port: str, mirror_dir: str | os.PathLike[str] | None) -> ServedLink | None:
    """A link to the process that takes commands for this port or mirror, None if none does."""
    view = served_mirror(port, mirror_dir)
    if view is None:
        return None
    if view.link.replayed:
        with view:
            raise is_replay(view)
    connection = connection_to(view)
    if connection is None:
        view.close()
        return None
    return ServedLink(runner, view, connection)


def _wait_first(link: PortLink | ServedLink, timeout_s: float) -> None:
    """Until the link is live for the first time. Raises what is wrong instead."""
    patience = Patience(timeout_s)
    while not link.is_live:
        if link.fatal is not None:
            raise link.fatal.with_traceback(None)
        if isinstance(link.problem, SchemaMismatch):
            raise link.problem.with_traceback(None)
        pause_s = patience.next_pause_s()
        if pause_s is None:
            raise link.why_not_live(timeout_s).with_traceback(None)
        time.sleep(pause_s)
