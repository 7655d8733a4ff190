"""Something on a serial line that is no device of ours."""

from __future__ import annotations

import os
import pty
import threading
import tty


class Talker:
    """A pty on which something talks that may or may not be a device."""

    def __init__(self, *messages: bytes, period_s: float = 0.1) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        os.set_blocking(self.master, False)
        self._messages, self._period_s = messages, period_s
        self.heard = threading.Event()  # somebody says something to it
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(self._period_s):
            try:
                if self._messages:
                    os.write(self.master, self._messages[number % len(self._messages)])
                if os.read(self.master, 4096):
                    self.heard.set()
            except BlockingIOError:
                pass
            number += 1

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self.master)
        os.close(self._slave)
