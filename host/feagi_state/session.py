"""The host's role in the link (LINK.md), without a port, a clock or a thread: bytes and times go in, bytes come out.

One HostSession serves one line for as long as it is wanted, over any number of sessions with the device. Its user
calls `receive` and `poll` with the present time, sends what `take_output` gives, and hears through an Observer what
happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from . import spec
from ._core import Mirror, mirror_len, region_shape
from .checks import U64_MAX
from .commands import Command, CommandQueue
from .errors import LinkError, SerializationError, SessionLost
from .frames import FROM_DEVICE, Deframer, Frame, Text, decode, encode_body
from .outbox import MTU_BYTES, Outbox
from .spec import Kind, LinkState, NakReason

__all__ = ["Hello", "HostSession", "Observer"]

_NAK_PERIOD_S: Final = 0.020  # LINK.md, Deltas: "at most every 20 ms"
_PING_PERIOD_S: Final = spec.PING_PERIOD_MS / 1000
_STALE_AFTER_S: Final = spec.STALE_AFTER_MS / 1000
_WINDOW_S: Final = spec.WINDOW_MS / 1000
_PENDING_EVENTS: Final = 4096
_PENDING_DELTAS: Final = 1024
_PINGS: Final = 8
_PAUSE_S: Final = 0.1  # longer than any within a frame, which comes by one write
_LAST_WORDS_S: Final = 0.2  # in which what was on its way from a program that was interrupted has come
_USED_SESSIONS: Final = 8
_DELTA: Final = int(Kind.DELTA)
# The trailer's counters, one u64 after the other.
COUNTERS: Final = ("frames", "deltas", "events", "events_lost", "commands", "naks", "text_bytes", "sessions")
_COUNTERS_AT: Final = spec.MIRROR_FIELDS[COUNTERS[0]].offset
_TRAILER: Final = {name: field.offset for name, field in spec.MIRROR_FIELDS.items()}
if [_TRAILER[name] for name in COUNTERS] != [_COUNTERS_AT + 8 * i for i in range(len(COUNTERS))]:
    raise ImportError("the trailer's counters do not follow each other: spec.toml and session.py disagree")


class Hello(NamedTuple):
    """What a device says about itself."""

    proto: int
    schema: int
    boot: int  # the id of the session that it offers
    mtu: int  # bytes that a body of its frames has at most
    npages: int
    rxbuf: int  # bytes of the line that it can hold unread
    uptime: int  # ms
    name: str = ""


class Observer:
    """Hears what happens in a HostSession, in the thread and the call in which it happens.

    All methods may be overridden.
    """

    def open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        """The memory for a mirror with this region header, when a first or another layout's snapshot is complete."""
        region_len, _ = region_shape(header)
        return Mirror(bytearray(mirror_len(region_len)), header)

    def session_started(self, hello: Hello) -> None:
        """A session was agreed on; its snapshot arrives from now on."""

    def live(self, mirror: Mirror) -> None:
        """The snapshot of a session is complete and published in `mirror`."""

    def published(self, pages: tuple[int, ...]) -> None:
        """These pages of a live mirror have changed."""

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        """The device reported an event. It is in the mirror's ring already, or will be when the mirror is live."""

    def text(self, data: bytes) -> None:
        """Bytes between frames, as a REPL or print() sends them."""

    def log(self, level: int, message: str) -> None:
        """A log line of the device; levels as in Python's logging."""

    def mismatch(self, hello: Hello) -> None:
        """A device of another version said hello. Nothing was answered."""

    def session_ended(self, reason: str) -> None:
        """The session is over; the mirror shows its last values as stale."""


def _is_from_device(frame: Frame) -> bool:
    """Whether a device sent it; else it is an echo of this host's own, or another host on the line."""
    if frame.kind == Kind.HELLO:
        hello = Hello(*frame.items)
        return hello.npages > 0 and hello.boot > 0
    return frame.kind in FROM_DEVICE


