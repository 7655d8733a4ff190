"""A board's link once more, for a browser: the device's role of LINK.md, played from the host's mirror of the board.

To the browser it is the board: its name, its uptime and clock, its state, its events, its answers to commands. What
differs from a device is the line, a WebSocket, which loses nothing and keeps the order. So nothing is said twice: what
is not acknowledged is on its way, and with a browser that says otherwise (NAK) a new session begins.

The relay is as silent as its board. It says something only within `_FRESH_S` of a frame of the board's, so that the
browser's mirror is stale when the board's is, is live again when the board is, and nobody has to tell it.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from . import spec
from ._core import Mirror
from .commands import Batch
from .device import Device
from .errors import LinkError, SerializationError, StateError
from .events import EventStream
from .frames import Deframer, Frame, decode, encode
from .mirror import LinkInfo
from .spec import CommandOp, Kind, LinkState
from .web_pages import PageCopy

__all__ = ["Relay"]

# More than a board that is well is ever silent, and less than what a browser may be stale later than the host is:
# both find out stale_after_ms after the last frame that they heard.
_FRESH_S: Final = 0.4
_HELLO_PERIOD_S: Final = spec.HELLO_PERIOD_MS / 1000
_KEEPALIVE_PERIOD_S: Final = spec.KEEPALIVE_PERIOD_MS / 1000
_COMMAND_S: Final = 5.0  # that a command may take; the browser, which has a time of its own, hears nothing of its end
_AROUND_BODY_LEN: Final = 7  # bytes of a frame on the line besides its body: CRC, COBS, two zeros
_LOST_MOST: Final = 0xFFFF  # events, at once
_TEXT_MOST: Final = 4096  # bytes of text that wait for a browser
_LINES_MOST: Final = 16  # lines of the log that do
_LINE_MOST: Final = spec.SHAPES[Kind.LOG].items[1].hi  # bytes of one
_AROUND_LINE_LEN: Final = 6  # bytes of its frame's body besides it: kind, seq, level, its length
_TOO_LONG: Final = -next(number for number, (name, *_) in spec.ERRORS.items() if name == "LENGTH")


class _Session:
    """What is new in every session."""

    def __init__(self, board: tuple[Mirror, int] | None) -> None:
        """`board`: its mirror and its session with the host, which this one ends with; None: there was none yet."""
        self.id = secrets.randbits(32) or 1
        self.board = board
        self.copy: PageCopy | None = None  # there once the browser has acknowledged the session
        self.hello_at = 0.0
        self.spoke_at = 0.0
        self.seq = self.acked = 0  # deltas
        self.window: int | None = None  # deltas that the browser takes, once it has said so
        self.event_acked = 0
        self.events_sent = 0  # of those that are not acknowledged
        self.ping: tuple[int, float] | None = None  # t1 of one that waits for its answer, and when it came
        self.command = 0  # id of the last one that was taken
        self.has_commands = False  # whether there was one
        self.running: Batch | None = None  # it, as long as it has no outcome
        self.reply: tuple[Any, ...] | None = None  # to it
        self.reply_due = False
        self.digest: int | None = None  # the board's, to be answered once everything was sent
        self.is_equal = False  # it is the mirror's too


class Relay:
    """The device's side of one browser's link. No socket and no clock: bytes and times go in, bytes come out.

    Its memory is bounded, whatever the browser does: what is due is found out when there is room for it. One thread at
    a time, the one in which `call` calls.
    """

    def __init__(self, device: Device, call: Callable[[Callable[[], None]], None]) -> None:
        """`call` has a function called in this relay's thread, from any thread."""
        self._device = device
        self._call = call
        self._deframer = Deframer()
        self._events: EventStream | None = None
        self._unacked: deque[tuple[int, ...]] = deque()  # items of events that were taken from the ring
        self._lost_told = 0
        self._text = b""
        self._lines: deque[tuple[int, str]] = deque(maxlen=_LINES_MOST)
        self._mtu = spec.LINK_MTU_BYTES  # of what the browser takes, by its last hello
        self._most = spec.LINK_WINDOW  # deltas in flight that it has room for
        self._out: list[bytes] = []
        self._session: _Session | None = _Session(None)  # None: closed

    # ------------------------------------------------------------------------------------------------ the user's side

    def receive(self, data: bytes, now: float) -> None:
        """Takes bytes of the browser's, at `now` (seconds of clock.py, as for all calls)."""
        for segment in self._deframer.feed(data):
            session = self._session
            if session is None:
                return
            try:
                frame = decode(segment, session.id)
            except SerializationError:
                continue
            self._hear(session, frame, now)

    def text(self, data: bytes) -> None:
        """Passes on what the board printed; of too much the last."""
        self._text = (self._text + data)[-_TEXT_MOST:]

    def log(self, level: int, message: str) -> None:
        """Passes on a line of the board's log, once there is a session; of too many the last, of one its beginning."""
        self._lines.append((level, message))

    def take_output(self, now: float) -> bytes:
        """What there is to say now. Called every few ms, while the line takes something."""
        text, self._text = self._text, b""
        board = self._board()
        session = self._session
        if board is not None and session is not None:
            mirror, link = board
            if session.board != (mirror, link.session):
                session = self._begin((mirror, link.session))  # the browser hears of it by its hello
            if self._events is None:
                self._events = self._device.events()
            if session.copy is None:
                self._say_hello(session, link, now)
            else:
                self._say(session, session.copy, link, now)
        out, self._out = self._out, []
        return text + b"".join(out)

    def close(self) -> None:
        """The browser is gone. A command of its that was not sent will not be."""
        self._cancel()
        self._session = None

    def _begin(self, board: tuple[Mirror, int] | None) -> _Session:
        """A new session. Nobody waits any more for what was asked for in the one before."""
        self._cancel()
        self._session = _Session(board)
        return self._session

    def _cancel(self) -> None:
        if self._session is not None and self._session.running is not None:
            self._device.cancel(self._session.running)

    # ------------------------------------------------------------------------------------------------------ the board

    def _board(self) -> tuple[Mirror, LinkInfo] | None:
        """The board's mirror and link; None where there is nothing new to say of it."""
        try:
            view = self._device.mirror
            mirror, link = view.region(), view.link
        except StateError:
            return None  # no mirror yet, or none any more
        if link.state != LinkState.LIVE or link.age_s is None or link.age_s > _FRESH_S:
            return None
        return (mirror, link) if link.round_trip_us or link.clock_offset_us else None  # else its clock is not known yet

    # -------------------------------------------------------------------------------------------- what the relay says

    def _say_hello(self, session: _Session, link: LinkInfo, now: float) -> None:
        if now < session.hello_at:
            return
        session.hello_at = now + _HELLO_PERIOD_S
        assert session.board is not None
        versions = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH)
        sizes = (self._mtu, session.board[0].pages, spec.LINK_RXBUF_BYTES)
        uptime_ms = _board_us(link, now) // 1000
        self._send(session, Kind.HELLO, 0, (*versions, session.id, *sizes, uptime_ms, link.device_name))

    def _say(self, session: _Session, copy: PageCopy, link: LinkInfo, now: float) -> None:
        if session.ping is not None:
            (sent, arrived), session.ping = session.ping, None
            self._send(session, Kind.PONG, 0, (sent, _board_us(link, arrived), _board_us(link, now)))
        has_all = self._say_deltas(session, copy)
        self._say_events(session)
        self._say_lines(session)
        if session.digest is not None and has_all:
            # The board's digest was the mirror's: so the browser's is to be that of what it was sent.
            digest = copy.digest() if session.is_equal else session.digest
            session.digest = None
            session.reply, session.reply_due = (0, digest, session.seq), True
        if session.reply_due and session.reply is not None:
            session.reply_due = False
            self._send(session, Kind.REPLY, session.command, session.reply)
        if self._out:
            session.spoke_at = now
        elif now - session.spoke_at >= _KEEPALIVE_PERIOD_S:
            session.spoke_at = now
            self._send(session, Kind.KEEPALIVE, session.seq)

    def _say_deltas(self, session: _Session, copy: PageCopy) -> bool:
        """Whether the browser was sent everything."""
        window = self._most if session.window is None else session.window
        while (session.seq - session.acked) & 255 < window:
            items = copy.take_delta(self._mtu)
            if not items:
                return True
            session.seq = (session.seq + 1) & 255
            self._send(session, Kind.DELTA, session.seq, items)
        return False

    def _say_events(self, session: _Session) -> None:
        events = self._events
        assert events is not None
        while len(self._unacked) < spec.LINK_EVENTS_WINDOW:
            event = events.get()
            if event is None:
                break
            lost = min(events.lost - self._lost_told, _LOST_MOST)
            self._lost_told += lost
            rest = (lost,) if lost else ()
            self._unacked.append((event.kind, event.arg, event.time_ms & 0xFFFFFFFF, *rest))
        while session.events_sent < len(self._unacked):
            items = self._unacked[session.events_sent]
            session.events_sent += 1
            self._send(session, Kind.EVENT, (session.event_acked + session.events_sent) & 255, items)

    def _say_lines(self, session: _Session) -> None:
        most = min(_LINE_MOST, self._mtu - _AROUND_LINE_LEN)
        while self._lines:
            level, message = self._lines.popleft()
            self._send(session, Kind.LOG, 0, (level, message.encode()[:most].decode(errors="ignore")))

    def _send(self, session: _Session, kind: Kind, seq: int, items: tuple[Any, ...] = ()) -> None:
        self._out.append(encode(kind, seq, items, session.id))

    # ------------------------------------------------------------------------------------------ what the browser says

    def _hear(self, session: _Session, frame: Frame, now: float) -> None:
        kind = frame.kind
        if kind == Kind.HELLO:
            self._greet(session, *frame.items[3:6])
        elif kind == Kind.HELLO_ACK:
            if frame.items[0] == session.id and session.copy is None and session.board is not None:
                session.copy = PageCopy(session.board[0])
                if self._device.about is not None:
                    if len(self._lines) == _LINES_MOST:
                        self._lines.popleft()  # of too many the last
                    self._lines.appendleft((logging.INFO, self._device.about))  # which was said to nobody but the host
        elif session.copy is None:
            return
        elif kind == Kind.ACK:
            if (frame.seq - session.acked) & 255 <= (session.seq - session.acked) & 255:
                session.acked = frame.seq
                session.window = max(1, min(frame.items[0], self._most))
        elif kind == Kind.NAK:
            self._begin(session.board)
        elif kind == Kind.EVENT_ACK:
            taken = (frame.seq - session.event_acked) & 255
            if taken <= session.events_sent:
                session.event_acked = frame.seq
                session.events_sent -= taken
                for _ in range(taken):
                    self._unacked.popleft()
        elif kind == Kind.PING:
            session.ping = frame.items[0], now
        elif kind == Kind.COMMAND:
            self._run(session, frame, now)

    def _greet(self, session: _Session, mtu: int, npages: int, rxbuf: int) -> None:
        """A host says what it takes, and that it has no session."""
        if npages != 0 or mtu < spec.LINK_MTU_LEAST_BYTES:
            return
        offered = self._mtu
        self._mtu = min(mtu, spec.LINK_MTU_BYTES)
        self._most = max(1, min(spec.LINK_WINDOW, rxbuf // (spec.LINK_MTU_BYTES + _AROUND_BODY_LEN)))
        if session.copy is not None:
            self._begin(session.board)
        elif self._mtu != offered:
            session.hello_at = 0.0  # else it is being offered a session that is right for it

    def _run(self, session: _Session, frame: Frame, now: float) -> None:
        """Passes a command on to the board, at most once, and one at a time: the browser says it again meanwhile."""
        behind = (session.command - frame.seq) & 255
        if session.has_commands and behind < 128:
            session.reply_due = behind == 0 and session.reply is not None
            return
        if session.running is not None:
            return
        op, *arguments = frame.items
        batch = Batch(
            [(op, tuple(arguments))],
            now + _COMMAND_S,
            lambda: self._call(lambda: self._ran(session, frame, batch)),
            may_send=lambda: self._session is session,
        )
        session.running = batch
        session.command, session.has_commands, session.reply, session.digest = frame.seq, True, None, None
        self._device.start(batch)

    def _ran(self, session: _Session, frame: Frame, batch: Batch) -> None:
        """The board has answered, or not."""
        session.running = None
        if batch.replies:
            reply = batch.replies[0]
            if frame.items[0] != CommandOp.DIGEST or reply.status:
                is_as_asked = frame.items[0] == CommandOp.SET and reply.values == frame.items[2:3]
                session.reply, session.reply_due = (reply.status, *(() if is_as_asked else reply.values)), True
            elif reply.mirror_digest is not None:
                session.digest, session.is_equal = reply.values[0], reply.values[0] == reply.mirror_digest
            else:
                self._forget(session)  # a loss on the board's line kept the two apart
        elif not isinstance(batch.error, LinkError):
            session.reply, session.reply_due = (_TOO_LONG,), True  # for the board: it was not sent
        elif not batch.error.may_have_run:
            self._forget(session)
        # Else nobody knows whether it ran: it has no reply, and its id is not taken again.

    def _forget(self, session: _Session) -> None:
        """The last command did nothing: it is taken when the browser says it again, as long as that waits for it."""
        session.command = (session.command - 1) & 255


def _board_us(link: LinkInfo, now: float) -> int:
    """The board's clock [us since its start] at `now`, to within half a round trip."""
    return max(0, int(now * 1_000_000) + link.clock_offset_us)
