"""A device on a serial port: `connect` serves the link in a thread and keeps the mirror, which everybody can read, up
to date.
"""

from __future__ import annotations

import atexit
import logging
import operator
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from . import spec
from ._core import Mirror
from .commands import Command
from .errors import (
    CommandTimeout,
    InvalidField,
    InvalidValue,
    LinkError,
    MemoryMapError,
    NotADevice,
    PortError,
    SchemaMismatch,
    SerializationError,
    StaleMirror,
    StateError,
    error_from_status,
)
from .events import EventStream
from .mirror import LinkInfo, MirrorView, StateView, server_of
from .mirror_files import OwnedMirror
from .running import port_path, resolve_port
from .sections import AgentInfo, AreaStats, field_value
from .session import Hello, HostSession, Observer
from .spec import CommandOp
from .transport import SerialTransport, Transport

__all__ = ["Device", "connect"]

_log = logging.getLogger("feagi_state.device")
_text_log = logging.getLogger("feagi_state.text")

_READ_S: Final = 0.05  # how late a retry or a ping may be
_REOPEN_S: Final = (0.1, 1.0)  # first and longest pause between two tries to open the port
_HEARD_KEPT: Final = 200  # bytes of text that are kept for NotADevice
_COMMAND_S: Final = 5.0
_LATE_S: Final = 1.0  # how much later than its timeout a command's caller goes on


