"""connect() and Device over real pseudo-terminals: the good case, and what is plugged in there instead of a device."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest

import feagi_state
from fake_device import FakeDevice, PtyDevice
from feagi_state import (
    BurstEngineState,
    CommandTimeout,
    InvalidField,
    InvalidValue,
    LinkError,
    LinkState,
    NotADevice,
    PortError,
    SchemaMismatch,
    SessionLost,
    StaleMirror,
    StateError,
    attach,
    connect,
)

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.fixture
def board():
    with PtyDevice(FakeDevice(77, "micro", "board")) as served:
        yield served


def until(condition) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


@pytest.fixture
def no_device():
    """no_device(answer) -> a port that answers this to whatever it is told; with None it echoes."""
    closing = []

    def make(answer: bytes | None) -> str:
        master, slave = os.openpty()
        tty.setraw(slave)

        def answer_always() -> None:
            while True:
                try:
                    data = os.read(master, 1000)
                    os.write(master, data if answer is None else answer)
                except OSError:
                    return

        threading.Thread(target=answer_always, daemon=True).start()
        closing.extend((slave, master))
        return os.ttyname(slave)

    yield make
    for fd in closing:
        os.close(fd)


def test_connect_returns_a_live_device(board):
    board.device.set("neuron_count", 4711)
    with connect(board.port) as device:
        assert device.name == "board" and device.port == board.port
        assert not device.stale and device.link.state == LinkState.LIVE
        assert device.link.device_name == "board" and device.link.port == board.port
        assert device.state.neuron_count == 4711
        assert device.agents == []
        device.wait_live(0)
        assert attach("board").state.neuron_count == 4711
    view = attach("board")
    assert view.link.state == LinkState.CLOSED and view.stale and view.state.neuron_count == 4711


def test_writes_return_the_devices_value_and_reach_the_mirror(board):
    with connect(board.port) as device:
        assert device.set("burst_engine_state", BurstEngineState.RUNNING) is BurstEngineState.RUNNING
        assert device.set("burst_frequency", 12.5) == 12.5
        assert device.set("brain_readiness", True) is True
        assert device.set("neuron_count", 10) == 10
        assert device.add("neuron_count", 5) == 15
        assert device.add("neuron_count") == 16
        assert device.subtract("neuron_count", 100) == 0
        theirs, ours = device.digest()
        assert theirs == ours
        assert device.state.burst_engine_state is BurstEngineState.RUNNING
        assert device.state.burst_frequency == 12.5 and device.state.brain_readiness is True


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("neuron_counts", 1, InvalidField),
        ("version", 1, InvalidField),
        ("agent_count", 1, InvalidField),
        ("neuron_count", 1.5, InvalidValue),
        ("neuron_count", "5", InvalidValue),
        ("neuron_count", 2**64, InvalidValue),
        ("burst_frequency", "fast", InvalidValue),
        ("burst_frequency", 1e300, InvalidValue),
        ("burst_engine_state", 99, InvalidValue),  # refused by the device
    ],
)
def test_a_write_that_cannot_be_raises_and_names_the_field(board, field, value, error):
    with connect(board.port) as device, pytest.raises(error, match=field) as caught:
        device.set(field, value)
    assert isinstance(caught.value, StateError)


def test_commands_from_many_threads_all_run_once(board):
    with connect(board.port) as device:
        threads = [
            threading.Thread(target=lambda: [device.add("neuron_count", 1) for _ in range(10)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert device.add("neuron_count", 0) == 80


def test_events_are_streamed(board):
    with connect(board.port) as device:
        stream = device.events(timeout_s=WAIT_S)
        with board.lock:
            for n in range(50):
                board.device.event(300, n, n)
        assert [next(stream).arg for _ in range(50)] == list(range(50))
        assert stream.lost == 0
        assert list(device.events(timeout_s=0)) == []


def test_text_goes_to_the_callback_or_the_log(board, caplog):
    caplog.set_level(logging.INFO, "feagi_state.text")
    with connect(board.port) as device:
        board.say(b"hello\r\n")
        until(lambda: "hello" in caplog.text)
        heard = []

        def listen(data: bytes) -> None:
            heard.append(data)
            heard.append(device.set("neuron_count", 1))  # a callback may use its device
            raise RuntimeError("of the application")

        device.text = listen
        board.say(b"again\r\n")
        until(lambda: "of the application" in caplog.text)
        assert heard == [b"again\r\n", 1]
        assert device.set("neuron_count", 3) == 3


def test_a_second_connect_to_the_same_port_is_busy(board):
    with connect(board.port), pytest.raises(PortError) as caught:
        connect(board.port)
    assert caught.value.reason == "busy"
    connect(board.port).close()


def test_two_boards_of_one_name_have_two_mirrors(board):
    with PtyDevice(FakeDevice(99, "tiny", "board")) as other, connect(board.port) as a, connect(other.port) as b:
        assert (a.name, b.name) == ("board", "board-2")
        a.set("neuron_count", 1)
        b.set("neuron_count", 2)
        a.digest(), b.digest()
        assert (attach("board").state.neuron_count, attach("board-2").state.neuron_count) == (1, 2)


def test_the_mirrors_name_is_chosen_or_the_devices_or_the_ports(board, tmp_path):
    with connect(board.port, name="my board", mirror_dir=tmp_path / "here") as device:
        assert device.name == "my-board"
        assert attach("my-board", mirror_dir=tmp_path / "here").link.device_name == "board"
    with PtyDevice(FakeDevice(99, name=None), str(tmp_path / "ttyBOARD")) as nameless, connect(nameless.port) as device:
        assert device.name == "ttyBOARD"


# ------------------------------------------------------------------------------------------------- what is no device


def test_an_absent_port():
    with pytest.raises(PortError) as caught:
        connect("/dev/ttyNONE")
    assert caught.value.reason == "absent"


def test_silence(no_device):
    with pytest.raises(NotADevice, match="silent"):
        connect(no_device(b""), timeout_s=0.2)


def test_noise_is_shown_shortened(no_device):
    noise = bytes(range(1, 256)) * 10
    with pytest.raises(NotADevice, match="baud") as caught:
        connect(no_device(noise), timeout_s=0.5)
    assert 0 < len(caught.value.heard) <= 200 and len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"MicroPython v1.29 on board\r\n>>> ", b"ABkP/wGSVf5v\x1b[12D\x1b[K"], ids=["shown", "erases"])
def test_a_prompt_is_recognised(no_device, answer):
    with pytest.raises(NotADevice, match="MicroPython's prompt: Ctrl-D") as caught:
        connect(no_device(answer), timeout_s=0.5)
    assert caught.value.heard.endswith(answer[-4:])


def test_an_echo_of_our_own_hello_is_no_device(no_device):
    with pytest.raises(NotADevice):
        connect(no_device(None), timeout_s=1.2)


def test_another_schema_is_one_clear_line(board):
    board.device.schema = 0x0BADBEEF
    with pytest.raises(SchemaMismatch) as caught:
        connect(board.port, timeout_s=WAIT_S)
    text = str(caught.value)
    assert "0x0badbeef" in text and f"0x{feagi_state.spec.SCHEMA_HASH:08x}" in text and "install" in text
    assert "\n" not in text


def test_a_device_that_says_hello_and_no_more(board):
    real = board.device.send
    board.device.send = lambda kind, seq, items=(): real(kind, seq, items) if kind == 1 else None
    with pytest.raises(LinkError, match="did not arrive"):
        connect(board.port, timeout_s=2.0)


# -------------------------------------------------------------------------------------------------- going and coming


def test_a_silent_device_makes_the_mirror_stale_and_comes_back(board):
    with connect(board.port) as device:
        board.device.quiet = True
        until(lambda: device.stale)
        with pytest.raises(StaleMirror):
            device.wait_live(0)
        board.device.quiet = False
        device.wait_live(WAIT_S)
        assert device.digest()[0] == board.device.digest()


def test_a_board_that_goes_away_and_returns_is_connected_again(tmp_path):
    path = str(tmp_path / "ttyBOARD")
    first = PtyDevice(FakeDevice(77, "micro", "board"), path)
    with connect(path) as device:
        device.set("neuron_count", 7)
        device.digest()
        view = attach("board")
        first.close()
        until(lambda: device.stale)
        assert view.stale and view.state.neuron_count == 7
        with pytest.raises(PortError):
            device.set("neuron_count", 8)
        with pytest.raises(LinkError):
            device.wait_live(0)
        with PtyDevice(FakeDevice(99, "tiny", "board"), path) as second:  # with other firmware
            second.device.set("neuron_count", 5)
            device.wait_live(WAIT_S)
            until(lambda: not view.stale)
            assert device.state.neuron_count == view.state.neuron_count == 5
            assert device.link.sessions >= 2
            assert device.add("neuron_count", 1) == 6


def assert_of_another_version(device):
    """In one line, to whoever asks, with the old values as stale."""
    until(lambda: isinstance(device.problem, SchemaMismatch))
    for ask in (lambda: device.set("neuron_count", 8), lambda: device.wait_live(0)):
        with pytest.raises(SchemaMismatch, match=r"0x0badbeef.* install [^\n]*\Z"):
            ask()
    assert device.stale and device.state.neuron_count == 7


def test_a_board_that_comes_back_with_another_version_is_waited_for(tmp_path):
    path = str(tmp_path / "ttyBOARD")
    with PtyDevice(FakeDevice(77, "micro", "board"), path):
        device = connect(path)
        device.set("neuron_count", 7)
        device.digest()
    with device:
        with PtyDevice(FakeDevice(88, "micro", "board", schema=0x0BADBEEF), path):
            assert_of_another_version(device)
        with PtyDevice(FakeDevice(99, "micro", "board"), path):
            device.wait_live(WAIT_S)
            assert device.set("neuron_count", 9) == 9 and device.problem is None


def test_a_board_that_is_flashed_while_its_port_stays_too(board):
    """As with a USB adapter, or a debugger's port."""
    with connect(board.port) as device:
        device.set("neuron_count", 7)
        device.digest()
        right = board.device.schema
        with board.lock:
            board.device.schema = 0x0BADBEEF
            board.device.restart(88)
        assert_of_another_version(device)
        with board.lock:
            board.device.schema = right
            board.device.restart(99)
        device.wait_live(WAIT_S)
        assert device.set("neuron_count", 9) == 9 and device.problem is None


