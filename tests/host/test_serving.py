"""A device that another process serves: the same API through its socket, and the truth about commands when it dies."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fake_device import FakeDevice, PtyDevice
from feagi_state import (
    BurstEngineState,
    Change,
    Fleet,
    InvalidValue,
    LinkError,
    LinkState,
    PortError,
    SchemaMismatch,
    SessionLost,
    StateError,
    attach,
    connect,
    spec,
)
from feagi_state.clock import now_s
from feagi_state.messages import VERSION, connect_to
from processes import Program, program

WAIT_S = 30.0
SERVER = """
with Fleet([sys.argv[1]], serve=True) as fleet:
    fleet.wait_live(30)
    say("live")
    hear()
"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.fixture
def board():
    with PtyDevice(FakeDevice(77, "micro", "board")) as served:
        yield served


@pytest.fixture
def fleet(board):
    """A server in this process, which serves as well as another."""
    with Fleet([board.port], serve=True) as serving:
        serving.wait_live(WAIT_S)
        yield serving


@pytest.fixture
def server(board):
    with program(SERVER, board.port) as started:
        assert started.hear() == "live"
        yield started


def until(condition) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


# ---------------------------------------------------------------------------------------------------- the same API


@pytest.mark.parametrize("by", ["port", "name", "link"])
def test_connect_attaches_to_who_serves_it(server, board, tmp_path, by):
    os.symlink(board.port, tmp_path / "link")
    with connect({"port": board.port, "name": "board", "link": str(tmp_path / "link")}[by]) as device:
        assert device.name == "board" and device.port == board.port and not device.stale
        assert device.link.owner_pid == server.process.pid != os.getpid()
        assert device.set("burst_engine_state", BurstEngineState.RUNNING) is BurstEngineState.RUNNING
        assert device.add("neuron_count", 5) == 5
        assert device.subtract("neuron_count", 9) == 0
        assert device.update(neuron_count=7, burst_frequency=12.5) == {"neuron_count": 7, "burst_frequency": 12.5}
        theirs, ours = device.digest()
        assert theirs == ours
        assert device.state.neuron_count == 7 and device.state.burst_frequency == 12.5
        device.wait_live(0)
    assert not attach("board").stale, "who serves it goes on"


def test_what_the_device_refuses_is_raised_as_if_the_port_were_ours(server, board):
    with connect("board") as device:
        with pytest.raises(InvalidValue, match="burst_engine_state") as caught:
            device.update(neuron_count=5, burst_engine_state=99, synapse_count=1)
        assert caught.value.written == {"neuron_count": 5}
        assert len(board.device.ran) == 2
        board.device.replies_wanted = False
        with pytest.raises(LinkError) as lost:
            device.add("neuron_count", timeout_s=0.3)
        assert lost.value.may_have_run


def test_changes_events_and_text_come_here_too(fleet, board):
    with connect("board") as device:
        heard: list[Change] = []
        texts: list[bytes] = []
        device.text = texts.append
        device.on_change(heard.append, "neuron_count")
        changes, events = device.changes("neuron_count", timeout_s=WAIT_S), device.events(timeout_s=WAIT_S)
        device.set("neuron_count", 3)
        assert next(changes).value == 3
        until(lambda: [change.value for change in heard] == [3])
        with board.lock:
            board.device.event(300, 1, 2)
        assert next(events).arg == 1

        def speak() -> bool:
            board.say(b"h\xe9llo")
            return bool(texts)

        until(speak)
        assert texts[0].startswith(b"h\xe9llo")  # what was said again meanwhile may be with it


def test_the_boards_log_comes_here_too(server, board, caplog):
    """The server is another process: what this one's logger gets came through the socket."""
    caplog.set_level(logging.DEBUG, "feagi_state.device")
    with connect("board") as device:
        heard: list[tuple[int, str]] = []
        device.on_log(lambda level, message: heard.append((level, message)))
        device.set("neuron_count", 1)  # once it is answered, the server knows that this process asked
        for line in ((10, "first"), (255, "h\u00e9llo \U0001f9e0"), (40, "")):
            with board.lock:
                board.device.send(spec.Kind.LOG, 0, line)
        until(lambda: len(heard) == 3)
    assert heard == [(10, "first"), (255, "h\u00e9llo \U0001f9e0"), (40, "")]
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (level, f"{board.port}: {message}") for level, message in heard
    ]


