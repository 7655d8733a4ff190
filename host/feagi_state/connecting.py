"""`connect`: one port, one device, one thread."""

from __future__ import annotations

import os
import time

from .device import Device
from .errors import SchemaMismatch
from .port_link import PortLink
from .ports import PortFinder
from .runner import Runner
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
) -> Device:
    """Opens a serial port, agrees on a session with the device there, and returns when its mirror is live.

    `port`: a device path, `COM3`, `socket://host:port`, `rfc2217://host:port`, or the name of a running emulated board.
    `name`: the mirror's, by default the emulated board's, the device's own, or the port's; if a living process has it,
    `-2`, `-3`... is added. `baudrate` in Bd. `mirror_dir`: see `attach`. `mirror_mode`: permissions of the mirror's
    file. The Device reconnects by itself when the board goes away and returns, and is to be closed (`with`).

    Raises PortError (absent, busy, no permission), SchemaMismatch, NotADevice, MemoryMapError, or LinkError if the
    snapshot did not arrive within `timeout_s`.
    """
    finder = PortFinder(port, baudrate, mirror_dir)
    transport = finder.open()
    runner = Runner(port)
    link = PortLink(
        runner, transport.name, finder.open, transport, name=name, mirror_dir=mirror_dir, mirror_mode=mirror_mode
    )
    device = Device(link, runner)
    try:
        _wait_first(link, timeout_s)
    except BaseException:
        device.close()
        raise
    return device


def _wait_first(link: PortLink, timeout_s: float) -> None:
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