def error_of_a_command_during(end, device, board):
    """What a command raises that runs on the device, unanswered, when `end` is called."""
    caught: list[BaseException] = []

    def command() -> None:
        try:
            device.add("neuron_count", 1, timeout_s=WAIT_S)
        except StateError as error:
            caught.append(error)

    thread = threading.Thread(target=command)
    thread.start()
    until(lambda: board.device.ran)
    end()
    thread.join()
    return caught[0]


def test_a_command_in_flight_when_the_port_goes_has_an_unknown_outcome(tmp_path):
    board = PtyDevice(FakeDevice(77), str(tmp_path / "ttyBOARD"))
    board.device.replies_wanted = False
    with connect(board.port) as device:
        assert isinstance(error_of_a_command_during(board.close, device, board), SessionLost)


def test_a_command_without_an_answer_times_out(board):
    board.device.replies_wanted = False
    with connect(board.port) as device, pytest.raises(CommandTimeout):
        device.set("neuron_count", 1, timeout_s=0.3)


def test_after_close_commands_are_refused_and_threads_are_gone(board):
    before = threading.active_count()
    device = connect(board.port)
    device.close()
    device.close()
    assert threading.active_count() == before
    with pytest.raises(LinkError, match="closed"):
        device.set("neuron_count", 1)
    assert device.stale and device.state.neuron_count == 0


