"""What a client is told of its commands, whatever its server says and whenever it ends: without threads, step by step."""

from __future__ import annotations

import json
import socket
from selectors import EVENT_READ

import pytest

from feagi_state import LinkError, PortError, SessionLost, attach, spec
from feagi_state.clock import now_s
from feagi_state.commands import Batch
from feagi_state.listeners import TextSubscription
from feagi_state.messages import VERSION, Connection, line_from_wire
from feagi_state.mirror_files import OwnedMirror
from feagi_state.served_link import ServedLink
from places import HEADER_LEN, layout

GREETING = {"feagi_state": VERSION, "schema": spec.SCHEMA_HASH, "pid": 4711, "name": "board"}


class Steps:
    """A runner that calls at once and watches nothing: the test says when something is ready."""

    class callbacks:
        do = staticmethod(lambda job: job())

    tick_s = 1.0

    def call(self, function, member=None) -> bool:
        function()
        return True

    call_and_wait = call

    def add(self, member) -> None: ...
    def remove(self, member) -> None: ...
    def watch(self, member, file, events) -> None: ...
    def forget(self, file) -> None: ...


class Server:
    """The other end of the connection."""

    def __init__(self, mirror_dir) -> None:
        near, self.socket = socket.socketpair()
        self.file = near.fileno()
        self.link = ServedLink(Steps(), attach("board", mirror_dir=mirror_dir), Connection(near))
        self.heard = self.socket.makefile("rb")

    def say(self, *messages: dict[str, object], rest: bytes = b"") -> None:
        self.socket.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages) + rest)

    def end(self) -> None:
        """All that was not read is lost, as when a process is killed."""
        self.heard.close()
        self.socket.close()

    def hears(self) -> dict[str, object]:
        return json.loads(self.heard.readline())

    def client_looks(self) -> None:
        self.link.ready(self.file, EVENT_READ)

    def client_runs(self, *operations) -> Batch:
        batch = Batch(operations or [(4, ())], now_s() + 60, lambda: None)
        self.link.start(batch)
        return batch


@pytest.fixture
def server(tmp_path):
    owned = OwnedMirror("board", tmp_path)
    owned.open(bytes(layout("tiny")[0][:HEADER_LEN]), "board", "/dev/ttyX")
    made = Server(tmp_path)
    yield made
    made.end()
    made.link.close()
    owned.close()


@pytest.fixture
def greeted(server):
    server.say(GREETING)
    server.client_looks()
    return server


def outcome(batch: Batch) -> str:
    if not batch.done:
        return "waits"
    if batch.error is None:
        return "good"
    assert isinstance(batch.error, LinkError)
    return "unknown" if batch.error.may_have_run else "not sent"


def test_commands_wait_for_the_greeting(server):
    batch = server.client_runs((1, (16, 5)), (3, (b"\x01\xff", 2**64 - 1)))
    server.say(GREETING)
    server.client_looks()
    assert server.hears() == {"log": True}, "first: the commands may make the board say something"
    message = server.hears()
    assert message["commands"] == [[1, 16, 5], [3, "01ff", 2**64 - 1]] and outcome(batch) == "waits"


def test_replies_are_what_the_server_says(greeted):
    batch = greeted.client_runs((1, (16, 5)), (4, ()))
    greeted.say({"sent": 1}, {"reply": 1, "status": 0, "values": [5], "digest": None}, {"sent": 1})
    greeted.say({"reply": 1, "status": 0, "values": [7, "00ff"], "digest": 7}, {"end": 1, "error": None})
    greeted.client_looks()
    assert outcome(batch) == "good"
    assert batch.replies == [(0, (5,), None), (0, (7, b"\x00\xff"), 7)]


def test_of_a_server_that_dies_only_what_it_said_it_sent_may_have_run(greeted):
    sent, waiting = greeted.client_runs(), greeted.client_runs()
    greeted.say({"sent": 1})
    greeted.end()
    while not sent.done:
        greeted.client_looks()
    assert (outcome(sent), outcome(waiting)) == ("unknown", "not sent")
    assert isinstance(sent.error, SessionLost) and isinstance(waiting.error, PortError)
    assert outcome(greeted.client_runs()) == "not sent"


