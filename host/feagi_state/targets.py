"""What a PORT or NAME on the command line means: a mirror that somebody serves, a running board, or a serial port."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from . import boards
from .errors import LinkError, StateError

if TYPE_CHECKING:
    from .device import Device
    from .mirror import MirrorView

__all__ = ["TargetError", "find_mirror", "open_device", "open_view", "the_mirror"]


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


def _same_port(one: str, other: str) -> bool:
    if one == other:
        return True
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


def is_served(view: MirrorView) -> bool:
    """Whether a living process keeps this mirror, live or not."""
    return boards.is_locked(view.path.with_suffix(".lock"))


def find_mirror(target: str) -> MirrorView | None:
    """The mirror that `target` names: by name, by path, or by the port that it mirrors. Served ones come first."""
    found = _attach(target)
    if found is not None and is_served(found):
        return found
    for name in mirror_names():
        view = _attach(name)
        if view is None:
            continue
        if view.link.port and _same_port(view.link.port, target) and is_served(view):
            if found is not None:
                found.close()
            return view
        view.close()
    return found


def the_mirror(target: str | None) -> MirrorView:
    """The mirror that is meant; without a target the only one, or the only live one. Raises TargetError."""
    if target is not None:
        found = find_mirror(target)
        if found is None:
            there = mirror_names()
            known = f"mirrors: {', '.join(there)}" if there else "there is no mirror at all"
            raise TargetError(f"no mirror is called {target!r} ({known}); `feagi-state watch {target}` makes it")
        return found
    views = [view for view in map(_attach, mirror_names()) if view is not None]
    if not views:
        raise TargetError("there is no mirror: start one with `feagi-state watch PORT`, or try `make run`")
    chosen = [view for view in views if not view.stale] if len(views) > 1 else views
    for view in views:
        if len(chosen) != 1 or view is not chosen[0]:
            view.close()
    if len(chosen) != 1:
        problem = "more than one mirror is live" if chosen else "no mirror is live"
        raise TargetError(f"{problem}: name one of {', '.join(view.name for view in views)}")
    return chosen[0]


def the_port(target: str | None) -> tuple[str, str | None]:
    """(serial port, name for its mirror); without a target the port of the only running board. Raises StateError."""
    if target is not None:
        port, name = boards.resolve_port(target)
        if "/" not in port and "://" not in port and not os.path.exists(port) and os.name == "posix":
            running = ", ".join(boards.running_boards()) or "none"
            raise TargetError(
                f"{target!r} is no serial port, no mirror and no running board (running boards: {running})"
            )
        return port, name
    running_boards = boards.running_boards()
    if len(running_boards) == 1:
        entry = next(iter(running_boards.values()))
        return str(entry.link), entry.name
    if running_boards:
        raise TargetError(f"more than one board runs: name one of {', '.join(running_boards)}")
    raise TargetError("name a serial port, or start an emulated board: `feagi-state start unix`")


def server_of(port: str) -> tuple[str, int] | None:
    """(mirror's name, process) of the other process that serves `port`, if one does."""
    for name in mirror_names():
        view = _attach(name)
        if view is None:
            continue
        with view:
            link = view.link
            if link.owner_pid != os.getpid() and link.port and _same_port(link.port, port) and is_served(view):
                return view.name, link.owner_pid
    return None


def open_device(target: str | None, *, baudrate: int, timeout_s: float) -> Device:
    """Open the port that is meant and wait until its mirror is live. Raises StateError."""
    return _open_port(*the_port(target), baudrate=baudrate, timeout_s=timeout_s)


def _open_port(port: str, name: str | None, *, baudrate: int, timeout_s: float) -> Device:
    from . import connect

    try:
        return connect(port, name=name, baudrate=baudrate, timeout_s=timeout_s)
    except LinkError as error:
        server = server_of(port)
        if server is None:
            raise
        raise TargetError(
            f"port {port} is served by process {server[1]} (mirror {server[0]}): `get`, `watch` and `events` read that "
            f"mirror; to write, end that process first (Ctrl-C there, or kill {server[1]})"
        ) from error


def open_view(target: str | None, *, baudrate: int, timeout_s: float) -> Device | MirrorView:
    """The mirror where a process serves it, since that process has the port; else the opened port.

    A mirror that nobody serves any more is taken up again at the port that it was kept for.
    """
    if target is not None:
        found = find_mirror(target)
        if found is None:
            return open_device(target, baudrate=baudrate, timeout_s=timeout_s)
        if is_served(found):
            return found
        with found:
            name, port = found.name, found.link.port
        if target in boards.running_boards() or not os.path.exists(port):
            return open_device(target, baudrate=baudrate, timeout_s=timeout_s)
        return _open_port(port, name, baudrate=baudrate, timeout_s=timeout_s)
    served = [view for view in map(_attach, mirror_names()) if view is not None and is_served(view)]
    if len(served) == 1:
        return served[0]
    for view in served:
        view.close()
    if served:
        raise TargetError(f"more than one mirror is served: name one of {', '.join(view.name for view in served)}")
    return open_device(None, baudrate=baudrate, timeout_s=timeout_s)