def test_close_fails_a_command_that_waits(board):
    board.device.replies_wanted = False
    device = connect(board.port)
    assert isinstance(error_of_a_command_during(device.close, device, board), LinkError)


OWNER = """
import sys, feagi_state
device = feagi_state.connect(sys.argv[1])
print("live", flush=True)
try:
    for event in device.events():
        pass
finally:
    device.close()
"""


def owner(port: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "live\n"
    return process


def test_a_killed_owner_is_noticed_and_the_next_one_takes_over(board):
    process = owner(board.port)
    view = attach("board")
    assert not view.stale
    process.kill()
    process.communicate()
    until(lambda: view.stale)
    assert view.link.state == LinkState.STALE  # though nobody could write it
    assert not view.is_served
    with pytest.raises(StaleMirror, match=f"its owner .process {process.pid}. has died"):
        view.require_live()
    with connect(board.port) as device:
        assert device.name == "board"
        assert not view.stale
        device.set("neuron_count", 6)
        device.digest()
        assert view.state.neuron_count == 6


def test_a_port_that_another_process_serves_names_it_and_its_mirror(board):
    process = owner(board.port)
    with pytest.raises(PortError) as caught:
        connect(board.port)
    assert caught.value.reason == "busy"
    assert f"served by process {process.pid}: feagi_state.attach('board')" in str(caught.value)
    process.kill()
    process.communicate()
    with connect(board.port), pytest.raises(PortError, match="served by this process already, as mirror board"):
        connect(board.port)


def test_ctrl_c_ends_the_owner_cleanly(board):
    process = owner(board.port)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert "feagi_state.errors" not in errors and "Exception ignored" not in errors
    assert attach("board").link.state == LinkState.CLOSED
