"""Commands of one link: one at a time, each at most once (LINK.md, Commands). No port, no clock, no thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from . import spec
from .errors import CommandTimeout, LinkError, StateError
from .frames import Frame
from .spec import CommandOp, Kind

__all__ = ["Batch", "Command", "CommandQueue", "Reply"]

_RETRANSMIT_S: Final = spec.RETRANSMIT_MS / 1000
WAITING_MOST: Final = 1000  # commands of one link

Operation = tuple[int, tuple["int | bytes", ...]]  # op and arguments


class Reply(NamedTuple):
    """What the device answered."""

    status: int  # 0, or the negative error that it refuses the command with
    values: tuple[Any, ...]
    mirror_digest: int | None  # see Command


class Command:
    """One command, from its caller to its reply."""

    def __init__(
        self,
        op: int,
        args: tuple[int | bytes, ...],
        body: bytes,
        deadline: float,
        on_done: Callable[[Command], None] | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> None:
        """`body`: of its frame, whatever its number. `deadline`: in seconds of clock.py. `on_done` is called once, when
        `done` becomes true. `may_send` is asked right before the command is first sent: if not, it is forgotten.
        """
        self.op = op
        self.args = args
        self.body = body
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
        self.may_send = may_send

    def finish(self, error: StateError | None = None) -> None:
        """Sets the outcome, once."""
        if self.done:
            return
        self.error = error
        self.done = True
        if self._on_done is not None:
            self._on_done(self)


class Batch:
    """Commands of one caller. Each is sent when the one before it was answered well, so that none follows a failure."""

    def __init__(
        self,
        operations: Sequence[Operation],
        deadline: float,
        on_done: Callable[[], None],
        *,
        on_reply: Callable[[Reply], None] | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> None:
        """`deadline`: of all of them, in seconds of clock.py. `on_done` is called once, in the thread that serves the
        link. `on_reply` hears every reply, `may_send` is asked before each command; see Command.
        """
        self.operations = tuple(operations)
        self.deadline = deadline
        self.replies: list[Reply] = []
        self.error: StateError | None = None  # why the next one has no reply
        self.done = False
        self.command: Command | None = None  # the present one, of the link that runs it
        self.may_send = may_send
        self._on_done = on_done
        self._on_reply = on_reply

    @property
    def next(self) -> Operation | None:
        """What is to be sent now; None: nothing more, since all was done, or one failed."""
        if self.done or len(self.replies) == len(self.operations):
            return None
        return self.operations[len(self.replies)]

    def answered(self, reply: Reply) -> None:
        """The present command has a reply; the last one, and one that says no, end the batch."""
        self.replies.append(reply)
        if self._on_reply is not None:
            self._on_reply(reply)
        if reply.status or len(self.replies) == len(self.operations):
            self.finish(None)

    def finish(self, error: StateError | None) -> None:
        """Ends the batch, once."""
        if self.done:
            return
        self.error = error
        self.done = True
        self._on_done()


class CommandQueue:
    """Sends commands in turn, repeats them until they are answered, and gives up at their deadlines.

    One thread at a time.
    """

    def __init__(
        self, send: Callable[[Kind, int, tuple[Any, ...], float], bool], has_room: Callable[[bytes], bool]
    ) -> None:
        """`send` puts a frame on the line of the present session, if there is room; `has_room`: for a body."""
        self._send = send
        self._has_room = has_room
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None  # was sent in the present session, and not answered
        self._seq = 0

    def add(self, command: Command) -> None:
        """Takes a command; `serve` sends it. Raises LinkError if too many wait."""
        if len(self._waiting) >= WAITING_MOST:
            raise LinkError(f"{WAITING_MOST} commands wait for the device already: this one was not sent")
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
            command.finish(
                CommandTimeout("the command was not sent, since the link was not free in time", may_have_run=False)
            )
        if not live:
            return
        while self._current is None and self._waiting and self._has_room(self._waiting[0].body):
            command = self._waiting.popleft()
            if command.may_send is None or command.may_send():
                # A reply to an earlier command, late or repeated, has another number.
                self._seq = (self._seq + 1) & 255
                command.seq, command.sent, command.next_send = self._seq, True, now
                self._current = command
        current = self._current
        if (
            current is not None
            and now >= current.next_send
            and self._send(Kind.COMMAND, current.seq, (current.op, *current.args), now)
        ):
            current.next_send = now + _RETRANSMIT_S

    def reply(self, frame: Frame, digest: Callable[[], int | None]) -> bool:
        """Takes a reply frame. Returns whether it answered the command that waits."""
        current = self._current
        if current is None or frame.seq != current.seq:
            return False
        self._current = None
        current.status, *values = frame.items
        as_asked = current.op == CommandOp.SET and not current.status and not values
        current.values = current.args[1:2] if as_asked else tuple(values)
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
