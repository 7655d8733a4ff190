"""A port's link, served by a runner: the transport, the session, the mirror, and the port that is opened again after it
went away.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import Final

from . import spec
from ._core import Mirror
from .clock import now_s
from .command_server import CommandServer
from .commands import Batch, Command, Reply
from .errors import LinkError, MemoryMapError, NotADevice, PortError, SchemaMismatch, StaleMirror, StateError
from .handback import Handback
from .listeners import Listeners
from .mirror import MirrorView
from .mirror_files import OwnedMirror
from .prompt_port import PromptPort
from .runner import Runner
from .running import board_name
from .session import Hello, HostSession, Observer
from .spec import LinkState
from .transport import Transport

__all__ = ["PortLink"]

_log = logging.getLogger("feagi_state.device")

_REOPEN_S: Final = (0.1, 1.0)  # first and longest pause between two tries to open the port
_HEARD_KEPT: Final = 200  # bytes of text that are kept for NotADevice
_OF_PROMPTS: Final = (b">>>", b"\x1b[K")  # also how a prompt erases each of our frames, which end with Ctrl-U
# What the line does not take waits, up to here; then frames are dropped, which the link repeats.
_UNSENT_MOST_BYTES: Final = 1024
_HELLO_WITHIN_S: Final = 1.0  # of a board whose program serves the link; else its prompt may be what is wanted
_PROMPT_WITHIN_S: Final = 1.0  # after a Ctrl-C, unless the program takes its time
_CTRL_C: Final = b"\x03"


class PortLink(Observer):
    """The link of one port. What is not for any thread is for the runner's, which calls it as a Member and, through
    the session, as an Observer.
    """

    def __init__(
        self,
        runner: Runner,
        port: str,
        open_port: Callable[[], Transport],
        transport: Transport | None = None,
        *,
        name: str | None = None,
        mirror_dir: str | os.PathLike[str] | None = None,
        mirror_mode: int = 0o600,
        serve: bool = False,
        restart: bool = True,
    ) -> None:
        """Serves `port` from now on. `open_port` opens it, or raises StateError; `transport`: it is open already. For
        the mirror's settings, `serve` and `restart` see `connect`.
        """
        self.port = port
        self.listeners = Listeners(runner.callbacks.do)
        self.view: MirrorView | None = None  # there once a first snapshot was complete
        self.problem: StateError | None = None  # why there is no live link
        self.fatal: StateError | None = None  # why there never will be again
        self.closed = False
        self._runner = runner
        self._open_port = open_port
        self._wanted_name = name
        self._mirror_dir = mirror_dir
        self._mirror_mode = mirror_mode
        self._owned: OwnedMirror | None = None
        self._serve = serve
        self._server: CommandServer | None = None
        self._prompt: PromptPort | None = None
        self._no_prompt = False  # it cannot be offered
        self._handback = Handback(restart)
        self._opened_at = 0.0
        self._ahead = b""  # typed behind a Ctrl-C whose prompt has not come
        self._ahead_until = 0.0
        self._session = HostSession(self, unix_ms=lambda: time.time_ns() // 1_000_000)
        self._transport: Transport | None = None
        self._file = -1  # the transport's descriptor
        self._events = EVENT_READ  # that it is watched for
        self._unsent = b""
        self._opening = False
        self._open_at = 0.0
        self._pause_s = _REOPEN_S[0]
        self._heard = b""
        runner.call(partial(self._begin, transport), self)

    # ---------------------------------------------------------------------------------------------- for any thread

    @property
    def is_live(self) -> bool:
        """Whether the mirror is live."""
        view = self.view
        return self._session.is_live and view is not None and not view.stale

    def start(self, batch: Batch) -> None:
        """Runs commands; the batch is told when they are done. Any thread."""
        if not self._runner.call(partial(self.run, batch), self):
            batch.finish(self._was_closed())

    def cancel(self, batch: Batch) -> None:
        """Forgets commands whose caller has given up. The device may have run the one that was sent. Any thread."""
        self._runner.call(partial(self.forget, batch), self)

    def close(self) -> None:
        """Ends the link: the port is free, the mirror is marked closed, commands have failed. Any thread; may be called
        more than once.
        """
        self._runner.call_and_wait(self._close)

    def why_not_live(self, waited_s: float) -> StateError:
        """What to tell somebody who has waited so long in vain. Any thread."""
        problem = self.fatal or self.problem
        if problem is not None:
            return problem
        if self.view is not None:
            return StaleMirror(f"{self.port} was not live within {waited_s:g} s")
        if self._session.session:
            return LinkError(
                f"{self.port} said hello, but its state did not arrive within {waited_s:g} s: "
                "is the line too bad or too slow?"
            )
        heard = (self._heard + self._session.unread)[-_HEARD_KEPT:]
        if not heard:
            return NotADevice(
                f"{self.port} is silent: nothing came within {waited_s:g} s. "
                "Does the board run the link, at this baud rate?"
            )
        if any(sign in heard for sign in _OF_PROMPTS):
            return NotADevice(
                f"{self.port} sends no frames, it is at MicroPython's prompt: Ctrl-D in `feagi-state repl {self.port}` "
                f"starts its program again, `feagi-state install {self.port}` puts one with the link on the board",
                heard,
            )
        return NotADevice(
            f"{self.port} sends no frames; heard {repr(heard[-60:])[1:]}: "
            "is the baud rate right, and does the board run the link?",
            heard,
        )

    # ------------------------------------------------------------------------------------------------- as a Member

    def ready(self, file: int, events: int) -> None:
        """Bytes have come, or the line takes some again."""
        if self._transport is None or file != self._file:
            return
        if events & EVENT_READ:
            try:
                data = self._transport.read()
            except PortError as error:
                self._lost(error)
                return
            if data:
                self._session.receive(data, now_s())
        self._flush()

    def tick(self, now: float) -> None:
        """Retries, pings, deadlines, and the port that is away."""
        if self._transport is None and not self._opening and now >= self._open_at:
            self._opening = True
            self._runner.opener.do(self._open)
        if self._transport is not None:
            if not self._session.session and now >= self._opened_at + _HELLO_WITHIN_S:
                self._offer_prompt()
            if self._session.link_state != LinkState.LIVE:
                self._unsent += self._handback.next(now)
            self._say_why_held()
            if now >= self._ahead_until:
                self._send_ahead()
        self._session.poll(now)
        self._flush()

    def failed(self, error: BaseException) -> None:
        """This link is over; the runner's others are not concerned."""
        if isinstance(error, StateError):
            self.fatal = error
        else:
            self.fatal = LinkError(f"the link to {self.port} failed: {error!r}")
            self.listeners.log(logging.ERROR, "%s: the link failed: %r", self.port, error)
        self._end()

    # ------------------------------------------------------------------------------------------------ as an Observer

    def open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        """The mirror's file, under the name that was wished for, the device's or the port's."""
        if self._owned is None:
            wanted = self._wanted_name or board_name(self.port) or hello.name or os.path.basename(self.port.rstrip("/"))
            self._owned = OwnedMirror(wanted, self._mirror_dir, self._mirror_mode)
        mirror = self._owned.open(header, hello.name, self.port)
        if self._serve and self._server is None:
            self._listen(self._owned.path)  # so that it is there when the mirror is live
        return mirror

    def session_started(self, hello: Hello) -> None:
        """What was wrong before is not any more."""
        self.listeners.log(logging.DEBUG, "%s: session 0x%08x", self.port, hello.boot)
        self.problem = None
        self.listeners.about = None
        self._handback.runs()
        if self._session.takes_text:
            self._offer_prompt()
        else:
            self._withdraw_prompt()

    def session_ended(self, reason: str) -> None:
        """For people who look at the log."""
        self.listeners.log(logging.DEBUG, "%s: %s", self.port, reason)

    def live(self, mirror: Mirror) -> None:
        """Readers can be told where the mirror is."""
        self.problem = None
        self._pause_s = _REOPEN_S[0]
        if self.view is None:
            assert self._owned is not None
            self.view = MirrorView(self._owned.path)
        self.listeners.changed()

    def published(self, pages: tuple[int, ...]) -> None:
        """Who waits for changes is to look."""
        self.listeners.changed()

    def text(self, data: bytes) -> None:
        """What the board printed, for the user's callback or the log."""
        self._heard = (self._heard + data)[-_HEARD_KEPT:]
        self._handback.said(data)
        if self._prompt is not None:
            self._prompt.text(data)
            if self._handback.at_prompt:
                self._send_ahead()
                if self._session.session:
                    self._hold()  # the program has ended
        self.listeners.text(data)
        if self._server is not None:
            self._server.text(data)

    def log(self, level: int, message: str) -> None:
        """The board's own log lines."""
        self.listeners.board_log(self.port, level, message)
        if self._server is not None:
            self._server.log(level, message)

    @property
    def about(self) -> str | None:
        """What the board has said that it is."""
        return self.listeners.about

    def mismatch(self, hello: Hello) -> None:
        """The device has other firmware than this host."""
        ours = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH)
        name = hello.name or "the device"
        self.problem = SchemaMismatch((hello.proto, hello.schema), ours, f"{name} on {self.port}")

    # ------------------------------------------------------------------------------------------------- the port

    def _begin(self, transport: Transport | None) -> None:
        self._runner.add(self)
        if transport is not None:
            self._opened(transport)

    def _open(self) -> None:
        """In the runner's opener: some ports take their time."""
        try:
            transport = self._open_port()
        except StateError as error:
            problem = error
            self._runner.call(lambda: self._not_opened(problem), self)
        else:
            if not self._runner.call(lambda: self._opened(transport), self):
                transport.close()

    def _opened(self, transport: Transport) -> None:
        if self.closed or self.fatal is not None:
            transport.close()
            return
        try:
            self._file = transport.fileno()
        except PortError as error:
            self._not_opened(error)
            return
        if self._opening:
            self.listeners.log(logging.INFO, "%s is there", transport.name)
        self._opening = False
        self.problem = None
        self.port = transport.name
        self._transport = transport
        self._events = EVENT_READ
        self._unsent = b""
        self._runner.watch(self, self._file, EVENT_READ)
        self._opened_at = now_s()
        self._session.port_opened(self._opened_at)
        self._flush()

    def _not_opened(self, error: StateError) -> None:
        self._opening = False
        self.problem = error
        self._open_later()

    def _lost(self, error: PortError) -> None:
        self._drop_transport()
        self.problem = error
        self._open_later()
        self._session.port_lost(now_s())
        self.listeners.log(logging.INFO, "%s", error)

    def _open_later(self) -> None:
        self._open_at = now_s() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _REOPEN_S[1])

    def _drop_transport(self) -> None:
        self._withdraw_prompt()
        if self._transport is not None:
            self._runner.forget(self._file)
            self._transport.close()
            self._transport = None

    def _flush(self) -> None:
        """Sends what there is to send, as far as the line takes it."""
        out = self._session.take_output()
        if self._transport is None:
            return
        if len(self._unsent) <= _UNSENT_MOST_BYTES:
            self._unsent += out
        if self._unsent:
            with suppress(PortError):  # the next read says the same
                self._unsent = self._unsent[self._transport.write(self._unsent) :]
        events = EVENT_READ | (EVENT_WRITE if self._unsent else 0)
        if events != self._events:
            self._events = events
            self._runner.watch(self, self._file, events)

    # ------------------------------------------------------------------------------------ the prompt, as a PromptUser

    def prompt_opened(self) -> None:
        """Somebody has the prompt. As long as nothing is typed the link goes on."""
        self._handback.opened()

    def prompt_room(self) -> int:
        """How many bytes more may wait for the line."""
        return _UNSENT_MOST_BYTES - len(self._unsent) - len(self._ahead)

    def prompt_typed(self, data: bytes) -> None:
        """Ctrl-C ends the program, and so the link, until a program says hello again. What is typed behind it waits for
        the prompt: a program that is about to end would take it, as mpremote's Ctrl-A, which comes at once.
        """
        self._handback.typed(data)
        if _CTRL_C in data and self._session.session:
            head, ctrl_c, data = data.partition(_CTRL_C)
            self._unsent += head + ctrl_c
            self._ahead_until = now_s() + _PROMPT_WITHIN_S
            self._handback.interrupted()
            self._hold()
        elif not self._session.session:
            self._hold()
        self._ahead += data
        if _CTRL_C in data or now_s() >= self._ahead_until:
            self._send_ahead()
        self._flush()

    def _send_ahead(self) -> None:
        self._unsent += self._ahead
        self._ahead = b""
        self._ahead_until = 0.0

    def prompt_closed(self) -> None:
        """The program that was interrupted is to run again."""
        self._handback.closed(now_s())

    def _hold(self) -> None:
        self._session.hold(now_s())
        self._say_why_held()

    @property
    def _goes_on(self) -> bool:
        """Whether the link is expected to go on once somebody is done with the prompt."""
        return self._session.is_held and self._handback.passes

    def _say_why_held(self) -> None:
        why = f"{self.port}: {self._handback.why}"
        if self._session.is_held and str(self.problem) != why:
            self.problem = LinkError(why)

    def _offer_prompt(self) -> None:
        if not self._serve or self._prompt is not None or self._no_prompt:
            return
        try:
            self._prompt = PromptPort(self._runner, self, self.port)
        except (OSError, MemoryMapError) as error:
            self._no_prompt = True
            self.listeners.log(logging.WARNING, "%s: its prompt cannot be offered: %s", self.port, error)

    def _withdraw_prompt(self) -> None:
        if self._prompt is not None:
            self._prompt.close()
            self._prompt = None
            self._ahead = b""
            self._handback.closed(now_s())

    # --------------------------------------------------------------------------------- commands, as a server's Servant

    def run(self, batch: Batch) -> None:
        """Runs commands."""
        if self.fatal is not None:
            batch.finish(self.fatal)
        elif self.closed:
            batch.finish(self._was_closed())
        elif self.problem is not None and not self._session.is_live and not self._goes_on:
            batch.finish(self.problem)
        else:
            self._next(batch)

    def forget(self, batch: Batch) -> None:
        """Forgets commands. The device may have run the one that was sent."""
        if batch.command is not None:
            self._session.cancel(batch.command)
        batch.finish(LinkError("the caller has given up"))

    def _next(self, batch: Batch) -> None:
        operation = batch.next
        if operation is None:
            batch.finish(None)  # as it is already, unless it was empty
            return
        now = now_s()
        answered = partial(self._answered, batch)
        try:
            batch.command = self._session.command(*operation, now, batch.deadline - now, answered, batch.may_send)
        except StateError as error:
            batch.finish(error)
        self._flush()

    def _answered(self, batch: Batch, command: Command) -> None:
        if command.error is not None:
            batch.finish(command.error)
        else:
            batch.answered(Reply(command.status, command.values, command.mirror_digest))
            self._next(batch)

    def _listen(self, mirror: Path) -> None:
        try:
            self._server = CommandServer(self._runner, self, mirror)
        except OSError as error:
            form = "%s: other processes cannot send commands, since no socket can be made beside %s: %s"
            self.listeners.log(logging.WARNING, form, self.port, mirror, error.strerror or error)

    # ----------------------------------------------------------------------------------------------------- the end

    def _close(self) -> None:
        self.closed = True
        self._end()

    def _end(self) -> None:
        self._session.close()
        self._drop_transport()
        self._runner.remove(self)
        if self._server is not None:
            self._server.close()
        if self._owned is not None:
            self._owned.close()

    def _was_closed(self) -> LinkError:
        return LinkError(f"the link to {self.port} was closed: the command was not sent")
