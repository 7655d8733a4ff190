"""The Unix socket of a mirror, by which other processes of its user send commands to the device (messages.py)."""

from __future__ import annotations

import logging
import math
import os
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Final, Protocol

from . import messages, spec
from .commands import Batch, Operation, Reply
from .messages import Connection, ConnectionLost
from .runner import Runner

__all__ = ["CommandServer", "Servant"]

_CLIENTS_MOST: Final = 100
_COMMANDS_MOST: Final = 1000  # of one message
_OPS: Final = range(256)
_INT_RANGE: Final = range(-(2**63), 2**64)


class Servant(Protocol):
    """Who runs the commands, in the runner's thread."""

    def run(self, batch: Batch) -> None:
        """Runs commands."""

    def forget(self, batch: Batch) -> None:
        """Forgets those that were not sent."""

    @property
    def about(self) -> str | None:
        """What the board has said that it is."""


class CommandServer:
    """The socket of one mirror, from when it has a name on. A Member of the link's runner, in whose thread all is."""

    def __init__(self, runner: Runner, servant: Servant, mirror: Path) -> None:
        """Listens beside the mirror's file. Raises OSError."""
        self._runner = runner
        self._servant = servant
        self._mirror = mirror
        self._clients: dict[_Client, None] = {}
        self._path = messages.socket_path(mirror)
        self._listening = messages.listen_at(self._path)
        runner.add(self)
        runner.watch(self, self._listening.fileno(), EVENT_READ)

    def text(self, data: bytes) -> None:
        """For the clients that want to hear what the board prints."""
        for client in tuple(self._clients):
            client.tell("text", data.decode("latin-1"))

    def log(self, level: int, message: str) -> None:
        """For those that want to hear the board's log."""
        for client in tuple(self._clients):
            client.tell("log", [level, message])

    def close(self) -> None:
        """Ends all connections. The mirror must still be owned: the next owner has a socket of the same name."""
        for client in tuple(self._clients):
            client.close()
        self._runner.remove(self)
        self._runner.forget(self._listening.fileno())
        self._listening.close()
        with suppress(OSError):
            os.unlink(self._path)

    def ready(self, file: int, events: int) -> None:
        """Somebody connects."""
        try:
            line, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left, perhaps: again at the next tick, since it stays ready
            self._runner.forget(file)
            return
        if len(self._clients) == _CLIENTS_MOST:
            line.close()
            return
        self._clients[_Client(self._runner, self._servant, line, self._clients, self._mirror.stem)] = None

    def tick(self, now: float) -> None:
        """Listens again, if it does not."""
        self._runner.watch(self, self._listening.fileno(), EVENT_READ)

    def failed(self, error: BaseException) -> None:
        """There is no server any more."""
        self.close()


