"""A device: what one reads of its mirror, and what one asks of it. `connect` and Fleet make them."""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, Union

from ._core import Mirror
from .changes import Change, ChangeStream, FieldWatch
from .clock import now_s
from .closing import Closing
from .commands import Batch
from .errors import (
    CommandTimeout,
    StaleMirror,
    StateError,
)
from .events import EventStream
from .listeners import Listeners, Subscription, TextSubscription
from .mirror import LinkInfo, MirrorView, StateView
from .runner import Runner
from .sections import AgentInfo
from .spec import CommandOp
from .views import SectionViews
from .waiting import Patience
from .writes import Request, digest_request, write_request

__all__ = ["Device"]

_COMMAND_S: Final = 5.0
_LATE_S: Final = 1.0  # how much later than its timeout a command's caller goes on

Fields = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]


class Link(Protocol):
    """What serves a device. All of it is for any thread."""

    @property
    def port(self) -> str:
        """Where the device is."""

    @property
    def view(self) -> MirrorView | None:
        """The mirror, once a first snapshot was complete."""

    @property
    def problem(self) -> StateError | None:
        """Why there is no live link."""

    @property
    def fatal(self) -> StateError | None:
        """Why there never will be again."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    @property
    def listeners(self) -> Listeners:
        """Who hears of changes and texts."""

    @property
    def is_live(self) -> bool:
        """Whether the mirror is live."""

    def start(self, batch: Batch) -> None:
        """Runs commands; the batch is told when they are done."""

    def cancel(self, batch: Batch) -> None:
        """Forgets commands whose caller has given up."""

    def close(self) -> None:
        """Ends the link. Commands have failed when it returns."""

    def why_not_live(self, waited_s: float) -> StateError:
        """What to tell somebody who has waited so long in vain."""


class Device(Closing, SectionViews):
    """A device: what its mirror shows, and commands to it, be its port this process's or another's.

    Made by `connect`, or by a Fleet. All methods may be called from any thread, callbacks of the device's included.
    Those whose names end in `_async` are the same for asyncio, on any event loop: other tasks run while they wait.

    Commands run one after the other, each at most once. Whoever asks waits for the answer, and so for those who asked
    before; up to 1,000 commands wait for a device, one more raises LinkError. A command that failed with a LinkError
    says in `may_have_run` whether the device may have run it all the same.
    """

    def __init__(self, link: Link, runner: Runner | None = None) -> None:
        """Takes over a link. `runner`: it serves this link alone, and ends with it."""
        self._link = link
        self._runner = runner
        atexit.register(self.close)

    # ------------------------------------------------------------------------------------------------ what one reads

    @property
    def mirror(self) -> MirrorView:
        """The device's mirror. Raises StaleMirror as long as there is none: no snapshot was complete yet."""
        view = self._link.view
        if view is None:
            raise StaleMirror(f"nothing came from {self.port} yet")
        return view

    @property
    def port(self) -> str:
        """The port, as it is called now: a board that was plugged in again may have another."""
        return self._link.port

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._link.closed

    @property
    def problem(self) -> StateError | None:
        """Why there is no live link, as far as it is known; None: nothing is."""
        return self._link.fatal or self._link.problem

    @property
    def text(self) -> Callable[[bytes], None] | None:
        """Hears the bytes between frames, as a REPL or print() sends them; None: the logger "feagi_state.text" does.

        Called in the thread of the callbacks, which is none that serves a port. What does not return for long enough
        that 1,000 texts wait passes further ones over, and the log says how many.
        """
        return self._link.listeners.on_text

    @text.setter
    def text(self, callback: Callable[[bytes], None] | None) -> None:
        self._link.listeners.on_text = callback

    @property
    def name(self) -> str:
        """Name of the mirror: what `attach` takes in other processes."""
        return self.mirror.name

    @property
    def state(self) -> StateView:
        """The core block's fields and the hashes, as they are or, on a stale mirror, as they were last."""
        return self.mirror.state

    @property
    def agents(self) -> list[AgentInfo]:
        """The registered agents."""
        return self.mirror.agents

    def _section(self, name: str) -> bytes:
        return self.mirror._section(name)

    @property
    def unix_time(self) -> bool:
        """Whether the device's times are Unix milliseconds, as they are once a host that knows the time was connected;
        else they are milliseconds since the device's start.
        """
        return self.mirror.unix_time

    @property
    def link(self) -> LinkInfo:
        """What is known about the link."""
        return self.mirror.link

    @property
    def stale(self) -> bool:
        """Whether the values may be old."""
        view = self._link.view
        return view is None or view.stale

    def events(self, timeout_s: float | None = None, from_start: bool = False) -> EventStream:
        """Events from now on, or from the oldest that is still there on; see MirrorView.events. Ends with `close`."""
        return self.mirror.events(timeout_s, from_start, self._has_ended)

    def changes(self, *fields: str, timeout_s: float | None = None, from_start: bool = False) -> ChangeStream:
        """Changes of these fields from now on, or of all; see MirrorView.changes. If there is no mirror yet, its first
        values come too, as changes from None. Ends with `close`.
        """
        watch = self.watch_fields(fields, from_start)
        return ChangeStream(lambda: (watch,), timeout_s, self._has_ended)

    def on_change(self, callback: Callable[[Change], None], *fields: str) -> Subscription:
        """Calls `callback` with every change of these fields from now on, or of all, until the subscription's `close`
        or the device's.

        Calls come one after the other, in a thread that serves no port: they may take their time and use the device.
        A callback that is slower than the changes gets the latest value of each field, see Change.passed_over. Raises
        InvalidField.
        """
        subscription = Subscription(self.changes(*fields), callback)
        self._link.listeners.subscribe(subscription)
        return subscription

    def on_text(self, callback: Callable[[bytes], None]) -> TextSubscription:
        """Calls `callback` with what the board prints, as `text` and besides it, until the subscription's `close`."""
        subscription = TextSubscription(callback)
        self._link.listeners.subscribe_text(subscription)
        return subscription

    def on_log(self, callback: Callable[[int, str], None]) -> TextSubscription:
        """Calls `callback` with each line of the board's log, besides the logger "feagi_state.device", until the
        subscription's `close`: its level (10 debug to 50 critical, as in Python's logging; at most 255) and message.

        Called in the thread of the callbacks, as `text` is.
        """
        subscription = TextSubscription(callback)
        self._link.listeners.subscribe_log(subscription)
        return subscription

    @property
    def about(self) -> str | None:
        """What the board's log said first in this session, where its program is served by feagi_serve: "MicroPython
        v1.25.0; PYBv1.1 with STM32F405RG; soft reset". None: nothing yet. In a process that does not have the port it
        may be what was said in the session before.
        """
        return self._link.listeners.about

    def watch_fields(self, fields: Iterable[str], from_start: bool) -> FieldWatch:
        """What a reader of its own has seen of these fields, for a ChangeStream. Raises InvalidField."""
        return FieldWatch(self._region, lambda: self.name, fields, from_start)

    def why_not_live(self, waited_s: float) -> StateError:
        """What keeps the mirror from being live, to be said to somebody who has waited so long: PortError, NotADevice,
        SchemaMismatch, StaleMirror, or another LinkError.
        """
        return _again(self._link.why_not_live(waited_s))

    def wait_live(self, timeout_s: float | None = None) -> None:
        """Waits until the mirror is live.

        Raises StaleMirror, or what keeps the link from being live, if it is not within `timeout_s`.
        """
        patience = Patience(timeout_s)
        while not self._link.is_live:
            pause_s = None if self._has_ended() else patience.next_pause_s()
            if pause_s is None:
                raise self.why_not_live(timeout_s or 0.0)
            time.sleep(pause_s)

    async def wait_live_async(self, timeout_s: float | None = None) -> None:
        """As `wait_live`."""
        patience = Patience(timeout_s)
        while not self._link.is_live:
            pause_s = None if self._has_ended() else patience.next_pause_s()
            if pause_s is None:
                raise self.why_not_live(timeout_s or 0.0)
            await asyncio.sleep(pause_s)

    # ----------------------------------------------------------------------------------------------- what one writes

    def set(self, field: str, value: Any, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to write a field; returns the value after it, which a clamped field may have changed.

        `value`: an enum's member, bool, int, or a float for an f32. The mirror shows it as soon as the device reports
        the change. Raises InvalidField, InvalidValue, what the device refuses it with, CommandTimeout, SessionLost, or
        what keeps the link from being live.
        """
        return self._ask(write_request(CommandOp.SET, field, value), timeout_s)

    def add(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to add `n` >= 0 to a counter, which stays at its maximum; returns the value after it.

        Raises as `set`.
        """
        return self._ask(write_request(CommandOp.ADD, field, n), timeout_s)

    def subtract(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to subtract `n` >= 0 from a counter, which stays at 0; returns the value after it.

        Raises as `set`.
        """
        return self._ask(write_request(CommandOp.SUBTRACT, field, n), timeout_s)

    def update(self, fields: Fields = (), /, *, timeout_s: float = _COMMAND_S, **more: Any) -> dict[str, Any]:
        """Asks the device to write several fields, in this order; returns the values after it, by name.

        Unlike StateManager.update not at once: the link takes one command at a time, and those of others may come
        between. But nobody waits between two of them: each goes to the device when the one before was answered. The
        first that fails ends it. `timeout_s` is for all. Raises as `set`, and before anything is sent if any field or
        value cannot be; the error's `written` has what was written before it, and what came after it was not sent.
        """
        names, requests = _update_requests(fields, more)
        return _written(names, requests, self._run(requests, timeout_s))

    def digest(self, *, timeout_s: float = _COMMAND_S) -> tuple[int, int]:
        """CRC-32 of the device's region and of the mirror's at the same instant of the device: (device, mirror).

        Asks again when a lost delta spoils an answer. Raises CommandTimeout when none came within `timeout_s`, as on a
        device that changes faster than the line carries.
        """
        deadline = now_s() + timeout_s
        while True:
            digests = _digests(self._run([digest_request()], max(0.0, deadline - now_s())))
            if digests is not None:
                return digests

    async def set_async(self, field: str, value: Any, *, timeout_s: float = _COMMAND_S) -> Any:
        """As `set`. A task that is cancelled while it waits has perhaps written."""
        return await self._ask_async(write_request(CommandOp.SET, field, value), timeout_s)

    async def add_async(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """As `add`."""
        return await self._ask_async(write_request(CommandOp.ADD, field, n), timeout_s)

    async def subtract_async(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """As `subtract`."""
        return await self._ask_async(write_request(CommandOp.SUBTRACT, field, n), timeout_s)

    async def update_async(
        self, fields: Fields = (), /, *, timeout_s: float = _COMMAND_S, **more: Any
    ) -> dict[str, Any]:
        """As `update`."""
        names, requests = _update_requests(fields, more)
        return _written(names, requests, await self._run_async(requests, timeout_s))

    async def digest_async(self, *, timeout_s: float = _COMMAND_S) -> tuple[int, int]:
        """As `digest`."""
        deadline = now_s() + timeout_s
        while True:
            digests = _digests(await self._run_async([digest_request()], max(0.0, deadline - now_s())))
            if digests is not None:
                return digests

    def start(self, batch: Batch) -> None:
        """Runs commands as the link carries them, for who passes them on. The batch hears of them in another thread."""
        self._link.start(batch)

    def cancel(self, batch: Batch) -> None:
        """Forgets commands that were given to `start`. The board may have run the one that was sent."""
        self._link.cancel(batch)

    # ------------------------------------------------------------------------------------------------------- the end

    def close(self) -> None:
        """Ends the link: the port is free, the mirror is marked closed, its threads end once callbacks have returned.

        May be called more than once.
        """
        self._link.close()
        if self._runner is not None:
            self._runner.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        """Name and port."""
        view = self._link.view
        return f"<Device {view.name if view else '?'} on {self.port}>"

    # --------------------------------------------------------------------------------------------------- the callers

    def _region(self) -> Mirror | None:
        view = self._link.view
        return None if view is None else view.region()

    def _has_ended(self) -> bool:
        return self._link.closed or self._link.fatal is not None

    def _ask(self, request: Request, timeout_s: float) -> Any:
        return _results([request], self._run([request], timeout_s))[0]

    async def _ask_async(self, request: Request, timeout_s: float) -> Any:
        return _results([request], await self._run_async([request], timeout_s))[0]

    def _run(self, requests: Sequence[Request], timeout_s: float) -> Batch:
        """Runs them to their end, good or bad."""
        done = threading.Event()
        batch = Batch([request.operation for request in requests], now_s() + timeout_s, done.set)
        self._link.start(batch)
        try:
            # The link keeps the deadline, and fails every command when it ends.
            if not done.wait(timeout_s + _LATE_S):
                raise CommandTimeout("the command was not answered in time: its outcome is unknown")
        except BaseException:
            self._link.cancel(batch)
            raise
        return batch

    async def _run_async(self, requests: Sequence[Request], timeout_s: float) -> Batch:
        """As `_run`."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def on_done() -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        batch = Batch([request.operation for request in requests], now_s() + timeout_s, on_done)
        self._link.start(batch)
        try:
            await asyncio.wait_for(done.wait(), timeout_s + _LATE_S)
        except asyncio.TimeoutError:
            self._link.cancel(batch)
            raise CommandTimeout("the command was not answered in time: its outcome is unknown") from None
        except BaseException:
            self._link.cancel(batch)
            raise
        return batch


def _results(requests: Sequence[Request], batch: Batch) -> list[Any]:
    """What the caller gets. Raises why it gets nothing."""
    results = [request.result(reply) for request, reply in zip(requests, batch.replies)]
    if batch.error is not None:
        raise _again(batch.error)
    return results


def _update_requests(fields: Fields, more: Mapping[str, Any]) -> tuple[list[str], list[Request]]:
    values = {**dict(fields), **more}
    return list(values), [write_request(CommandOp.SET, name, value) for name, value in values.items()]


def _written(names: Sequence[str], requests: Sequence[Request], batch: Batch) -> dict[str, Any]:
    """Values by name. What is raised instead says which there are."""
    written: dict[str, Any] = {}
    try:
        for name, request, reply in zip(names, requests, batch.replies):
            written[name] = request.result(reply)
        if batch.error is not None:
            raise _again(batch.error)
    except StateError as error:
        error.written = written
        raise
    return written


def _digests(batch: Batch) -> tuple[int, int] | None:
    """(device, mirror), None if they are not of the same instant."""
    [device] = _results([digest_request()], batch)
    mirror = batch.replies[0].mirror_digest
    return None if mirror is None else (device, mirror)


def _again(error: StateError) -> StateError:
    """A stored error to be raised once more, without the tracebacks of the times before."""
    return error.with_traceback(None)