def test_what_a_dead_server_has_said_is_heard_even_if_its_end_is_noticed_while_writing(greeted):
    sent = greeted.client_runs()
    done = greeted.client_runs()
    greeted.say({"sent": 2}, {"reply": 2, "status": 0, "values": [], "digest": None}, {"end": 2, "error": None})
    greeted.say({"text": "x" * 50_000}, {"sent": 1})
    greeted.end()
    late = greeted.client_runs()
    assert (outcome(sent), outcome(done), outcome(late)) == ("unknown", "good", "not sent")


def test_after_a_reply_the_next_command_of_several_was_not_sent(greeted):
    batch = greeted.client_runs((1, (16, 5)), (1, (20, 5)))
    greeted.say({"sent": 1}, {"reply": 1, "status": 0, "values": [5], "digest": None})
    greeted.end()
    while not batch.done:
        greeted.client_looks()
    assert outcome(batch) == "not sent" and len(batch.replies) == 1


def test_half_a_notice_is_none(greeted):
    batch = greeted.client_runs()
    greeted.say(rest=b'{"sent": 1}')
    greeted.end()
    while not batch.done:
        greeted.client_looks()
    assert outcome(batch) == "not sent"


def test_of_a_server_that_may_still_run_nothing_is_sure(greeted):
    """It broke the rules, or the client has closed: the server may send what it has got before it notices."""
    batch = greeted.client_runs()
    greeted.say(rest=b"no message\n")
    greeted.client_looks()
    assert outcome(batch) == "unknown"


def test_closing_the_client_tells_so_too(greeted):
    batch = greeted.client_runs()
    greeted.link.close()
    assert outcome(batch) == "unknown" and "closed" in str(batch.error)
    late = greeted.client_runs()
    assert outcome(late) == "not sent"


@pytest.mark.parametrize(
    ("error", "kind", "may_have_run"),
    [
        ({"kind": "PortError", "message": "away", "reason": "absent", "may_have_run": False}, PortError, False),
        ({"kind": "SessionLost", "message": "lost", "may_have_run": True}, SessionLost, True),
        ({"kind": "Nonsense", "message": "?", "may_have_run": False}, LinkError, False),
        ({"message": "?"}, LinkError, True),
        ("nonsense", LinkError, True),
    ],
)
def test_errors_of_the_server_are_errors_here(greeted, error, kind, may_have_run):
    batch = greeted.client_runs()
    greeted.say({"end": 1, "error": error})
    greeted.client_looks()
    assert type(batch.error) is kind and batch.error.may_have_run is may_have_run


NO_LINES = [
    *(None, 5, "ab", [], [20], [20, "a", "b"], {"20": 1, "a": 2}),
    *([True, "a"], [20.0, "a"], [-1, "a"], [256, "a"], [10**400, "a"], [["a"] * 1000, "a"]),
    *([20, 5], [20, None], [20, ["a"]], [20, "\ud800"], [20, "x" * 201]),
]


@pytest.mark.parametrize("line", NO_LINES, ids=range(len(NO_LINES)))
def test_log_lines_of_no_board_are_passed_over(greeted, caplog, line):
    caplog.set_level(1, "feagi_state.device")
    heard: list[tuple[int, str]] = []
    greeted.link.listeners.subscribe_log(TextSubscription(lambda *said: heard.append(said)))
    greeted.say({"log": line}, {"log": [1, "\u00e9" * 100]})
    greeted.client_looks()
    assert heard == [(1, "\u00e9" * 100)] and greeted.link.fatal is None
    assert [one.getMessage() for one in caplog.records] == ["/dev/ttyX: " + "\u00e9" * 100]


def test_a_line_that_cannot_even_be_told_in_an_error_is_passed_over():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert line_from_wire([deep, "a"]) is None


def test_what_nobody_asked_for_is_passed_over(greeted):
    batch = greeted.client_runs()
    greeted.say({"sent": 99}, {"end": 98, "error": None}, {"reply": "x"}, {"something": "new"}, {"end": 1, "error": None})
    greeted.client_looks()
    assert batch.done and batch.error is None