def test_who_comes_later_hears_what_the_board_is(server, board):
    line = "MicroPython v1.25.0; PYBv1.1 with STM32F405RG"
    with connect("board") as device:
        assert device.about is None
        with board.lock:
            board.device.send(spec.Kind.LOG, 0, (20, line))
        until(lambda: device.about == line)
    with connect("board") as device:
        until(lambda: device.about == line)


def test_a_client_hears_the_log_from_its_asking_to_its_taking_back(fleet, directory, board):
    line = connect_to(directory / "board.sock")
    assert line is not None
    line.settimeout(WAIT_S)
    said = line.makefile("r", encoding="utf-8")
    assert json.loads(next(said))["name"] == "board"
    heard: list[str] = []
    fleet["board"].on_log(lambda level, message: heard.append(message))

    def ask(message: dict[str, object], number: int) -> None:
        """Says it, and waits until the server has read it."""
        run = {"run": number, "commands": [[4]], "deadline": now_s() + WAIT_S}
        line.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in (message, run)))
        while "end" not in (answer := json.loads(next(said))):
            assert "log" not in answer

    def log(message: str) -> None:
        with board.lock:
            board.device.send(spec.Kind.LOG, 0, (30, message))
        until(lambda: message in heard)

    ask({"text": False}, 1)
    log("before")
    ask({"log": True}, 2)
    log("during")
    assert json.loads(next(said)) == {"log": [30, "during"]}
    ask({"log": False}, 3)
    log("after")
    ask({"log": False}, 4)
    line.close()


