"""A pseudo-terminal that behaves like a USB serial adapter.

The adapter's port, the pty's slave, stays while the board behind it is stopped, killed and started again. As on a
wire, bytes that nobody takes are lost: the board never waits for a host, and a host that opens the port sees nothing of
what was before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import threading
import tty

__all__ = ["PtyBridge"]

BUFFER_LEN_BYTES = 1 << 16  # what an adapter holds in each direction before it drops
CHUNK_LEN_BYTES = 4096
TAIL_LEN_BYTES = 4096
POLL_CLOSED_S = 0.01  # a pty's master cannot wait for its slave to be opened, only look


class PtyBridge:
    """Carries bytes between a board's file descriptor and a port for hosts, in a thread of its own."""

    def __init__(self) -> None:
        """Makes the pty and starts the thread. Raises OSError."""
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            self.port: str = os.ttyname(slave)  #: path that hosts open
        finally:
            os.close(slave)  # so that the master tells whether a host has it open
        os.set_blocking(self._master, False)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._lock = threading.Lock()
        self._board: int | None = None
        self._old_boards: list[int] = []
        self._board_ended = threading.Event()  # and all that it said has been read
        self._to_host = bytearray()
        self._to_board = bytearray()
        self._host_open = False
        self._closing = False
        self.tail = b""  #: what the board said last, whether anybody listened or not
        self.dropped_bytes = 0  #: bytes that found no host, no board or a full buffer
        self._thread = threading.Thread(target=self._run, name="pty bridge", daemon=True)
        self._thread.start()

    def attach(self, board_fd: int) -> None:
        """Connect a board: a non-blocking descriptor, which the bridge closes when it is done with it."""
        os.set_blocking(board_fd, False)
        with self._lock:
            if self._board is not None:
                self._old_boards.append(self._board)
            self._board = board_fd
            self._board_ended.clear()
            self._to_board.clear()
        self._wake()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait until the board has ended and `tail` has all that it said. Whether that is so."""
        return self._board_ended.wait(timeout_s)

    def close(self) -> None:
        """Take the port away."""
        if self._closing:
            return
        self._closing = True
        self._wake()
        self._thread.join()
        for fd in (*self._old_boards, self._board, self._master, self._wake_read, self._wake_write):
            if fd is not None:
                os.close(fd)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    # ------------------------------------------------------------------------------------- the bridge's thread

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        while not self._closing:
            with self._lock:
                while self._old_boards:
                    os.close(self._old_boards.pop())
                board = self._board
            self._look_for_host()
            if self._host_open:
                poll.register(self._master, select.POLLIN | (select.POLLOUT if self._to_host else 0))
            if board is not None:
                poll.register(board, select.POLLIN | (select.POLLOUT if self._to_board else 0))
            ready = dict(poll.poll(None if self._host_open else POLL_CLOSED_S * 1000))
            if self._wake_read in ready:
                os.read(self._wake_read, CHUNK_LEN_BYTES)
            if self._host_open:
                poll.unregister(self._master)
            if board is not None:
                poll.unregister(board)
                with self._lock:
                    current = self._board is board
                if current and ready.get(board):
                    self._serve_board(board, ready[board])
            if ready.get(self._master):
                self._serve_host(ready[self._master])

    def _look_for_host(self) -> None:
        probe = select.poll()
        probe.register(self._master, 0)
        is_open = not any(event & select.POLLHUP for _, event in probe.poll(0))
        if self._host_open and not is_open:
            self._to_host.clear()
            self._forget_unread()
        self._host_open = is_open

    def _forget_unread(self) -> None:
        """What the last host left unread is not for the next one."""
        with contextlib.suppress(OSError):
            slave = os.open(self.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                termios.tcflush(slave, termios.TCIFLUSH)
            finally:
                os.close(slave)

    def _serve_board(self, board: int, events: int) -> None:
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            data = self._read(board)
            if data is None:  # the board's process has gone
                with self._lock:
                    if self._board is board:
                        self._old_boards.append(board)
                        self._board = None
                        self._board_ended.set()
                return
            self.tail = (self.tail + data)[-TAIL_LEN_BYTES:]
            if not self._host_open:
                self.dropped_bytes += len(data)
            else:
                self._queue(self._to_host, data)
                self._drain(self._master, self._to_host)
        if events & select.POLLOUT:
            self._drain(board, self._to_board)

    def _serve_host(self, events: int) -> None:
        if events & select.POLLIN:
            data = self._read(self._master) or b""
            with self._lock:
                board = self._board
            if board is None:
                self.dropped_bytes += len(data)
            else:
                self._queue(self._to_board, data)
                self._drain(board, self._to_board)
        if events & select.POLLOUT:
            self._drain(self._master, self._to_host)

    def _queue(self, buffer: bytearray, data: bytes) -> None:
        room = BUFFER_LEN_BYTES - len(buffer)
        self.dropped_bytes += max(0, len(data) - room)
        buffer += data[:room]

    @staticmethod
    def _read(fd: int) -> bytes | None:
        """Bytes, nothing, or None when the other side has gone."""
        try:
            return os.read(fd, CHUNK_LEN_BYTES) or None
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise

    def _drain(self, fd: int, buffer: bytearray) -> None:
        try:
            while buffer:
                del buffer[: os.write(fd, buffer[:CHUNK_LEN_BYTES])]
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            buffer.clear()
