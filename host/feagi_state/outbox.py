"""What a host has to say to a device, as bytes in the form that the device takes: binary frames, or text frames on a
line that it shares with a prompt (LINK.md); and no more of them than the device can hold.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

from . import spec
from .frames import encode_body, may_be_device_frame, seal, seal_text
from .spec import Kind
from .window import Window

__all__ = ["MTU_BYTES", "Outbox"]

MTU_BYTES: Final = spec.FRAME_LEN_BYTES - 4  #: the longest body that this host takes
_RXBUF_BYTES: Final = 4095  # what it can hold unread, as a terminal does; no byte of it is 0, see _hello

_HELLO_PERIOD_S: Final = spec.HELLO_PERIOD_MS / 1000
_TEXT_ANSWER_S: Final = 0.1  # in which a device that takes text has answered a hello
_HELLO_TRIES: Final = 100
_CTRL_C: Final = b"\x03"
# Acknowledgements by their seq, made once: as many go out as deltas come in.
_ACKS: Final = tuple(encode_body(Kind.ACK, seq, (spec.LINK_WINDOW,)) for seq in range(256))


class Outbox:
    """The bytes that wait to be sent. One thread.

    What form a device takes is known from its hello on. Before that a host's hello goes as text, which a prompt
    survives; only where frames come that this host cannot read, and no answer, is it repeated as a frame.
    """

    def __init__(self, random_u32: Callable[[], int] | None) -> None:
        """`random_u32` gives the boot ids of hellos."""
        self._random = random_u32 or (lambda: secrets.randbits(32))
        self._out = bytearray()
        self.as_text: bool | None = None  #: whether the device takes text frames; None: it has not said
        self._binary_at = float("inf")  # from when on a hello may go as a frame, if it turns out to be needed
        self.hello_at = 0.0  # when the next hello is due, while there is no session
        self.is_line_heard = False  # whether anything has come since the last one
        self.window = Window()

    def reset(self) -> None:
        """Forgets all, for a line that was opened again."""
        self.clear()
        self.as_text = None

    def clear(self) -> None:
        """Forgets what was not taken."""
        self._out.clear()

    def take(self) -> bytes:
        """The bytes to send since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def send(self, kind: Kind, seq: int, items: tuple[Any, ...], session: int, now: float) -> bool:
        """Adds a frame, if the device has room for it: a HELLO_ACK always goes. Returns whether.

        Raises SerializationError if the items do not fit it.
        """
        body = encode_body(kind, seq, items)
        if kind == Kind.HELLO_ACK:
            self._put(body, session)
            return True
        return self._send_body(body, items[0] if kind == Kind.PING else seq, session, now)

    def acknowledge(self, seq: int, session: int, now: float) -> bool:
        """Adds an ACK, as `send` does."""
        return self._send_body(_ACKS[seq], seq, session, now)

    def has_room(self, body: bytes) -> bool:
        """Whether the device has room for a frame with a body of this length."""
        return self.window.admits(self.line_len_bytes(body))

    def line_len_bytes(self, body: bytes) -> int:
        """How long a frame is on the line, in the form that the device takes."""
        with_crc = len(body) + 4
        return (with_crc * 4 + 2) // 3 + 2 if self.as_text else with_crc + 3

    def _send_body(self, body: bytes, number: int, session: int, now: float) -> bool:
        """`number`: what tells the frame from others of its kind."""
        len_bytes = self.line_len_bytes(body)
        if not self.window.admits(len_bytes):
            return False
        self.window.sent(body[0], number, len_bytes, now)
        self._put(body, session)
        return True

    def is_hello_due(self, now: float) -> bool:
        """Whether to greet again. On a line that is silent nothing reads: what would read says hello when it starts."""
        return self.is_line_heard and now >= self.hello_at

    def greet(self, now: float) -> None:
        """Adds a hello, as text unless the device is known to take frames."""
        self.hello_at = now + _HELLO_PERIOD_S
        self.is_line_heard = False
        self._binary_at = now + _TEXT_ANSWER_S if self.as_text is None else float("inf")
        self._put(self._hello(), 0, self.as_text is not False)

    def hear(self, hello_seq: int) -> None:
        """The device has said hello: its form is known."""
        self.as_text = hello_seq == spec.HELLO_SEQ_TEXT

    def hear_strange(self, segment: bytes, now: float) -> None:
        """What came between two zeros could not be read: perhaps it is of a session that this host knows nothing of,
        with a device that takes no text.
        """
        if self.as_text is None and now >= self._binary_at and may_be_device_frame(segment):
            self._binary_at = float("inf")
            self._put(self._hello(), 0, as_text=False)

    def _hello(self) -> bytes:
        # The uptime is not 0, whose place in the frame would be a Ctrl-C.
        for _ in range(_HELLO_TRIES):
            boot = self._random() & 0xFFFFFFFF
            items = (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, boot or 1, MTU_BYTES, 0, _RXBUF_BYTES, 1)
            body = encode_body(Kind.HELLO, 0, items)
            if _CTRL_C not in seal(body, 0):
                break  # if it goes to a program at a prompt's line after all, it does not end it
        return body

    def _put(self, body: bytes, session: int, as_text: bool | None = None) -> None:
        if self.as_text if as_text is None else as_text:
            self._out += seal_text(body, session)
            return
        wire = seal(body, session)
        # Adjacent frames share a zero; the first one brings its own, since anything may stand before it on the line.
        self._out += wire[1:] if self._out.endswith(b"\0") else wire
