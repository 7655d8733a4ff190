"""A link that another process serves: its mirror is read here, and commands go through that process's socket."""

from __future__ import annotations

import itertools
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Final

from . import messages, spec
from .clock import now_s
from .commands import Batch, Reply
from .errors import LinkError, PortError, SessionLost, StaleMirror, StateError
from .listeners import Listeners
from .messages import Connection, ConnectionLost
from .mirror import MirrorView
from .runner import Runner
from .waiting import LONGEST_PAUSE_S

__all__ = ["ServedLink", "connection_to", "takes_commands"]

_AGAIN_S: Final = 0.5  # between two tries to find a server again


class _Running:
    """Commands that the server has got."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.sent = False  # the server has said that it sends the one after the last reply


class ServedLink:
    """The link of a mirror that another process serves. A Member of its runner."""

    def __init__(self, runner: Runner, view: MirrorView, connection: Connection) -> None:
        """Takes over a view, and a connection whose greeting is yet to come; see `connection_to`."""
        self.view: MirrorView | None = view
        self.problem: StateError | None = None
        self.fatal: StateError | None = None
        self.closed = False
        self.listeners = Listeners(runner.callbacks.do)
        self._view = view
        self._runner = runner
        self._connection: Connection | None = None
        self._greeted = False
        self._server = view.link.owner_pid
        self._running: dict[int, _Running] = {}
        self._waiting: list[Batch] = []  # for the greeting
        self._numbers = itertools.count(1)
        self._asked_text = False
        self._again_at = 0.0
        runner.call(partial(self._begin, connection), self)

    # ---------------------------------------------------------------------------------------------- for any thread

    @property
    def port(self) -> str:
        """The port, in the process that serves it."""
        return self._view.link.port

    @property
    def is_live(self) -> bool:
        """Whether the mirror is live, and the process there that commands go through."""
        return self._greeted and not self._view.stale

    def start(self, batch: Batch) -> None:
        """Runs commands; the batch is told when they are done. Any thread."""
        if not self._runner.call(partial(self._start, batch), self):
            batch.finish(self._was_closed())

    def cancel(self, batch: Batch) -> None:
        """Forgets commands whose caller has given up. The device may have run the one that was sent. Any thread."""
        self._runner.call(partial(self._cancel, batch), self)

    def close(self) -> None:
        """Ends the connection; the process that serves the mirror goes on. Any thread; may be called more than once."""
        self._runner.call_and_wait(self._close)

    def why_not_live(self, waited_s: float) -> StateError:
        """What to tell somebody who has waited so long in vain. Any thread."""
        problem = self.fatal or self.problem
        if problem is not None:
            return problem
        try:
            self._view.require_live()
        except StaleMirror as error:
            return error
        return LinkError(f"{self._who()} did not answer within {waited_s:g} s")

    # ------------------------------------------------------------------------------------------------- as a Member

    def ready(self, file: int, events: int) -> None:
        """The server says something, has room again, or is gone."""
        connection = self._connection
        if connection is None or file != connection.fileno():
            return
        try:
            connection.flush()
            for message in connection.receive() if events & EVENT_READ else ():
                self._hear(message)
            self._watch()
        except ConnectionLost as error:
            self._lost(error.ended)

    def tick(self, now: float) -> None:
        """Looks for changes, and for a server where there is none."""
        if self.listeners.wants_changes:
            self._runner.tick_s = LONGEST_PAUSE_S  # nobody announces them here
            self.listeners.changed()
        if self._connection is None and now >= self._again_at:
            self._again_at = now + _AGAIN_S
            found = connection_to(self._view)
            if found is not None:
                self._begin(found)
        if self._greeted and self.listeners.wants_text and not self._asked_text:
            self._asked_text = True
            self._say({"text": True})

    def failed(self, error: BaseException) -> None:
        """This link is over."""
        self.fatal = error if isinstance(error, StateError) else LinkError(f"the link to {self.port} failed: {error!r}")
        self._end()

    # ------------------------------------------------------------------------------------------------- the connection

    def _begin(self, connection: Connection) -> None:
        self._runner.add(self)
        self._connection = connection
        self._runner.watch(self, connection.fileno(), EVENT_READ)

    def _hear(self, message: dict[str, Any]) -> None:
        if self._connection is None:
            return  # it ended while the messages before this one were heard
        if not self._greeted:
            self._greet(message)
        elif "text" in message:
            self.listeners.text(str(message["text"]).encode("latin-1", "replace"))
        elif "log" in message:
            line = messages.line_from_wire(message["log"])
            if line is not None:
                self.listeners.board_log(self.port, *line)
        elif "error" in message and "end" not in message:
            raise ConnectionLost(str(message["error"]))
        else:
            self._hear_of_commands(message)

    def _greet(self, greeting: dict[str, Any]) -> None:
        self._server = greeting.get("pid", 0)
        if (greeting.get("feagi_state"), greeting.get("schema")) != (messages.VERSION, spec.SCHEMA_HASH):
            raise LinkError(f"{self._who()} is of another version of feagi_state: end it, and start it again")
        self.problem = None
        self._greeted = True
        self._asked_text = False
        self._say({"log": True})  # first, so that what the board says of a command is heard
        waiting, self._waiting = self._waiting, []
        for batch in waiting:
            self._start(batch)

    def _hear_of_commands(self, message: dict[str, Any]) -> None:
        number = next((message[what] for what in ("sent", "reply", "end") if what in message), None)
        running = self._running.get(number) if type(number) is int else None
        if running is None:
            return  # forgotten, or what a later version says
        if "sent" in message:
            running.sent = True
        elif "reply" in message:
            running.sent = False
            values = tuple(messages.value_from_wire(value) for value in message["values"])
            running.batch.answered(Reply(int(message["status"]), values, message.get("digest")))
        else:
            assert type(number) is int
            del self._running[number]
            error = message.get("error")
            running.batch.finish(None if error is None else messages.error_from_wire(error))

    def _say(self, message: dict[str, Any]) -> None:
        if self._connection is None:
            return
        try:
            self._connection.send(message)
            self._watch()
        except ConnectionLost as error:
            self._lost(error.ended)

    def _watch(self) -> None:
        if self._connection is not None:
            events = EVENT_READ | (EVENT_WRITE if self._connection.has_unsent else 0)
            self._runner.watch(self, self._connection.fileno(), events)

    def _lost(self, ended: bool) -> None:
        """There is no connection any more. `ended`: the server has closed it or died, and so sends nothing more."""
        self._hear_the_rest()
        self._drop()
        self.problem = PortError(f"{self._who()} has ended, and nobody has taken its place", "gone")
        self._again_at = now_s() + _AGAIN_S
        running, self._running = self._running, {}
        waiting, self._waiting = self._waiting, []
        for one in running.values():
            one.batch.finish(self._unknown() if one.sent or not ended else self._not_sent())
        for batch in waiting:
            batch.finish(self._not_sent())

    def _hear_the_rest(self) -> None:
        """What the server said before its end. Commands that it did not speak of, it has not sent."""
        connection = self._connection
        with suppress(ConnectionLost):
            while connection is not None and not connection.is_read_out:
                for message in connection.receive():
                    self._hear(message)

    def _drop(self) -> None:
        self._greeted = False
        if self._connection is not None:
            self._runner.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None

    # ------------------------------------------------------------------------------------------------- commands

    def _start(self, batch: Batch) -> None:
        if self.fatal is not None:
            batch.finish(self.fatal)
        elif self.closed:
            batch.finish(self._was_closed())
        elif self._connection is None:
            batch.finish(self.problem)
        elif not batch.operations:
            batch.finish(None)
        elif not self._greeted:
            self._waiting.append(batch)
        else:
            number = next(self._numbers)
            self._running[number] = _Running(batch)
            commands = [[op, *map(messages.value_to_wire, arguments)] for op, arguments in batch.operations]
            self._say({"run": number, "commands": commands, "deadline": batch.deadline})

    def _cancel(self, batch: Batch) -> None:
        for number, running in self._running.items():
            if running.batch is batch:
                del self._running[number]
                self._say({"cancel": number})
                break
        batch.finish(LinkError("the caller has given up"))

    # ----------------------------------------------------------------------------------------------------- the end

    def _close(self) -> None:
        self.closed = True
        self._end()

    def _end(self) -> None:
        self._lost(ended=False)
        self._runner.remove(self)

    def _who(self) -> str:
        return f"process {self._server}, which serves {self._view.name},"

    def _unknown(self) -> SessionLost:
        lost = f"{self._who()} ended" if self.fatal is None and not self.closed else "the link was closed"
        return SessionLost(f"{lost} before the command was answered: its outcome is unknown")

    def _not_sent(self) -> PortError:
        return PortError(f"{self._who()} has ended: the command was not sent", "gone")

    def _was_closed(self) -> LinkError:
        return LinkError(f"the link to {self.port} was closed: the command was not sent")


def connection_to(view: MirrorView) -> Connection | None:
    """A connection to the process that serves this mirror, None if it takes no commands, or there is none. Any
    thread.
    """
    found = messages.connect_to(messages.socket_path(view.path))
    return None if found is None else Connection(found)


def takes_commands(view: MirrorView) -> bool:
    """Whether a process serves this mirror that takes commands for its device. Any thread."""
    found = connection_to(view)
    if found is not None:
        found.close()
    return found is not None
