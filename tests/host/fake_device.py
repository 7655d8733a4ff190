"""A device role written from LINK.md alone, in Python: a second opinion beside the C one, for tests of the host role.

FakeDevice has no port and no clock. PtyDevice runs one on a real pseudo-terminal.
"""

from __future__ import annotations

import base64
import os
import select
import threading
import tty
import zlib
from collections.abc import Callable

import cbor2
from cobs import cobs

from feagi_state import spec
from feagi_state.clock import now_s
from feagi_state.errors import SerializationError
from feagi_state.frames import Deframer, Text, decode, encode
from feagi_state.spec import CommandOp, Kind
from places import HEADER_LEN, header_at, layout, word_of


class TextFrames:
    """Finds text frames among what was typed, and hands them out as segments between two zeros."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        *ended, self.pending = (self.pending + data).split(b"\x15")
        bodies = [piece.rpartition(b"\x1e")[2] for piece in ended if b"\x1e" in piece]
        return [cobs.encode(base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)) for body in bodies]


class FakeDevice:
    """The device's side of one link, in virtual time."""

    def __init__(
        self,
        boot: int,
        profile: str = "tiny",
        name: str | None = "fake",
        schema: int = spec.SCHEMA_HASH,
        takes_text: bool = False,
    ) -> None:
        self.region, self.pages = layout(profile)
        self.name = name
        self.schema = schema
        self.offer = boot
        self.up = False
        self.mtu = spec.LINK_MTU_BYTES
        self.most = spec.LINK_WINDOW  # deltas in flight that the host has room for
        self.takes_text = takes_text
        self.deframer: Deframer | TextFrames = TextFrames() if takes_text else Deframer()
        self.out = bytearray()
        self.hello_at = 0.0
        self.quiet = False  # sends nothing at all
        self.shuffle_pages: Callable[[list[int]], None] | None = None  # order in which a delta takes the pages
        self.replies_wanted = True
        self.ran: list[tuple[int, ...]] = []  # commands, as often as they were run
        self.events: list[tuple[int, int, int]] = []  # not acknowledged
        self.lost = 0
        self.heard: list[int] = []  # kinds of the frames that came
        self.unix_ms: list[int] = []  # times of day that came
        self._begin()

    def _begin(self) -> None:
        self.seq = self.acked = 0
        self.dirty: dict[int, set[int]] = {}
        self.flights: list[tuple[int, set[int]]] = []
        self.sent_at = 0.0
        self.spoke_at = 0.0
        self.tries = 0
        self.repair = False
        self.cautious = 0
        self.window = self.most
        self.event_acked = 0
        self.events_flying = 0
        self.events_at = 0.0
        self.reply: tuple[int, tuple[int, ...]] | None = None
        self.digest_due: int | None = None

    # ------------------------------------------------------------------------------------------- the application

    def write(self, offset: int, data: bytes) -> None:
        """Writes bytes at an offset of the region, from one page, and marks their words."""
        self.region[offset : offset + len(data)] = data
        for word in range(offset // 4, (offset + len(data) + 3) // 4):
            self.dirty.setdefault(self.page_of(word * 4), set()).add(word)

    def set(self, field: str, value: int) -> None:
        """Writes a core field."""
        found = spec.CORE_FIELDS[field]
        self.write(HEADER_LEN + found.offset, value.to_bytes(found.size, "little"))

    def get(self, field: str) -> int:
        """Reads a core field."""
        found = spec.CORE_FIELDS[field]
        return int.from_bytes(self.region[HEADER_LEN + found.offset :][: found.size], "little")

    def event(self, kind: int, arg: int, time_ms: int = 0) -> None:
        """Queues an event."""
        self.events.append((kind, arg, time_ms))

    def page_of(self, offset: int) -> int:
        """The page that holds this offset."""
        return next(i for i, (at, length) in enumerate(self.pages) if at <= offset < at + length)

    def page(self, number: int) -> bytes:
        """A page's bytes."""
        at, length = self.pages[number]
        return bytes(self.region[at : at + length])

    def digest(self) -> int:
        """CRC-32 of all pages."""
        crc = 0
        for number in range(len(self.pages)):
            crc = zlib.crc32(self.page(number), crc)
        return crc

    def restart(self, offer: int) -> None:
        """Offers a new session."""
        self.offer = offer
        self.up = False
        self.hello_at = 0.0

    # -------------------------------------------------------------------------------------------------- the link

    def send(self, kind: int, seq: int, items: tuple[object, ...] = ()) -> None:
        """Puts a frame on the line."""
        self.out += encode(kind, seq & 255, items, self.offer)

    def take_output(self) -> bytes:
        """The bytes to send since the last call."""
        out = bytes(self.out)
        self.out.clear()
        return b"" if self.quiet else out

    def receive(self, data: bytes, now: float) -> None:
        """Takes bytes from the line."""
        for segment in self.deframer.feed(data):
            if type(segment) is Text:
                continue
            try:
                frame = decode(segment, self.offer)
            except SerializationError:
                continue
            self.heard.append(frame.kind)
            if frame.kind == Kind.HELLO:
                self._greet(*frame.items[3:6])
            elif frame.kind == Kind.HELLO_ACK:
                if frame.items[0] == self.offer and not self.up:
                    self._hear_time(frame.items[1:])
                    self._start(now)
            elif self.up:
                self._handle(frame.kind, frame.seq, frame.items, now)

    def _greet(self, mtu: int, npages: int, rxbuf: int) -> None:
        if npages == 0 and mtu >= spec.LINK_MTU_LEAST_BYTES:
            self.mtu = min(mtu, spec.LINK_MTU_BYTES)
            self.most = max(1, min(spec.LINK_WINDOW, rxbuf // (spec.LINK_MTU_BYTES + 7)))
            self.restart(self.offer * 7 % 0xFFFFFFFB + 1)

    def _start(self, now: float) -> None:
        self._begin()
        self.up = True
        self.spoke_at = now
        for number, (at, length) in enumerate(self.pages):
            words = range(at // 4, (at + length) // 4)
            self.dirty[number] = {words[0]} | {word for word in words if any(self.region[4 * word : 4 * word + 4])}

    def _handle(self, kind: int, seq: int, items: tuple[int, ...], now: float) -> None:
        if kind in (Kind.ACK, Kind.NAK):
            if (seq - self.acked) & 255 > 127 or (self.seq - seq) & 255 > 127:
                return
            self.tries = 0
            self.acked = seq
            self.flights = [flight for flight in self.flights if 0 < (flight[0] - seq) & 255 < 128]
            self.sent_at = now
            if kind == Kind.NAK:
                self._rewind()
            else:
                self.window = max(1, min(items[0], self.most))
        elif kind == Kind.EVENT_ACK:
            taken = (seq - self.event_acked) & 255
            if 0 < taken <= self.events_flying:
                del self.events[:taken]
                self.event_acked = seq
                self.events_flying -= taken
                self.lost = 0
        elif kind == Kind.COMMAND:
            self._command(seq, items)
        elif kind == Kind.PING:
            self._hear_time(items[1:])
            us = int(now * 1_000_000) + 5_000_000
            self.send(Kind.PONG, seq, (items[0], us, us))

    def _hear_time(self, items: tuple[int, ...]) -> None:
        """Its region's clock is Unix time from now on. (The tests write the times themselves.)"""
        if items and not self.unix_ms:
            self.write(header_at("flags"), spec.FLAG_UNIX_TIME.to_bytes(4, "little"))
        self.unix_ms += items

    def _command(self, seq: int, items: tuple[int, ...]) -> None:
        if self.reply is None or self.reply[0] != seq:
            if items[0] == CommandOp.DIGEST:
                self.digest_due = seq
                return
            self.ran.append(items)
            name = next((n for n, f in spec.CORE_FIELDS.items() if f.offset == items[1]), None)
            if name is None:
                self.reply = (seq, (-5,))
            elif items[0] == CommandOp.SET and items[2] > spec.CORE_FIELDS[name].maximum:
                self.reply = (seq, (-4,))
            else:
                now = {CommandOp.SET: 0, CommandOp.ADD: self.get(name), CommandOp.SUBTRACT: self.get(name)}[
                    CommandOp(items[0])
                ]
                value = max(0, now - items[2]) if items[0] == CommandOp.SUBTRACT else now + items[2]
                self.set(name, value)
                as_asked = items[0] == CommandOp.SET and value == items[2]
                self.reply = (seq, (0,) if as_asked else (0, value))
        if self.replies_wanted:
            self.send(Kind.REPLY, self.reply[0], self.reply[1])

    def _rewind(self) -> None:
        for _, pages in self.flights:
            for number in pages:
                at, length = self.pages[number]
                self.dirty[number] = set(range(at // 4, (at + length) // 4))
        self.flights = []
        self.repair = True
        self.cautious = 8

    def tick(self, now: float) -> None:
        """Sends what is due."""
        if not self.up:
            if now >= self.hello_at:
                self.hello_at = now + spec.HELLO_PERIOD_MS / 1000
                items = (spec.PROTOCOL_VERSION, self.schema, self.offer, self.mtu, len(self.pages), spec.LINK_RXBUF_BYTES, int(now * 1000))
                self.send(Kind.HELLO, int(self.takes_text), items if self.name is None else (*items, self.name))
            return
        if self.flights and now - self.sent_at >= spec.RETRANSMIT_MS / 1000:
            self.tries += 1
            self.sent_at = now
            self._rewind()
        if self.tries > spec.RETRANSMIT_TRIES or (self.seq - self.acked) & 255 > spec.LINK_SEQUENCE_GUARD:
            self.restart(self.offer + 1)
            return
        while self.dirty and len(self.flights) < (1 if self.cautious else self.window):
            self._delta(now)
        if self.events_flying and now - self.events_at >= spec.RETRANSMIT_MS / 1000:
            self.events_flying = 0
        while self.events_flying < min(spec.LINK_EVENTS_WINDOW, len(self.events)):
            event = self.events[self.events_flying]
            lost = (self.lost,) if self.lost and self.events_flying == 0 else ()
            self.events_flying += 1
            self.events_at = now
            self.send(Kind.EVENT, self.event_acked + self.events_flying, (*event, *lost))
        if self.digest_due is not None and not self.flights and not self.dirty:
            self.reply = (self.digest_due, (0, self.digest(), self.seq))
            self.digest_due = None
            self.send(Kind.REPLY, *self.reply)
        if self.out:
            self.spoke_at = now
        elif now - self.spoke_at >= spec.KEEPALIVE_PERIOD_MS / 1000:
            self.spoke_at = now
            self.send(Kind.KEEPALIVE, self.seq)

    def _delta(self, now: float) -> None:
        numbers = sorted(self.dirty)
        if self.shuffle_pages is not None:
            self.shuffle_pages(numbers)
        items: list[object] = []
        taken: set[int] = set()
        for number in numbers:
            runs = self._runs(sorted(self.dirty[number]))
            size = sum(len(cbor2.dumps(item)) for item in (*items, *runs)) + 5
            if taken and (self.cautious or size > self.mtu):
                break
            items += runs
            taken.add(number)
        for number in taken:
            del self.dirty[number]
        self.seq = (self.seq + 1) & 255
        if self.repair:
            self.send(Kind.REPAIR, self.seq, (self.acked, *items))
        else:
            self.send(Kind.DELTA, self.seq, tuple(items))
        self.repair = False
        self.cautious = max(0, self.cautious - 1)
        self.flights.append((self.seq, taken))
        self.sent_at = now

    def _runs(self, words: list[int]) -> list[object]:
        runs: list[object] = []
        start = 0
        for i in range(1, len(words) + 1):
            if i == len(words) or words[i] != words[i - 1] + 1:
                data = bytes(self.region[4 * words[start] : 4 * words[i - 1] + 4])
                # Zeros of the last word need not be sent.
                least = len(data) - 3
                while len(data) > least and data[-1] == 0:
                    data = data[:-1]
                runs += [word_of(4 * words[start]), data]
                start = i
        return runs


class PtyDevice:
    """A FakeDevice behind a pseudo-terminal, in a thread. `port` is what to connect to."""

    def __init__(self, device: FakeDevice, link: str | None = None) -> None:
        """`link`: a path that becomes a symbolic link to the port, as a name that outlives it."""
        self.device = device
        self.lock = threading.Lock()  # guards `device`
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        if link is not None:
            os.symlink(self.port, link)
            self.port = link
        self._link = link
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        """Sends bytes that are no frame."""
        os.write(self._master, data)

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [], 0.005)
            if self._wake in ready:
                return
            data = os.read(self._master, 4096) if ready else b""
            with self.lock:
                now = now_s()
                if data:
                    self.device.receive(data, now)
                self.device.tick(now)
                out = self.device.take_output()
            if out:
                os.write(self._master, out)

    def close(self) -> None:
        """Unplugs it."""
        if self._thread.is_alive():
            os.write(self._stop, b"x")
            self._thread.join()
            for fd in (self._master, self._slave, self._wake, self._stop):
                os.close(fd)
            if self._link is not None:
                os.unlink(self._link)

    def __enter__(self) -> PtyDevice:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
