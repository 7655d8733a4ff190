"""A bad serial line before a real board: a pseudo-terminal that passes on what a port says, with faults.

    python tests/link/pty_proxy.py PORT [--rate 1e-3] [--seed 1] [--baud 115200] [--delay-ms 5] [--split 0.1]

prints the path of a port that stands for PORT until Ctrl-C. Whatever opens ports can open it: feagi-state, mpremote, a test of
your own:

    with PtyProxy(board.link_port, seed=1) as line:
        line.to_host.faults = Faults.at(1e-3)
        device = feagi_state.connect(line.port)

Bytes are lost, changed, repeated, invented, delayed, torn apart, joined and paced, each direction by itself: see faulty_line.py. A
board that is reset and comes back under the same name is found again; the offered port stays.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import sys
import termios
import threading
import time
import tty
from contextlib import suppress

from faulty_line import Faults, Line

CHUNK_LEN_BYTES = 4096
HELD_BYTES = 4096  # on their way in one direction: who says more has to wait, as before a UART's buffer
LOOK_S = 0.02  # how often a board that is gone is looked for


class PtyProxy:
    """Offers `port` for the board behind `board_port`, in a thread of its own. A context manager."""

    def __init__(self, board_port: str, *, seed: int = 0, baud: int = 0) -> None:
        """`baud`: of both directions, 0 for as fast as they come. Raises OSError if the board's port is not there."""
        self.to_board = Line(random.Random(f"{seed} to the board"), baud=baud)
        self.to_host = Line(random.Random(f"{seed} to the host"), baud=baud)
        self._board_port = board_port
        self._board: int | None = self._open_board()
        self._master, self._slave = os.openpty()  # the slave stays open: the port is there with and without a host
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._unsent = {self.to_board: b"", self.to_host: b""}  # what arrived and found no room
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pty proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> PtyProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes the port away."""
        self._closing = True
        self._thread.join()
        for number in (self._board, self._master, self._slave):
            if number is not None:
                os.close(number)

    def _open_board(self) -> int:
        board = os.open(self._board_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        with suppress(termios.error):
            tty.setraw(board)
        return board

    def _run(self) -> None:
        while not self._closing:
            if self._board is None:
                try:
                    self._board = self._open_board()
                except OSError:
                    time.sleep(LOOK_S)
                    continue
            poll = select.poll()
            if self.to_board.waiting_bytes < HELD_BYTES:
                poll.register(self._master, select.POLLIN)
            # Without events it still says when the board has gone.
            poll.register(self._board, select.POLLIN if self.to_host.waiting_bytes < HELD_BYTES else 0)
            wait_s = min(self.to_board.next_at, self.to_host.next_at) - time.monotonic()
            ready = dict(poll.poll(max(0.0, min(LOOK_S, wait_s)) * 1000))
            try:
                if self._master in ready:
                    self.to_board.put(self._read(self._master), time.monotonic())
                if self._board in ready:
                    self.to_host.put(self._read(self._board), time.monotonic())
                self._deliver(self.to_board, self._board)
            except OSError:  # of the board: the pty's slave is ours, and stays
                os.close(self._board)
                self._board = None
                self.to_board.clear()
                self._unsent[self.to_board] = b""
            self._deliver(self.to_host, self._master)

    @staticmethod
    def _read(number: int) -> bytes:
        try:
            data = os.read(number, CHUNK_LEN_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError("it has gone")
        return data

    def _deliver(self, line: Line, number: int) -> None:
        data = self._unsent[line] + line.take(time.monotonic())
        if data:
            with suppress(BlockingIOError):
                data = data[os.write(number, data) :]
            # A host that does not read loses what the pty has no room for, as a PC's driver does.
            self._unsent[line] = data[:HELD_BYTES]


def main() -> int:
    parser = argparse.ArgumentParser(description="Offers a port that is a bad line to another one.")
    parser.add_argument("port", help="the board's")
    parser.add_argument("--rate", type=float, default=0.0, help="errors a byte: 0.001 is one in a thousand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--baud", type=int, default=0, help="0: as fast as it goes")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="the most that bytes are late")
    parser.add_argument("--split", type=float, default=0.0, help="how often what comes at once is torn apart, 0 to 1")
    options = parser.parse_args()
    with PtyProxy(options.port, seed=options.seed, baud=options.baud) as proxy:
        for line in (proxy.to_board, proxy.to_host):
            line.faults, line.delay_s, line.split = Faults.at(options.rate), options.delay_ms / 1000, options.split
        print(proxy.port, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