class _Client:
    """One connection. A Member as well."""

    def __init__(
        self, runner: Runner, servant: Servant, line: socket.socket, clients: dict[_Client, None], name: str
    ) -> None:
        """`clients`: of which it is one until it is closed."""
        self._runner = runner
        self._servant = servant
        self._clients = clients
        self._connection = Connection(line)
        self._batches: dict[int, Batch] = {}
        self._wants = {"text": False, "log": False}
        self._closed = False
        runner.watch(self, self._connection.fileno(), EVENT_READ)
        greeting = {"feagi_state": messages.VERSION, "schema": spec.SCHEMA_HASH, "pid": os.getpid(), "name": name}
        self._send(greeting)

    # ------------------------------------------------------------------------------------------------- as a Member

    def ready(self, file: int, events: int) -> None:
        """It says something, or has room again for what it is told."""
        if self._closed:
            return
        try:
            self._connection.flush()
            for message in self._connection.receive() if events & EVENT_READ else ():
                self._serve(message)
            self._watch()
        except ConnectionLost:
            self.close()

    def tick(self, now: float) -> None:
        """Nothing is to be done now and then."""

    def failed(self, error: BaseException) -> None:
        """It is not served any more."""
        self.close()

    def close(self) -> None:
        """Ends the connection, and forgets its commands."""
        if self._closed:
            return
        self._closed = True
        self._clients.pop(self, None)
        self._runner.forget(self._connection.fileno())
        self._connection.close()
        for batch in tuple(self._batches.values()):
            self._servant.forget(batch)

    # --------------------------------------------------------------------------------------------------- what it says

    def _serve(self, message: dict[str, Any]) -> None:
        try:
            if "run" in message:
                self._run(message)
            elif "cancel" in message:
                batch = self._batches.pop(_number(message["cancel"]), None)
                if batch is not None:
                    self._servant.forget(batch)
            elif "text" in message:
                self._wants["text"] = bool(message["text"])
            elif "log" in message:
                self._wants["log"] = bool(message["log"])
                about = self._servant.about
                if about is not None:
                    self.tell("log", [logging.INFO, about])
            else:
                raise ValueError(f"there is no message with {', '.join(message) or 'nothing'}")
        except (ValueError, TypeError) as error:
            self._send({"error": str(error)})
            raise ConnectionLost(str(error)) from None

    def _run(self, message: dict[str, Any]) -> None:
        number, deadline = _number(message["run"]), message.get("deadline")
        if number in self._batches:
            raise ValueError(f"{number} is no new number")
        if not isinstance(deadline, (int, float)) or math.isnan(deadline):
            raise ValueError(f"{deadline!r:.80} is no deadline")
        batch = Batch(
            _operations(message.get("commands")),
            deadline,
            partial(self._end, number),
            on_reply=partial(self._reply, number),
            may_send=partial(self._may_send, number),
        )
        self._batches[number] = batch
        self._servant.run(batch)

    # ------------------------------------------------------------------------------------------------- what it is told

    def _may_send(self, number: int) -> bool:
        """Tells the client that its next command goes to the device now. Only if it surely knows may the command go."""
        if self._closed or self._connection.has_unsent:
            self._drop()
            return False
        self._send({"sent": number})
        if self._closed or self._connection.has_unsent:
            self._drop()
            return False
        return True

    def _reply(self, number: int, reply: Reply) -> None:
        values = [messages.value_to_wire(value) for value in reply.values]
        self._send({"reply": number, "status": reply.status, "values": values, "digest": reply.mirror_digest})

    def _end(self, number: int) -> None:
        batch = self._batches.pop(number, None)
        if batch is not None:
            self._send({"end": number, "error": batch.error and messages.error_to_wire(batch.error)})

    def tell(self, what: str, said: Any) -> None:
        """What the board said, if the client wants it and reads."""
        if self._wants[what] and not self._connection.has_unsent:
            self._send({what: said})

    def _send(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        try:
            self._connection.send(message)
            self._watch()
        except ConnectionLost:
            self._drop()

    def _watch(self) -> None:
        if not self._closed:
            events = EVENT_READ | (EVENT_WRITE if self._connection.has_unsent else 0)
            self._runner.watch(self, self._connection.fileno(), events)

    def _drop(self) -> None:
        """Closes the connection soon: what has just called may be in the midst of its commands."""
        self._runner.call(self.close, self)


def _number(value: Any) -> int:
    """By which a client names its commands. Raises ValueError."""
    if type(value) is not int:
        raise ValueError(f"{value!r:.80} is no number")
    return value


def _operations(commands: Any) -> list[Operation]:
    """Raises ValueError for what are no commands."""
    if not isinstance(commands, list) or not 0 < len(commands) <= _COMMANDS_MOST:
        raise ValueError(f"commands are a list of 1 to {_COMMANDS_MOST}")
    operations: list[Operation] = []
    for command in commands:
        if not isinstance(command, list) or not command or type(command[0]) is not int or command[0] not in _OPS:
            raise ValueError(f"{command!r:.80} is no command")
        arguments = tuple(messages.value_from_wire(argument) for argument in command[1:])
        if any(isinstance(argument, int) and argument not in _INT_RANGE for argument in arguments):
            raise ValueError(f"{command!r:.80} has a number that does not fit 64 bits")
        operations.append((command[0], arguments))
    return operations
