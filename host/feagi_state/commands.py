"""Commands of one link: one at a time, each at most once (LINK.md, Commands). No port, no clock, no thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from . import spec
from .errors import CommandTimeout, StateError
from .frames import Frame
from .spec import CommandOp, Kind

__all__ = ["Command", "CommandQueue"]

_RETRANSMIT_S: Final = spec.RETRANSMIT_MS / 1000


class Command:
    """One command, from its caller to its reply."""

    def __init__(
        self, op: int, args: tuple[int | bytes, ...], deadline: float, on_done: Callable[[Command], None] | None = None
    ) -> None:
        """`deadline`: monotonic seconds. `on_done` is called once, when `done` becomes true."""
        self.op = op
        self.args = args
        self.deadline = deadline
        self.done = False
        self.error: StateError | None = None
        self.status = 0  # of the reply
        self.values: tuple[Any, ...] = ()  # of the reply
        self.mirror_digest: int | None = None  # of DIGEST: the mirror's, if it is at the instant of the answer
        self.sent = False
        self.seq = 0
        self.next_send = 0.0
        self._on_done = on_done

    def finish(self, error: StateError | None = None) -> None:
        """Sets the outcome, once."""
        if self.done:
            return
        self.error = error
        self.done = True
        if self._on_done is not None:
            self._on_done(self)


class CommandQueue:
    """Sends commands in turn, repeats them until they are answered, and gives up at their deadlines.

    One thread at a time.
    """

    def __init__(self, send: Callable[[Kind, int, tuple[Any, ...]], None]) -> None:
        """`send` puts a frame on the line of the present session."""
        self._send = send
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None  # was sent in the present session, and not answered
        self._seq = 0

    def add(self, command: Command) -> None:
        """Takes a command; `serve` sends it."""
        self._waiting.append(command)

    def cancel(self, command: Command) -> None:
        """Forgets a command."""
        if self._current is command:
            self._current = None
        elif command in self._waiting:
            self._waiting.remove(command)

    def serve(self, now: float, live: bool) -> None:
        """Sends, repeats and gives up what is due.

        `live`: whether there is a session that a command can be sent in.
        """
        if self._current is None and not self._waiting:
            return
        current = self._current
        if current is not None and now >= current.deadline:
            self._current = None
            current.finish(CommandTimeout("the device did not answer the command in time: its outcome is unknown"))
        for command in [command for command in self._waiting if now >= command.deadline]:
            self._waiting.remove(command)
            command.finish(CommandTimeout("the command was not sent, since the link was not free in time"))
        if not live:
            return
        current = self._current
        if current is None:
            if not self._waiting:
                return
            # A reply to an earlier command, late or repeated, has another number.
            self._seq = (self._seq + 1) & 255
            current = self._current = self._waiting.popleft()
            current.seq = self._seq
            current.sent = True
            current.next_send = now
        if now >= current.next_send:
            current.next_send = now + _RETRANSMIT_S
            self._send(Kind.COMMAND, current.seq, (current.op, *current.args))

    def reply(self, frame: Frame, digest: Callable[[], int | None]) -> bool:
        """Takes a reply frame. Returns whether it answered the command that waits."""
        current = self._current
        if current is None or frame.seq != current.seq:
            return False
        self._current = None
        current.status, *values = frame.items
        current.values = tuple(values)
        if current.op == CommandOp.DIGEST:
            current.mirror_digest = digest()
        current.finish()
        return True

    def fail_sent(self, error: StateError) -> None:
        """The session ended: a command that was sent in it has an unknown outcome.

        The others wait for the next session.
        """
        current, self._current = self._current, None
        if current is not None:
            current.finish(error)

    def fail_all(self, error: StateError) -> None:
        """There will be no session any more."""
        self.fail_sent(error)
        waiting, self._waiting = self._waiting, deque()
        for command in waiting:
            command.finish(error)
