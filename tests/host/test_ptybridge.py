"""The pty that stands for a USB serial adapter: what it must keep, and what it must lose."""

from __future__ import annotations

import os
import select
import termios
import time
import tty

import pytest

from feagi_state.ptybridge import BUFFER_LEN_BYTES, PtyBridge


class Wire:
    """The board's end: a pty as the board's process has it."""

    def __init__(self, bridge: PtyBridge) -> None:
        master, self.fd = os.openpty()
        tty.setraw(self.fd)
        bridge.attach(master)

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
def bridge():
    bridge = PtyBridge()
    yield bridge
    bridge.close()


def open_port(bridge: PtyBridge) -> int:
    return os.open(bridge.port, os.O_RDWR | os.O_NOCTTY)


def read(fd: int, count: int, timeout_s: float = 5.0) -> bytes:
    """Exactly `count` bytes, or what came in time."""
    data, deadline = b"", time.monotonic() + timeout_s
    while len(data) < count and select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data += os.read(fd, count - len(data))
    return data


def wait_for(condition, timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_byte_passes_both_ways_unchanged(bridge):
    wire, host = Wire(bridge), open_port(bridge)
    every = bytes(range(256))
    wait_for(lambda: bridge._host_open)
    os.write(wire.fd, every)
    assert read(host, 256) == every
    os.write(host, every)
    assert read(wire.fd, 256) == every
    assert not select.select([host], [], [], 0.05)[0], "an echo"
    assert not termios.tcgetattr(host)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    os.close(host)
    wire.close()


def test_the_port_outlives_the_board(bridge):
    wire, host, port = Wire(bridge), open_port(bridge), bridge.port
    wait_for(lambda: bridge._host_open)
    wire.close()
    os.write(host, b"to nobody")
    wait_for(lambda: bridge.dropped_bytes == 9)
    wire = Wire(bridge)
    os.write(wire.fd, b"again")
    assert read(host, 5) == b"again"
    assert bridge.port == port
    os.close(host)
    wire.close()


def test_a_board_that_ended_has_said_all_when_its_end_is_told(bridge):
    wire = Wire(bridge)
    with bridge._lock:  # the bridge is late
        os.write(wire.fd, b"no such wheel")
        wire.close()
        assert not bridge.wait_for_end(0)
    assert bridge.wait_for_end(5)
    assert bridge.tail == b"no such wheel"
    wire = Wire(bridge)
    assert not bridge.wait_for_end(0), "another one runs"
    wire.close()
    assert bridge.wait_for_end(5)


def test_nobody_hears_what_was_said_before(bridge):
    wire = Wire(bridge)
    os.write(wire.fd, b"x" * 100)
    wait_for(lambda: bridge.dropped_bytes == 100)
    host = open_port(bridge)
    wait_for(lambda: bridge._host_open)
    os.write(wire.fd, b"unread")
    wait_for(lambda: select.select([host], [], [], 0)[0])
    os.close(host)
    wait_for(lambda: not bridge._host_open)
    host = open_port(bridge)
    wait_for(lambda: bridge._host_open)
    os.write(wire.fd, b"now")
    assert read(host, 3) == b"now"
    os.close(host)
    wire.close()


def test_a_host_that_does_not_read_never_holds_the_board_up(bridge):
    wire, host = Wire(bridge), open_port(bridge)
    wait_for(lambda: bridge._host_open)
    block, began = bytes(4096), time.monotonic()
    for _ in range(4 * BUFFER_LEN_BYTES // len(block)):
        os.write(wire.fd, block)
    assert time.monotonic() - began < 10
    wait_for(lambda: bridge.dropped_bytes > 0)
    os.close(host)
    wire.close()


def test_an_idle_bridge_rests(bridge):
    began = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - began < 0.1