class _Listener(Observer):
    """Hears the session, in the device's thread and under its lock."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        return self._device._open_mirror(header, hello)

    def session_started(self, hello: Hello) -> None:
        _log.debug("%s: session 0x%08x", self._device.port, hello.boot)
        self._device._problem = None
        self._device._changed.notify_all()

    def session_ended(self, reason: str) -> None:
        _log.debug("%s: %s", self._device.port, reason)
        self._device._changed.notify_all()

    def live(self, mirror: Mirror) -> None:
        self._device._on_live()

    def text(self, data: bytes) -> None:
        self._device._texts.append(data)

    def log(self, level: int, message: str) -> None:
        self._device._logs.append((level, message))

    def mismatch(self, hello: Hello) -> None:
        ours = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH)
        name = hello.name or "the device"
        self._device._problem = SchemaMismatch((hello.proto, hello.schema), ours, f"{name} on {self._device.port}")
        self._device._changed.notify_all()


class Device:
    """A device that this process serves.

    Made by `connect`; all methods may be called from any thread but its own callbacks.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        reopen: Callable[[], Transport] | None = None,
        name: str | None = None,
        mirror_dir: str | os.PathLike[str] | None = None,
        mirror_mode: int = 0o600,
    ) -> None:
        """Serves `transport`, which is open.

        `reopen` opens it again after it went away, or raises PortError. See `connect`.
        """
        self.port = transport.name
        self.text: Callable[[bytes], None] | None = (
            None  # hears bytes between frames; else the logger "feagi_state.text"
        )
        self._transport: Transport | None = transport
        self._reopen = reopen
        self._wanted_name = name
        self._mirror_dir = mirror_dir
        self._mirror_mode = mirror_mode
        self._owned: OwnedMirror | None = None
        self._view: MirrorView | None = None
        self._changed = threading.Condition()  # guards the session and all that its listener touches
        self._problem: StateError | None = None  # why there is no live link
        self._fatal: StateError | None = None  # why there never will be again
        self._texts: list[bytes] = []
        self._logs: list[tuple[int, str]] = []
        self._heard = b""
        self._closing = threading.Event()
        self._session = HostSession(_Listener(self), unix_ms=lambda: time.time_ns() // 1_000_000)
        self._thread = threading.Thread(target=self._serve, name=f"feagi_state {self.port}", daemon=True)
        self._session.port_opened(time.monotonic())
        self._thread.start()
        atexit.register(self.close)

    # ------------------------------------------------------------------------------------------------ what one reads

    @property
    def mirror(self) -> MirrorView:
        """The device's mirror. Raises StaleMirror as long as there is none: no snapshot was complete yet."""
        if self._view is None:
            raise StaleMirror(f"nothing came from {self.port} yet")
        return self._view

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

    @property
    def hashes(self) -> dict[str, int]:
        """What FEAGI's services hash to notice changes: all six of one instant, by name. See MirrorView.hashes."""
        return self.mirror.hashes

    @property
    def locked_areas(self) -> dict[int, int]:
        """Owner of every cortical area that is locked."""
        return self.mirror.locked_areas

    @property
    def fcl_windows(self) -> dict[int, int]:
        """Window of every cortical area that has one of its own."""
        return self.mirror.fcl_windows

    def fcl_window(self, area: int) -> int:
        """The FCL window of a cortical area (0 to 2^32-1): its own, or the default. Raises InvalidValue."""
        return self.mirror.fcl_window(area)

    @property
    def area_stats(self) -> dict[str, AreaStats]:
        """Statistics of the cortical areas that the device keeps them of, by the area's id."""
        return self.mirror.area_stats

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
        return self._view is None or self._view.stale

    def events(self, timeout_s: float | None = None, from_start: bool = False) -> EventStream:
        """Events from now on, or from the oldest that is still there on; see MirrorView.events. Ends with `close`."""
        return self.mirror.events(timeout_s, from_start, self._closing.is_set)

    def wait_live(self, timeout_s: float | None = None) -> None:
        """Waits until the mirror is live.

        Raises StaleMirror, or what keeps the link from being live, if it is not within `timeout_s`.
        """
        if not self._wait(timeout_s):
            problem = self._fatal or self._problem
            raise problem or StaleMirror(f"the link to {self.port} was not live within {timeout_s} s")

    # ----------------------------------------------------------------------------------------------- what one writes

    def set(self, field: str, value: Any, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to write a field; returns the value after it, which a clamped field may have changed.

        `value`: an enum's member, bool, int, or a float for an f32. The mirror shows it as soon as the device reports
        the change. Raises InvalidField, InvalidValue, what the device refuses it with, CommandTimeout, or
        SessionLost.
        """
        found = _writable(field)
        return self._write(CommandOp.SET, field, found, _to_wire(field, found, value), timeout_s)

    def add(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to add `n` >= 0 to a counter, which stays at its maximum; returns the value after it.

        Raises as `set`.
        """
        return self._write(CommandOp.ADD, field, _writable(field), _amount(field, n), timeout_s)

    def subtract(self, field: str, n: int = 1, *, timeout_s: float = _COMMAND_S) -> Any:
        """Asks the device to subtract `n` >= 0 from a counter, which stays at 0; returns the value after it.

        Raises as `set`.
        """
        return self._write(CommandOp.SUBTRACT, field, _writable(field), _amount(field, n), timeout_s)

    def digest(self, *, timeout_s: float = _COMMAND_S) -> tuple[int, int]:
        """CRC-32 of the device's region and of the mirror's at the same instant of the device: (device, mirror).

        Asks again when a lost delta spoils an answer. Raises CommandTimeout when none came within `timeout_s`, as on a
        device that changes faster than the line carries.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            command = self._command(CommandOp.DIGEST, (), max(0.0, deadline - time.monotonic()))
            if command.status:
                raise error_from_status(command.status, "digest")
            if len(command.values) != 2 or not all(type(value) is int for value in command.values):
                raise SerializationError(f"{self.port} answered DIGEST with {command.values!r}")
            if command.mirror_digest is not None:
                return command.values[0], command.mirror_digest

    # ------------------------------------------------------------------------------------------------------- the end

    def close(self) -> None:
        """Ends the link: the thread ends, the port is free, the mirror is marked closed.

        May be called more than once.
        """
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        with self._changed:
            self._session.close()
            self._drop_transport()
            if self._owned is not None:
                self._owned.close()
            self._changed.notify_all()
        atexit.unregister(self.close)

    def __enter__(self) -> Device:
        """The device itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the link."""
        self.close()

    def __repr__(self) -> str:
        """Name and port."""
        return f"<Device {self._view.name if self._view else '?'} on {self.port}>"

    # --------------------------------------------------------------------------------------------------- the callers

    def _wait(self, timeout_s: float | None) -> bool:
        """Whether the link is live before the timeout; ends early when it never will be again."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._is_live():
                left = None if deadline is None else deadline - time.monotonic()
                if self._fatal is not None or self._closing.is_set() or (left is not None and left <= 0):
                    return False
                # A silent line becomes live again without a word from the session: look now and then.
                self._changed.wait(_READ_S if left is None else min(left, _READ_S))
        return True

    def _is_live(self) -> bool:
        return self._session.is_live and self._view is not None and not self._view.stale

    def _write(self, op: CommandOp, name: str, field: spec.Field, value: int, timeout_s: float) -> Any:
        command = self._command(op, (field.offset, value), timeout_s)
        if command.status:
            raise error_from_status(command.status, f"{op.name.lower()} {name} {value}")
        if len(command.values) != 1 or type(command.values[0]) is not int:
            raise SerializationError(f"{self.port} answered {op.name} with {command.values!r}")
        return _from_wire(field, command.values[0])

    def _command(self, op: CommandOp, args: tuple[int, ...], timeout_s: float) -> Command:
        if threading.current_thread() is self._thread:
            raise StateError(
                "a command cannot be waited for in a callback: "
                "the thread that calls it is the one that would hear the reply"
            )
        done = threading.Event()
        with self._changed:
            if self._fatal is not None or self._closing.is_set():
                raise _again(self._fatal) if self._fatal else LinkError(f"the link to {self.port} was closed")
            if self._problem is not None and not self._session.is_live:
                raise _again(self._problem)
            command = self._session.command(op, args, time.monotonic(), timeout_s, lambda _: done.set())
            self._flush(self._transport)
        try:
            # The thread keeps the deadline, and fails every command when it ends. A callback of the user's may hold it
            # up.
            if not done.wait(timeout_s + _LATE_S):
                raise CommandTimeout("the command was not answered in time: its outcome is unknown")
        except BaseException:
            with self._changed:
                self._session.cancel(command)
            raise
        if command.error is not None:
            raise command.error
        return command

    # --------------------------------------------------------------------------------------------------- the thread

    def _serve(self) -> None:
        try:
            while not self._closing.is_set():
                if self._transport is None:
                    self._open_again()
                else:
                    self._step(self._transport)
        except BaseException as error:
            fatal = error if isinstance(error, StateError) else LinkError(f"the link to {self.port} failed: {error!r}")
            if fatal is not error:
                _log.exception("%s: the link failed", self.port)
            with self._changed:
                self._fatal = fatal
                self._session.close()
                self._drop_transport()
                self._changed.notify_all()

    def _step(self, transport: Transport) -> None:
        try:
            data = transport.read(_READ_S)
        except PortError as error:
            self._port_lost(error)
            return
        with self._changed:
            now = time.monotonic()
            if data:
                self._session.receive(data, now)
            self._session.poll(now)
            self._flush(transport)
        self._deliver()

    def _flush(self, transport: Transport | None) -> None:
        out = self._session.take_output()
        if out and transport is not None:
            with suppress(PortError):  # the thread's next read says the same
                transport.write(out)

    def _deliver(self) -> None:
        """Gives text and logs to the user, without the lock."""
        if self._texts:
            texts, self._texts = self._texts, []
            for text in texts:
                self._heard = (self._heard + text)[-_HEARD_KEPT:]
                if self.text is None:
                    _text_log.info("%s", text.decode("utf-8", "replace").rstrip("\r\n"))
                    continue
                try:
                    self.text(text)
                except Exception:  # the user's: it must not end the link
                    _log.exception("the text callback failed")
        if self._logs:
            logs, self._logs = self._logs, []
            for level, message in logs:
                _log.log(level, "%s: %s", self.port, message)

    def _port_lost(self, error: PortError) -> None:
        with self._changed:
            self._drop_transport()
            self._session.port_lost(time.monotonic())
            self._problem = error
            if self._reopen is None:
                self._fatal = error
                self._closing.set()
                self._session.close()
            self._changed.notify_all()
        _log.info("%s", error)

    def _open_again(self) -> None:
        assert self._reopen is not None
        pause = _REOPEN_S[0]
        while not self._closing.wait(pause):
            pause = min(2 * pause, _REOPEN_S[1])
            try:
                transport = self._reopen()
            except PortError as error:
                self._problem = error
            else:
                with self._changed:
                    self._problem = None
                    self._transport = transport
                    self._session.port_opened(time.monotonic())
                _log.info("%s is back", self.port)
                return
            with self._changed:
                self._session.poll(time.monotonic())  # commands that wait have deadlines

    def _drop_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        if self._owned is None:
            wanted = self._wanted_name or hello.name or os.path.basename(self.port.rstrip("/"))
            self._owned = OwnedMirror(wanted, self._mirror_dir, self._mirror_mode)
        return self._owned.open(header, hello.name, self.port)

    def _on_live(self) -> None:
        self._problem = None
        if self._view is None:
            assert self._owned is not None
            self._view = MirrorView(self._owned.path)
        self._changed.notify_all()

    def _wait_first(self, timeout_s: float) -> None:
        """For `connect`: until the link is live for the first time. Raises what is wrong instead."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._is_live():
                left = deadline - time.monotonic()
                if self._fatal is not None:
                    raise _again(self._fatal)
                if isinstance(self._problem, SchemaMismatch):
                    raise _again(self._problem)
                if left <= 0:
                    raise self._why_not(timeout_s)
                self._changed.wait(left)

    def _why_not(self, timeout_s: float) -> StateError:
        if self._problem is not None:
            return self._problem
        if self._session.session:
            return LinkError(
                f"{self.port} said hello, but its state did not arrive within {timeout_s:g} s: "
                "is the line too bad or too slow?"
            )
        heard = (self._heard + b"".join(self._texts) + self._session.unread)[-_HEARD_KEPT:]
        if not heard:
            return NotADevice(
                f"{self.port} is silent: nothing came within {timeout_s:g} s. "
                "Does the board run the link, at this baud rate?"
            )
        shown = repr(heard[-60:])[1:]
        if b">>>" in heard:
            hint = "that is MicroPython's prompt: start the link on the board"
        else:
            hint = "is the baud rate right, and does the board run the link?"
        return NotADevice(f"{self.port} sends no frames; heard {shown}: {hint}", heard)


def _again(error: StateError) -> StateError:
    """A stored error to be raised once more, without the tracebacks of the times before."""
    return error.with_traceback(None)


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

    def open_port() -> Transport:
        # Looked up every time: what an emulated board was connected to may be another terminal by now.
        return SerialTransport(port_path(port), baudrate)

    try:
        transport = open_port()
    except PortError as error:
        served = _served_elsewhere(port_path(port), mirror_dir) if error.reason == "busy" else None
        raise served or error from None
    wanted = name or resolve_port(port)[1]
    device = Device(transport, reopen=open_port, name=wanted, mirror_dir=mirror_dir, mirror_mode=mirror_mode)
    try:
        device._wait_first(timeout_s)
    except BaseException:
        device.close()
        raise
    return device


def _served_elsewhere(port: str, mirror_dir: str | os.PathLike[str] | None) -> PortError | None:
    """Who has the port, when that is a process that serves a mirror of it."""
    with suppress(MemoryMapError):
        view = server_of(port, mirror_dir)
        if view is None:
            return None
        with view:
            pid, name = view.link.owner_pid, view.name
        if pid == os.getpid():
            return PortError(f"{port} is served by this process already, as mirror {name}", "busy")
        return PortError(
            f"{port} is served by process {pid}: feagi_state.attach({name!r}) and `feagi-state watch {name}` read its "
            f"mirror; to write, end that process first (Ctrl-C there, or kill {pid})",
            "busy",
        )
    return None


def _core_field(name: str) -> spec.Field:
    found = spec.CORE_FIELDS.get(name)
    if found is None:
        raise InvalidField(f"the core block has no field {name!r}")
    return found


def _writable(name: str) -> spec.Field:
    found = _core_field(name)
    if not found.writable:
        raise InvalidField(f"{name} is kept by the device and cannot be written")
    return found


def _to_wire(name: str, field: spec.Field, value: Any) -> int:
    """A field's value as a command carries it: an int, of an f32 its bits."""
    if field.type == "f32":
        try:
            bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
            return bits
        except (struct.error, OverflowError, TypeError):
            raise InvalidValue(f"{name} is a 32-bit float; {value!r} is none") from None
    return _amount(name, value)


def _amount(name: str, value: Any) -> int:
    try:
        number = int(operator.index(value))  # not True, which 3.9 gives back as it is
    except TypeError:
        raise InvalidValue(f"{name} is an integer; {value!r} is none") from None
    if not -(2**63) <= number < 2**64:
        raise InvalidValue(f"{name} cannot be {number}: it does not fit 64 bits")
    return number


def _from_wire(field: spec.Field, value: int) -> Any:
    if field.type == "f32":
        return struct.unpack("<f", struct.pack("<I", value & 0xFFFFFFFF))[0]
    return field_value(field, value)
