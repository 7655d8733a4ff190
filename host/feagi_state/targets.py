"""What a PORT or NAME on the command line means: a mirror that somebody serves, a running board, or a serial port."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import StateError
from .port_finder import BY_SERIAL_NUMBER
from .running import resolve_port, running_boards
from .transport import may_be_port

if TYPE_CHECKING:
    from .device import Device
    from .mirror import MirrorView

__all__ = ["TargetError", "find_mirror", "open_device", "open_view", "the_mirror", "the_ports"]


class TargetError(StateError):
    """Nothing, or more than one thing, is what the command line names."""


def _attach(name: str) -> MirrorView | None:
    """The mirror called `name`, None when there is none that can be read."""
    from . import attach

    with suppress(StateError, OSError):
        return attach(name)
    return None


def mirror_names() -> list[str]:
    """Names of the mirrors that are there, live or not."""
    from . import mirrors

    return mirrors()


def find_mirror(target: str) -> MirrorView | None:
    """The mirror that `target` names: by name, by path, or by the port that it mirrors. Served ones come first."""
    from .mirror import server_of

    found = _attach(target)
    if found is not None and found.is_served:
        return found
    served = server_of(target)
    if served is not None and found is not None:
        found.close()
    return served or found


def the_mirror(target: str | None) -> MirrorView:
    """The mirror that is meant; without a target the only one, or the only live one. Raises TargetError."""
    if target is not None:
        found = find_mirror(target)
        if found is None:
            raise TargetError(_no_mirror(target))
        return found
    views = [view for view in map(_attach, mirror_names()) if view is not None]
    if not views:
        raise TargetError(f"there is no mirror: {_what_serves_one()}")
    chosen = [view for view in views if not view.stale] if len(views) > 1 else views
    for view in views:
        if len(chosen) != 1 or view is not chosen[0]:
            view.close()
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise TargetError(f"more than one mirror is live: name one of {', '.join(view.name for view in chosen)}")
    raise TargetError(
        f"no mirror is live: {_what_serves_one()} (old values: --stale-ok with one of "
        f"{', '.join(view.name for view in views)})"
    )


def _what_serves_one() -> str:
    running = running_boards()
    if not running:
        return "`feagi-state watch PORT` serves one, `make run` does with an emulated board"
    commands = " or ".join(f"`feagi-state watch {name}`" for name in running)
    return f"{commands} serves one of the board that runs"


def _no_mirror(target: str) -> str:
    """Why `target` names no mirror, and what makes one if anything does."""
    port, board = resolve_port(target)
    if board is None and os.path.exists(port) and not may_be_port(port):
        return f"{target} is no serial port, and no mirror's name"
    if board is not None or "/" in port or "://" in port or os.path.exists(port):
        return f"{target} has no mirror: `feagi-state watch {target}` serves one"
    there = mirror_names()
    known = f"mirrors: {', '.join(there)}" if there else "there is no mirror at all"
    return f"no mirror is called {target!r} ({known}): {_what_serves_one()}"


def the_port(target: str | None) -> tuple[str, str | None]:
    """(serial port, name for its mirror); without a target the port of the only running board. Raises StateError."""
    if target is not None:
        port, name = resolve_port(target)
        is_named = "/" in port or "://" in port or port.startswith(BY_SERIAL_NUMBER)
        if not is_named and not os.path.exists(port) and os.name == "posix":
            names = ", ".join(running_boards()) or "none"
            raise TargetError(
                f"{target!r} is no serial port, no mirror and no running board (running boards: {names})"
            )
        return port, name
    running = running_boards()
    if len(running) == 1:
        entry = next(iter(running.values()))
        return str(entry.link), entry.name
    if running:
        raise TargetError(f"more than one board runs: name one of {', '.join(running)}")
    raise TargetError("name a serial port, or start an emulated board: `feagi-state start unix`")


def the_ports(targets: Sequence[str]) -> list[str]:
    """The serial ports that are meant; without targets those of all running boards. Raises StateError."""
    ports = [the_port(target)[0] for target in targets] or [str(entry.link) for entry in running_boards().values()]
    if not ports:
        the_port(None)  # says what there should be
    return ports


def open_device(target: str | None, *, baudrate: int, timeout_s: float) -> Device:
    """The device that is meant, with a live mirror: through the process that serves it and takes commands, else at its
    port. Without a target the only one that is served, or the only board that runs. Raises StateError.
    """
    from . import connect
    from .port_finder import served_elsewhere, served_mirror
    from .served_link import takes_commands

    view = _only_served() if target is None else served_mirror(target)
    if view is None:
        port, name = the_port(target)
        return connect(port, name=name, baudrate=baudrate, timeout_s=timeout_s, serve=True)
    with view:
        port = view.link.port
        if not takes_commands(view):
            raise served_elsewhere(port) or TargetError(f"mirror {view.name} is not served any more")
    return connect(view.name, timeout_s=timeout_s)


def open_view(target: str | None, *, baudrate: int, timeout_s: float) -> Device | MirrorView:
    """The mirror where a process serves it, since that process has the port; else the opened port.

    A mirror that nobody serves any more is taken up again at the port that it was kept for.
    """
    from . import connect

    if target is not None:
        found = find_mirror(target)
        if found is None:
            return open_device(target, baudrate=baudrate, timeout_s=timeout_s)
        if found.is_served:
            return found
        with found:
            name, port = found.name, found.link.port
        if target in running_boards() or not os.path.exists(port):
            return open_device(target, baudrate=baudrate, timeout_s=timeout_s)
        return connect(port, name=name, baudrate=baudrate, timeout_s=timeout_s, serve=True)
    return _only_served() or open_device(None, baudrate=baudrate, timeout_s=timeout_s)


def _only_served() -> MirrorView | None:
    """The only mirror that a living process keeps, None if there is none. Raises TargetError if there are several."""
    served = [view for view in map(_attach, mirror_names()) if view is not None and view.is_served]
    if len(served) == 1:
        return served[0]
    for view in served:
        view.close()
    if served:
        raise TargetError(f"more than one mirror is served: name one of {', '.join(view.name for view in served)}")
    return None