class HostSession:
    """The host's role. Not thread-safe: its user calls it from one thread at a time."""

    def __init__(
        self,
        observer: Observer | None = None,
        random_u32: Callable[[], int] | None = None,
        unix_ms: Callable[[], int] | None = None,
    ) -> None:
        """`random_u32` gives the boot ids of this host's hellos; for tests that want to repeat themselves. `unix_ms`
        gives the time of day, which devices are told; None: this host does not know it.
        """
        self._observer = observer or Observer()
        self._unix_ms = unix_ms
        self._deframer = Deframer()
        self._out = Outbox(random_u32)
        self._port_open = False
        self._mismatch = False
        self._held_from: float | None = None  # since when nothing is sent, because others use the line
        self._received_at = 0.0
        self._called_at = 0.0  # by `receive` or `poll`
        self._mirror: Mirror | None = None
        self._shown: tuple[LinkState, int] | None = None  # link_state and session as last written to the mirror
        self._heard_at: float | None = None
        self._heard_written = 0
        self._events_pending: deque[tuple[int, int, int]] = deque()
        self._commands = CommandQueue(self._send, self._out.has_room)
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.hello: Hello | None = None  # of the present or last session
        self._old_session = 0  # the last one that ended
        self._used_sessions: deque[int] = deque(maxlen=_USED_SESSIONS)  # the last ones that frames were taken in
        self.clock_offset_us = 0  # the device's clock minus this one's, by the best recent ping
        self.round_trip_us = 0
        self._pings: deque[tuple[int, int]] = deque(maxlen=_PINGS)
        self._clear_session()

    def _clear_session(self) -> None:
        self._session = 0
        self._started = False  # a frame of the session was heard: the device is in it
        self._complete = False  # every page has arrived
        self._is_behind = False  # this host has stood still, and what it reads may be old
        self._last = 0
        self._acked = 0  # the device has been told of at least the deltas up to here
        self._event_last = 0
        self._ack_due = self._event_ack_due = False
        self._nak_at = float("-inf")
        self._ping_at = 0.0
        self._pings_sent: deque[int] = deque(maxlen=_PINGS)
        self._staging: Mirror | None = None
        self._early: list[tuple[Any, ...]] = []  # deltas that came before the header
        self._missing: set[int] = set()

    # ------------------------------------------------------------------------------------------------ the user's side

    @property
    def session(self) -> int:
        """The present session's id, or 0."""
        return self._session

    @property
    def last_delta(self) -> int:
        """Sequence number of the last delta that was applied in the present session; 0 before."""
        return self._last

    @property
    def is_live(self) -> bool:
        """Whether every page of the present session has arrived and the port is open.

        Says nothing of silence: see `link_state`.
        """
        return self._complete and self._port_open

    @property
    def link_state(self) -> LinkState:
        """What the mirror shows, as of the last `receive` or `poll`."""
        return self._shown[0] if self._shown else LinkState.CONNECTING

    @property
    def mirror(self) -> Mirror | None:
        """The mirror, once a first snapshot was complete."""
        return self._mirror

    @property
    def unread(self) -> bytes:
        """What came since the last frame's end: a prompt, perhaps."""
        return self._deframer.pending

    def port_opened(self, now: float) -> None:
        """The line was opened, at `now` (seconds of clock.py, as for all calls). Greets the device."""
        self._port_open = True
        self._mismatch = False
        self._held_from = None
        self._deframer.reset()
        self._out.reset()
        self._end_session("the port was opened again")
        self._out.greet(now)
        self._show(now)

    def port_lost(self, now: float) -> None:
        """The line is gone. The mirror is stale at once; commands that were sent have an unknown outcome."""
        self._port_open = False
        self._out.clear()
        self._end_session("the port went away")
        self._show(now)

    def hold(self, now: float) -> None:
        """Others use the line, such as mpremote the prompt that is on it: the mirror is stale, and nothing is sent
        until the device says hello again, as a program does that starts.
        """
        if self._held_from is None:
            self._end_session("the line's prompt is in use")
        self._held_from = now
        self._out.clear()
        self._show(now)

    @property
    def takes_text(self) -> bool:
        """Whether the device takes text frames, since a prompt reads its line too."""
        return self._out.as_text is True

    @property
    def is_held(self) -> bool:
        """Whether the line is others', since `hold`."""
        return self._held_from is not None

    def close(self) -> None:
        """The end: the mirror is closed, and no command is answered any more."""
        self._port_open = False
        self._end_session("the link was closed")
        self._commands.fail_all(LinkError("the link was closed: the command was not sent"))
        if self._mirror is not None:
            self._mirror.set_trailer_u32(_TRAILER["link_state"], LinkState.CLOSED)
            self._shown = (LinkState.CLOSED, 0)

    def command(
        self,
        op: int,
        args: tuple[int | bytes, ...],
        now: float,
        timeout_s: float,
        on_done: Callable[[Command], None] | None = None,
        may_send: Callable[[], bool] | None = None,
    ) -> Command:
        """Queues a command; it is sent when the link is live and the ones before it are done, and runs at most once.

        `on_done` is called when it is answered or has failed; see Command for `may_send`. Raises SerializationError for
        what does not fit a frame, LinkError if too many wait.
        """
        body = encode_body(Kind.COMMAND, 0, (op, *args))
        len_bytes = self._out.line_len_bytes(body)
        if self.hello is not None and len_bytes > self.hello.rxbuf:
            raise SerializationError(f"a command of {len_bytes} bytes on the line; the device takes {self.hello.rxbuf}")
        command = Command(op, args, body, now + timeout_s, on_done, may_send)
        self._commands.add(command)
        self._commands.serve(now, self.is_live)
        return command

    def cancel(self, command: Command) -> None:
        """Forgets a command whose caller has given up. If it was sent, the device may have run it."""
        self._commands.cancel(command)

    def take_output(self) -> bytes:
        """The bytes to send since the last call."""
        return self._out.take()

    def poll(self, now: float) -> None:
        """Does what is due: retries, pings, hellos, staleness. To be called every few ten ms."""
        self._notice_pause(now)
        if self._port_open:
            if not self._session and not self._mismatch and not self.is_held and self._out.is_hello_due(now):
                self._out.greet(now)
            if now - self._received_at >= _PAUSE_S:
                self._text(self._deframer.take_text(is_over=True))
            self._acknowledge(now)
            if self._started and now >= self._ping_at:
                self._ping(now)
        self._commands.serve(now, self.is_live)
        self._show(now)

    def receive(self, data: bytes, now: float) -> None:
        """Takes any number of bytes from the line."""
        self._notice_pause(now)
        self._received_at = now
        self._out.is_line_heard |= bool(data)
        for segment in self._deframer.read(data):
            if type(segment) is Text:
                self._text(segment)
                continue
            try:
                frame = decode(segment, self._session)
            except SerializationError:
                if self._is_of_old_session(segment):
                    self._deframer.accept()
                if not self._session and not self.is_held:
                    self._out.hear_strange(segment, now)
                continue
            self._deframer.accept()
            if frame.kind == _DELTA or _is_from_device(frame):
                self._heard_at = now
                self.counters["frames"] += 1
                if frame.kind == _DELTA and self._started:
                    self._on_delta(frame, now)
                else:
                    self._handle(frame, now)
        self._text(self._deframer.take_text(at_prompt=self.is_held))
        if self._heard_at is not None:
            # A device has so many events in flight at most.
            self._out.window.heard(self._acked, (self._event_last - spec.LINK_EVENTS_WINDOW) & 255, self._heard_at)
        self._acknowledge(now)
        self._commands.serve(now, self.is_live)
        self._show(now)

    def _notice_pause(self, now: float) -> None:
        """A process that was stopped reads first what the line had kept from before: it is up to date when a ping that
        it sends now is answered, or in a new session.
        """
        if now - self._called_at >= _WINDOW_S:
            self._out.window.pause(now)
        if self._session and now - self._called_at > _STALE_AFTER_S:
            self._is_behind = True
            self._pings_sent.clear()
            self._ping_at = now
        self._called_at = now

    # ------------------------------------------------------------------------------------------------------- frames

    def _is_of_old_session(self, segment: bytes) -> bool:
        """Whether this is a frame that was on its way when its session ended: no text for users."""
        if not self._old_session:
            return False
        try:
            decode(segment, self._old_session)
        except SerializationError:
            return False
        return True

    def _text(self, data: bytes) -> None:
        if not data:
            return
        self.counters["text_bytes"] += len(data)
        self._observer.text(bytes(data))

    def _send(self, kind: Kind, seq: int, items: tuple[Any, ...], now: float) -> bool:
        """Sends a frame of the session, if the device has room for it. Returns whether."""
        return self._out.send(kind, seq, items, self._session, now)

    def _handle(self, frame: Frame, now: float) -> None:
        kind = frame.kind
        if kind == Kind.HELLO:
            if self._held_from is None or now >= self._held_from + _LAST_WORDS_S:
                self._held_from = None
                self._out.hear(frame.seq)
                self._on_hello(Hello(*frame.items), now)
            return
        if not self._started:
            self._started = True
            self._ping_at = now
            assert self.hello is not None
            self._out.window.open(self.hello.rxbuf)
        if kind in (Kind.DELTA, Kind.REPAIR):
            self._on_delta(frame, now)
        elif kind == Kind.KEEPALIVE:
            if frame.seq != self._last:
                self._nak(NakReason.GAP, now)
        elif kind == Kind.EVENT:
            self._on_event(frame)
            self._event_ack_due = True
        elif kind == Kind.REPLY:
            self._on_reply(frame, now)
        elif kind == Kind.PONG:
            self._on_pong(frame.items, now)
        elif kind == Kind.LOG:
            self._observer.log(frame.items[0], frame.items[1])

    def _on_hello(self, hello: Hello, now: float) -> None:
        if (hello.proto, hello.schema) != (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH):
            self._mismatch = True
            self._end_session("a device of another version said hello")
            self._observer.mismatch(hello)
            return
        self._mismatch = False
        if hello.mtu > MTU_BYTES:
            return  # it has not heard what this host takes: the next hello says it again
        if hello.boot in self._used_sessions or (hello.boot == self._session and self._started):
            # It started again and offers an id that was used, or the line says an old hello again: its numbers would
            # look like old ones, or old ones like its.
            self._restart("the device started again", now)
            return
        if hello.boot != self._session:
            self._end_session("the device started a new session")
            self._session = hello.boot
            self.hello = hello
            self.counters["sessions"] += 1
            self._pings.clear()  # its clock may have started again
            self.round_trip_us = self.clock_offset_us = 0
            self._observer.session_started(hello)
        self._send(Kind.HELLO_ACK, 0, (hello.boot, *self._time_of_day()), now)

    def _restart(self, reason: str, now: float) -> None:
        self._end_session(reason)
        if now >= self._out.hello_at:
            self._out.greet(now)

    def _end_session(self, reason: str) -> None:
        had_session = self._session != 0
        if had_session:
            self._old_session = self._session
            if self._started:
                self._used_sessions.append(self._session)
        self._clear_session()
        self._commands.fail_sent(SessionLost(f"{reason} before the command was answered: its outcome is unknown"))
        if had_session:
            self._observer.session_ended(reason)

    # ------------------------------------------------------------------------------------------------------- deltas

    def _acknowledge(self, now: float) -> None:
        """Says what has arrived. For want of room it is said later: the latest number stands for all before it."""
        if self._ack_due:
            self._ack_due = not self._out.acknowledge(self._last, self._session, now)
        if self._event_ack_due:
            self._event_ack_due = not self._send(Kind.EVENT_ACK, self._event_last, (), now)

    def _nak(self, reason: NakReason, now: float) -> None:
        if now - self._nak_at < _NAK_PERIOD_S:
            return
        # What asks for it comes again, if there is no room now.
        if self._send(Kind.NAK, self._last, ((self._last + 1) & 255, reason), now):
            self._nak_at = now
            self._ack_due = False  # it says the same
            self.counters["naks"] += 1

    def _on_delta(self, frame: Frame, now: float) -> None:
        kind, seq, items = frame
        last = self._last
        ahead = (seq - last) & 255
        if ahead == 0 or ahead >= 128:
            self._ack_due = True  # it is here already
            return
        if kind == _DELTA:
            follows = ahead == 1
            acked = (seq - spec.LINK_WINDOW) & 255
        else:
            acked = items[0]
            follows = (last - acked) & 255 < 128
            items = items[1:]
        if not follows:
            self._nak(NakReason.GAP, now)
            return
        try:
            self._apply(items)
        except ValueError:
            self._nak(NakReason.BAD_DELTA, now)
            return
        if not self._session:
            self._out.greet(now)  # what had come before the header did not fit it
            return
        self._last, self._acked = seq, acked
        self.counters["deltas"] += 1
        self._ack_due = True
        if not self._complete and self._staging is not None and not self._missing:
            self._publish_snapshot(now)

    def _apply(self, items: tuple[Any, ...]) -> None:
        """Raises ValueError, with nothing changed, for words that do not fit the region."""
        if self._complete:
            assert self._mirror is not None
            self._observer.published(self._mirror.publish(items))
        elif self._staging is not None:
            self._missing.difference_update(self._staging.publish(items))
        else:
            self._apply_early(items)

    def _apply_early(self, items: tuple[Any, ...]) -> None:
        """Keeps a delta until the one with the header has come, which says where the pages lie."""
        assert self.hello is not None
        words, data = items[0::2], items[1::2]
        low, high = -spec.HEADER_LEN_BYTES // 4, self.hello.npages * spec.PAGE_LEN_BYTES // 4
        if any(not low <= word < high for word in words):
            raise ValueError("a word that no region of so many pages has")
        header = bytearray(spec.HEADER_LEN_BYTES)
        for word, chunk in zip(words, data):
            if word < 0:
                at = (word - low) * 4
                header[at : at + len(chunk)] = chunk
        if words and min(words) < 0:
            if len(header) != spec.HEADER_LEN_BYTES:
                raise ValueError("a run that goes over the header's end")
            region_len, pages = region_shape(header)
            if pages != self.hello.npages:
                raise ValueError(f"the header says {pages} pages, the hello {self.hello.npages}")
            staging = Mirror(bytearray(mirror_len(region_len)), header)
            here = set(staging.publish(items))
            self._missing = set(range(pages)) - here
            self._staging = staging
            early, self._early = self._early, []
            try:
                # In the order of their arrival, and this one again, which came last.
                for earlier in early:
                    self._missing.difference_update(staging.publish(earlier))
            except ValueError:
                self._end_session("the device sent words that its own header has no place for")
                return
            staging.publish(items)
        elif len(self._early) < _PENDING_DELTAS:
            self._early.append(items)
        else:
            self._end_session("the device did not send its header")

    def _publish_snapshot(self, now: float) -> None:
        assert self._staging is not None and self.hello is not None
        staging, self._staging = self._staging, None
        mirror = self._observer.open_mirror(staging.read_page(0), self.hello)
        if mirror is not self._mirror:
            for name in COUNTERS:  # of a mirror that was taken over: counted since it was made
                self.counters[name] += mirror.trailer_u64(_TRAILER[name])
            self._mirror = mirror
        for page in range(staging.pages):
            mirror.publish_page(page, staging.read_page(page))
        while self._events_pending:
            mirror.push_event(*self._events_pending.popleft())
        self._complete = True
        self._show(now)
        self._observer.live(mirror)

    # ------------------------------------------------------------------------------------- events, commands, time

    def _on_event(self, frame: Frame) -> None:
        if frame.seq == (self._event_last + 1) & 255:
            self._event_last = frame.seq
            kind, arg, time_ms, *lost = frame.items
            self.counters["events"] += 1
            self.counters["events_lost"] += lost[0] if lost else 0
            if self._complete and self._mirror is not None:
                self._mirror.push_event(kind, arg, time_ms)
            else:
                # It stands in the mirror after the state that it tells of.
                if len(self._events_pending) == _PENDING_EVENTS:
                    self._events_pending.popleft()
                    self.counters["events_lost"] += 1
                self._events_pending.append((kind, arg, time_ms))
            self._observer.event(kind, arg, time_ms)

    def _on_reply(self, frame: Frame, now: float) -> None:
        self._out.window.taken(Kind.COMMAND, frame.seq)

        def digest() -> int | None:
            # At once, and only if the deltas up to the one that the reply names are what the mirror shows (LINK.md,
            # Commands).
            mine = self._mirror if self._complete and frame.items[2:3] == (self._last,) else None
            return mine.digest() if mine is not None else None

        if self._commands.reply(frame, digest):
            self.counters["commands"] += 1
            self._commands.serve(now, self.is_live)

    def _ping(self, now: float) -> None:
        now_us = int(now * 1_000_000)
        if self._send(Kind.PING, 0, (now_us, *self._time_of_day()), now):
            self._ping_at = now + _PING_PERIOD_S
            self._pings_sent.append(now_us)

    def _time_of_day(self) -> tuple[int, ...]:
        """As the last item of a frame, or no item."""
        return () if self._unix_ms is None else (self._unix_ms(),)

    def _on_pong(self, items: tuple[int, ...], now: float) -> None:
        sent, arrived, answered = items
        self._out.window.taken(Kind.PING, sent)
        if sent not in self._pings_sent:
            return
        self._pings_sent.remove(sent)
        self._is_behind = False
        here = int(now * 1_000_000)
        round_trip = (here - sent) - (answered - arrived)
        if not 0 <= round_trip <= 0xFFFFFFFF:
            return
        self._pings.append((round_trip, (arrived - sent + answered - here) // 2))
        self.round_trip_us, self.clock_offset_us = min(self._pings)

    # ---------------------------------------------------------------------------------------------- what readers see

    def _state(self, now: float) -> LinkState:
        if not self._port_open or self.is_held:
            return LinkState.STALE
        if not self._complete:
            return LinkState.CONNECTING
        if self._is_behind:
            return LinkState.STALE
        heard = self._heard_at
        return LinkState.LIVE if heard is not None and now - heard <= _STALE_AFTER_S else LinkState.STALE

    def _show(self, now: float) -> None:
        """Brings the mirror's trailer up to date. LIVE is written last and taken back first."""
        state = self._state(now)
        mirror = self._mirror
        if mirror is None:
            return
        session = self._session if self._complete else (self._shown[1] if self._shown else 0)
        changed = self._shown != (state, session)
        if changed and state != LinkState.LIVE:
            mirror.set_trailer_u32(_TRAILER["link_state"], state)
        frames = self.counters["frames"] + self.counters["text_bytes"]
        if changed or frames != self._heard_written:
            self._heard_written = frames
            if self._heard_at is not None:
                mirror.set_trailer_u64(_TRAILER["heard_ms"], int(self._heard_at * 1000))
            mirror.set_trailer_u64(_COUNTERS_AT, *self.counters.values())
            mirror.set_trailer_u32(_TRAILER["round_trip_us"], self.round_trip_us)
            mirror.set_trailer_u64(_TRAILER["clock_offset_us"], self.clock_offset_us & U64_MAX)
        if changed:
            mirror.set_trailer_u32(_TRAILER["session"], session)
            if state == LinkState.LIVE:
                mirror.set_trailer_u32(_TRAILER["link_state"], state)
            self._shown = (state, session)