def test_many_clients_and_the_server_share_one_device(fleet, board):
    def from_thread() -> None:
        with connect("board") as device:
            for _ in range(20):
                device.add("neuron_count")

    async def from_tasks() -> None:
        with connect("board") as device:
            await asyncio.gather(*(device.add_async("neuron_count") for _ in range(40)))

    threads = [threading.Thread(target=from_thread) for _ in range(4)]
    threads += [threading.Thread(target=lambda: asyncio.run(from_tasks())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        fleet["board"].add("neuron_count")
    for thread in threads:
        thread.join()
    assert fleet["board"].add("neuron_count", 0) == 180 == len(board.device.ran) - 1


def test_a_connect_that_serves_is_a_server_and_one_that_does_not_is_none(board):
    with connect(board.port, serve=True) as owner, connect(board.port) as device:
        assert device.set("neuron_count", 5) == 5 and owner.add("neuron_count") == 6
    with connect(board.port), pytest.raises(PortError, match="served by this process already") as caught:
        connect(board.port)
    assert caught.value.reason == "busy"


def test_a_board_that_is_away_is_the_servers_problem_and_the_clients(tmp_path):
    path = str(tmp_path / "ttyBOARD")
    with Fleet([path], serve=True) as fleet:
        with PtyDevice(FakeDevice(77, name="board"), path):
            fleet.wait_live(WAIT_S)
            device = connect("board")
            device.set("neuron_count", 7)
        with device:
            until(lambda: device.stale)
            with pytest.raises(PortError) as caught:
                until(lambda: device.set("neuron_count", 8) is None)
            assert caught.value.reason in ("gone", "absent") and not caught.value.may_have_run
            assert device.state.neuron_count == 7
            with PtyDevice(FakeDevice(99, name="board"), path):
                device.wait_live(WAIT_S)
                assert device.set("neuron_count", 9) == 9


# ------------------------------------------------------------------------------------------------------ its socket


def test_only_its_user_can_connect_to_the_socket(fleet, directory):
    found = os.stat(directory / "board.sock")
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    fleet.close()
    assert sorted(path.name for path in directory.iterdir()) == ["board.lock", "board.mirror"]


def test_a_socket_with_a_long_path(board, tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with Fleet([board.port], serve=True, mirror_dir=deep) as fleet:
        fleet.wait_live(WAIT_S)
        with connect("board", mirror_dir=deep) as device:
            assert device.set("neuron_count", 5) == 5


HOSTILE = [
    b"\xff\xfe\n",
    b"[]\n",
    b"{}\n",
    b'{"run": 1}\n',
    b'{"run": "1", "commands": [[4]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[4]], "deadline": NaN}\n',
    b'{"run": 1, "commands": [], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[true]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[1, 2.5, 3]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[1, 99999999999999999999999, 3]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[1, "xyz"]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": [[300]], "deadline": 1e9}\n',
    b'{"run": 1, "commands": %s, "deadline": 1e9}\n' % json.dumps([[4]] * 1001).encode(),
    b'{"cancel": []}\n',
    b"[" * 5000 + b"\n",
    b"x" * 100_000,
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_who_breaks_the_rules_is_sent_away_and_nobody_else(fleet, directory, board, said):
    with connect("board") as device:
        line = connect_to(directory / "board.sock")
        assert line is not None
        line.settimeout(WAIT_S)
        line.sendall(said)
        while True:
            try:
                if not line.recv(4096):
                    break
            except ConnectionResetError:
                break
        line.close()
        assert device.set("neuron_count", 5) == 5
        assert len(board.device.ran) == 1


def test_odd_commands_are_the_devices_to_refuse(fleet, directory, board):
    """What has the shape of a command goes to the device; a number or text that it does not know changes nothing."""
    line = connect_to(directory / "board.sock")
    assert line is not None
    line.settimeout(WAIT_S)
    line.sendall(b'{"run": 7, "commands": [[1, 9999, 1], [4]], "deadline": %f}\n' % (now_s() + WAIT_S))
    said = line.makefile("r", encoding="utf-8")
    messages = [json.loads(next(said)) for _ in range(4)]
    assert messages[0]["name"] == "board" and messages[0]["schema"] == spec.SCHEMA_HASH
    assert messages[1:3] == [{"sent": 7}, {"reply": 7, "status": -5, "values": [], "digest": None}]
    assert messages[3] == {"end": 7, "error": None}
    line.close()


def test_a_client_that_does_not_read_holds_up_nobody(fleet, directory, board):
    line = connect_to(directory / "board.sock")
    assert line is not None
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(True)
    line.sendall(b'{"text": true}\n{"log": true}\n')
    for number in range(200):
        line.sendall(b'{"run": %d, "commands": [[2, 16, 0]], "deadline": %f}\n' % (number, now_s() + WAIT_S))
    with connect("board") as device:
        for n in range(100):
            board.say(b"text" * 500)
            with board.lock:
                board.device.send(spec.Kind.LOG, 0, (30, "x" * 200))
            assert device.set("neuron_count", n) == n
    line.close()


# ------------------------------------------------------------------------------------------------- its end


def test_a_killed_server_and_the_one_that_takes_its_place(board):
    with program(SERVER, board.port) as first:
        assert first.hear() == "live"
        device = connect("board")
        device.set("neuron_count", 1)
        until(lambda: device.state.neuron_count == 1)
        first.kill()
    with device:
        until(lambda: device.stale)
        assert device.link.state == LinkState.STALE and device.state.neuron_count == 1
        with pytest.raises(PortError, match=rf"process {first.process.pid}, .*has ended") as caught:
            until(lambda: device.set("neuron_count", 2) is None)
        assert caught.value.reason == "gone" and not caught.value.may_have_run
        with pytest.raises(PortError, match="has ended"):
            device.wait_live(0)
        with program(SERVER, board.port) as second:
            assert second.hear() == "live"
            device.wait_live(WAIT_S)
            assert device.set("neuron_count", 3) == 3
            assert board.device.ran[-1][2] == 3


def test_a_server_that_ends_in_order_says_what_became_of_the_commands(board):
    board.device.replies_wanted = False
    fleet = Fleet([board.port], serve=True)
    fleet.wait_live(WAIT_S)
    errors: dict[int, StateError] = {}
    with connect("board") as device:

        def command(value: int) -> None:
            try:
                device.set("neuron_count", value)
            except StateError as error:
                errors[value] = error

        threads = [threading.Thread(target=command, args=(value,)) for value in range(5)]
        for thread in threads:
            thread.start()
        until(lambda: board.device.ran)
        fleet.close()
        for thread in threads:
            thread.join()
    [ran] = {args[2] for args in board.device.ran}
    assert isinstance(errors.pop(ran), SessionLost)
    assert len(errors) == 4 and not any(error.may_have_run for error in errors.values())


def test_a_server_that_is_stopped_does_not_send_later_what_its_client_has_given_up(server, board):
    with connect("board") as device:
        os.kill(server.process.pid, signal.SIGSTOP)
        tasks = Path(f"/proc/{server.process.pid}/task")
        until(lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()))
        with pytest.raises(LinkError):
            device.set("neuron_count", 1, timeout_s=0.1)
        with pytest.raises(LinkError, match=r"did not answer|stale"):
            connect("board", timeout_s=0.1)
        os.kill(server.process.pid, signal.SIGCONT)
        device.wait_live(WAIT_S)
        assert device.set("neuron_count", 2) == 2
        assert [args[2] for args in board.device.ran] == [2]


def test_a_server_of_another_version_is_one_clear_line(board, directory):
    with connect(board.port), socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "board.sock"))
        other.listen()
        greeting = {"feagi_state": VERSION, "schema": spec.SCHEMA_HASH ^ 1, "pid": 4711, "name": "board"}

        def greet() -> None:
            line, _ = other.accept()
            line.sendall(json.dumps(greeting).encode() + b"\n")
            line.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(LinkError, match=r"process 4711, .* another version") as caught:
            connect("board")
        assert "\n" not in str(caught.value) and not isinstance(caught.value, SchemaMismatch)
        thread.join()


class Clients:
    """Threads that write one number after the other, none twice, and remember what they were told of each."""

    def __init__(self, port: str, count: int) -> None:
        self.told: dict[int, str] = {}
        self.numbers = iter(range(1, 10**9))
        self.lock = threading.Lock()
        self.ended = False
        self.threads = [threading.Thread(target=self.write, args=(port,)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def write(self, port: str) -> None:
        with connect(port, timeout_s=WAIT_S) as device:
            while not self.ended:
                with self.lock:
                    several = [next(self.numbers) for _ in range(3)]
                try:
                    if several[0] % 2:
                        device.set("neuron_count", several[0], timeout_s=WAIT_S)
                        self.told[several[0]] = "ran"
                    else:
                        fields = ("neuron_count", "synapse_count", "memory_usage")
                        device.update(zip(fields, several), timeout_s=WAIT_S)
                        self.told.update(dict.fromkeys(several, "ran"))
                except LinkError as error:
                    written = list(error.written.values())
                    self.told.update(dict.fromkeys(written, "ran"))
                    unknown = several[len(written) : len(written) + 1] if error.may_have_run else []
                    self.told.update(dict.fromkeys(unknown, "unknown"))
                    while not self.ended and device.stale:
                        with suppress(LinkError):
                            device.wait_live(1.0)

    def end(self) -> None:
        self.ended = True
        for thread in self.threads:
            thread.join()


@pytest.mark.slow
def test_whenever_the_server_is_killed_commands_ran_at_most_once_and_clients_are_told_the_truth(board):
    """What a client was told that it ran, ran once; of what it was told nothing else, nothing ran."""
    source = random.Random(4711)
    started = Program(SERVER, board.port)
    assert started.hear() == "live"
    clients = Clients("board", 4)
    try:
        for _ in range(15):
            target = len(board.device.ran) + source.randrange(5, 60)
            until(lambda target=target: len(board.device.ran) >= target)
            started.kill()
            started = Program(SERVER, board.port)
            assert started.hear() == "live"
    finally:
        clients.end()
        started.kill()
    values = [args[2] for args in board.device.ran]
    assert len(values) == len(set(values)), "a command ran twice"
    ran = set(values)
    said = {what: {value for value, told in clients.told.items() if told == what} for what in ("ran", "unknown")}
    assert said["ran"] <= ran, "a client was told of a command that it ran"
    assert ran <= said["ran"] | said["unknown"], "a client was told of a command that it was not sent"
    assert len(said["ran"]) > 200 and said["unknown"]
