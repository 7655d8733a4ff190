"""Gives a board back to its program after somebody has used its prompt.

A program on a line that it shares with the prompt ends when somebody types Ctrl-C there, as mpremote does. When that
one has gone, main.py is started again by a soft reset; but only if a program had served the link before, only at the
friendly prompt, and only once. What somebody left running on the board is let run to its end.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Handback"]

_GRACE_S: Final = 0.3  # in which the next command of a script may come, or the program start by itself
_ANSWER_S: Final = 0.3  # of a board to what it is asked
_REPEAT_S: Final = 2.0  # after which a board that did not answer is asked again
_TAIL_LEN_BYTES: Final = 64

_INTERRUPT: Final = b"\x03"
_ERASE_AND_FRIENDLY: Final = b"\x15\x02"  # Ctrl-U, Ctrl-B: shows the prompt, and does nothing to a program that runs
_FRIENDLY: Final = b"\x02"
_SOFT_RESET: Final = b"\x04"
_PROMPT: Final = b">>> "
_PROMPTS: Final = (_PROMPT, b"\x04>", b"raw REPL; CTRL-B to exit\r\n>")
_UNFINISHED: Final = (b"... ", b"=== ")  # of a statement, and of the paste mode
_RAW: Final = b"raw REPL; CTRL-B to exit"


class Handback:
    """What is to be typed at a board's prompt, and when. Knows bytes and times alone. One thread."""

    def __init__(self, restarts: bool = True) -> None:
        """`restarts`: whether main.py is started again at all."""
        self._restarts = restarts
        self._owed = False  # a program was interrupted, and does not run again yet
        self._used = False  # somebody has the prompt
        self._tail = b""  # what the board said last
        self._raw = False  # it said that it is in the raw REPL
        self._typed = b""  # the last byte that the user typed
        self._next_at = 0.0
        self._asked = 0
        self._restarted = False  # main.py was started again, and does not serve the link yet
        self.ended = False  # and has ended

    def interrupted(self) -> None:
        """A program that served the link is being interrupted."""
        self._owed = True
        self._restarted = self.ended = False

    def runs(self) -> None:
        """A program serves the link. One that runs in the raw REPL is not main.py, which is owed as before."""
        self._owed &= self._raw
        self._restarted = self.ended = False
        self._tail = b""

    def opened(self) -> None:
        """Somebody has the prompt."""
        self._used = True

    def typed(self, data: bytes) -> None:
        """That one has typed this, at least a byte."""
        self._typed = data[-1:]

    def closed(self, now: float) -> None:
        """That one has gone. `now`: seconds of clock.py."""
        self._used = False
        self._asked = 0
        self._next_at = now + _GRACE_S

    def said(self, text: bytes) -> None:
        """The board has said this."""
        tail = self._tail + text
        if _RAW in tail[-len(text) - len(_RAW) :]:
            self._raw = True
        if tail.endswith(_PROMPT):
            self._raw = False
            self.ended = self._restarted
        self._tail = tail[-_TAIL_LEN_BYTES:]

    @property
    def at_prompt(self) -> bool:
        """Whether the last that the board said is a prompt: no program runs."""
        return self._tail.endswith(_PROMPTS)

    @property
    def passes(self) -> bool:
        """Whether a program is expected to serve the link again."""
        return self._used or (self._restarts and (self._owed or self._restarted) and not self.ended)

    @property
    def why(self) -> str:
        """Why no program serves the link now, for people."""
        if self._used:
            return "its prompt is in use: the link goes on when a program serves it again"
        if self.ended:
            return "main.py has ended: it serves no link"
        if self.passes:
            return "its prompt was used: main.py is started again"
        return "it is at its prompt: no program serves the link"

    def next(self, now: float) -> bytes:
        """What is to be typed now, mostly nothing."""
        if not self._restarts or not self._owed or self._used or now < self._next_at:
            return b""
        self._next_at = now + _ANSWER_S
        if self._tail.endswith(_PROMPT):
            self._owed, self._restarted, self._tail = False, True, b""
            return _SOFT_RESET
        self._asked += 1
        if self._raw and self._typed != _FRIENDLY:
            # Gone in the midst of the raw REPL: nobody waits for what may run there.
            if self._asked % 2 == 0:
                self._next_at = now + _REPEAT_S
                return _ERASE_AND_FRIENDLY
            return _INTERRUPT
        if self._asked > 1:
            return b""  # something runs: its end is waited for
        return _INTERRUPT if self._tail.endswith(_UNFINISHED) else _ERASE_AND_FRIENDLY
