"""Serial ports as they are: absent, busy, forbidden, something else, and unplugged. On real pseudo-terminals."""

from __future__ import annotations

import os
import pty
import re
import selectors
import subprocess
import sys
import threading
import tty

import pytest

from feagi_state import PortError
from feagi_state.transport import SerialTransport

WAIT_S = 10.0


class Pty:
    """Both ends of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self.slave: int | None = slave

    def unplug(self) -> None:
        if self.slave is not None:
            os.close(self.master)
            os.close(self.slave)
            self.slave = None


@pytest.fixture
def line():
    ends = Pty()
    yield ends
    ends.unplug()


def open_error(port: str) -> PortError:
    with pytest.raises(PortError) as caught:
        SerialTransport(port)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__  # one line, no foreign traceback
    assert "\n" not in str(caught.value)
    return caught.value


def test_bytes_go_both_ways(line):
    transport = SerialTransport(line.port)
    assert transport.name == line.port
    os.write(line.master, b"hello")
    got = b""
    while len(got) < 5:
        got += transport.read(WAIT_S)
    assert got == b"hello"
    transport.write(b"\0\1\r\n\xff\x11\x13")
    assert os.read(line.master, 100) == b"\0\1\r\n\xff\x11\x13"
    assert transport.read(0.0) == b""
    transport.close()
    transport.close()


def test_a_port_that_is_not_there():
    error = open_error("/dev/ttyNONE")
    assert error.reason == "absent" and "/dev/ttyNONE" in str(error)


def test_a_port_that_is_open_already(line):
    first = SerialTransport(line.port)
    error = open_error(line.port)
    assert error.reason == "busy" and f"process {os.getpid()} " in str(error)
    first.close()
    SerialTransport(line.port).close()


def test_a_port_that_another_process_has_open(line):
    code = (
        "import sys; from feagi_state.transport import SerialTransport\n"
        "t = SerialTransport(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, line.port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    error = open_error(line.port)
    assert error.reason == "busy" and re.search(rf"process {process.pid} \(\S+\) has it open: end that process", str(error))
    process.communicate("")


def test_a_file_is_no_port(tmp_path):
    (tmp_path / "file").write_text("")
    assert "no serial port" in str(open_error(str(tmp_path / "file")))
    assert "no serial port" in str(open_error(str(tmp_path)))
    for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
        assert str(open_error(device)) == f"{device} is no serial port"
        assert open_error(device).reason == "failed"


def test_the_terminal_of_a_process_that_has_none():
    code = (
        "from feagi_state import PortError\nfrom feagi_state.transport import SerialTransport\n"
        "try: SerialTransport('/dev/tty')\nexcept PortError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], start_new_session=True, capture_output=True, text=True)
    assert done.stdout.startswith("/dev/tty is no serial port here"), done


def test_no_permission(monkeypatch, line):
    if os.getuid() == 0:  # who may do everything is refused nothing
        real = os.open

        def refuse(path, *rest, **more):
            if path == line.port:
                raise PermissionError(13, "Permission denied", path)
            return real(path, *rest, **more)

        monkeypatch.setattr(os, "open", refuse)
        os.chown(line.port, -1, 5)
    os.chmod(line.port, 0o020)  # of an owner with no permission the group's are not looked at
    error = open_error(line.port)
    assert error.reason == "permission" and "usermod -aG tty " in str(error)
    os.chmod(line.port, 0)
    assert "usermod" not in str(open_error(line.port)), "the group may not open it either"
    if os.getuid() == 0:
        os.chown(line.port, -1, 0)
        os.chmod(line.port, 0o020)
        assert "usermod" not in str(open_error(line.port)), "nobody should join the group root"


def test_no_permission_for_a_file_that_is_no_port(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")

    def refuse(path, *rest, **more):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    assert str(open_error(str(tmp_path / "file"))).endswith("is no serial port")


def test_urls_are_ports_too():
    assert open_error("socket://127.0.0.1:1").reason in ("failed", "absent")
    assert open_error("nonsense://x").reason == "failed"
    transport = SerialTransport("loop://")
    transport.write(b"abc")
    assert transport.read(WAIT_S)
    transport.close()


def test_a_port_without_a_descriptor_can_be_watched_all_the_same():
    transport = SerialTransport("loop://")
    with selectors.DefaultSelector() as selector:
        selector.register(transport.fileno(), selectors.EVENT_READ)
        assert transport.write(b"hello") == 5
        got = b""
        while len(got) < 5:
            assert selector.select(WAIT_S)
            got += transport.read()
    assert got == b"hello"
    transport.close()
    transport.close()
    with pytest.raises(PortError):
        transport.read()


def test_what_the_line_does_not_take_is_told(line):
    transport = SerialTransport(line.port)
    assert transport.write(b"abc") == 3
    assert 0 <= transport.write(bytes(1 << 20)) < 1 << 20
    while transport.write(bytes(1 << 20)):
        pass
    transport.close()


def test_a_port_that_goes_away_while_it_is_read(line):
    transport = SerialTransport(line.port)
    line.unplug()
    with pytest.raises(PortError) as caught:
        while True:
            transport.read(WAIT_S)
    assert caught.value.reason == "gone" and caught.value.__suppress_context__
    with pytest.raises(PortError):
        while True:
            transport.write(b"x")
    transport.close()


def test_a_line_that_takes_nothing_does_not_block_for_ever(line):
    transport = SerialTransport(line.port)
    for _ in range(3):
        transport.write(bytes(1 << 16))  # the pseudo-terminal holds 4 kB
    transport.close()


def test_closing_ends_a_read_of_another_thread(line):
    transport = SerialTransport(line.port)
    ended = threading.Event()

    def read() -> None:
        try:
            while True:
                transport.read(0.05)
        except PortError:
            ended.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    transport.close()
    assert ended.wait(WAIT_S)
    thread.join()
