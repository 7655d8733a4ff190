"""The server of pages: what it gives to whom, and that no browser disturbs it, with a board that a fleet serves."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fake_device import PtyDevice
from feagi_state import Fleet, spec
from feagi_state.clock import now_s
from feagi_state.errors import StateError
from feagi_state.frames import encode
from feagi_state.session import HostSession, Observer
from feagi_state.spec import CommandOp, LinkState
from feagi_state.web_door import Door, parse_address
from feagi_state.web_files import WebFilesMissing
from feagi_state.web_server import WebError, WebServer

PATIENCE_S = 20.0
SECRET = "a secret beside the folders"
FILES = {
    "index.js": "export const a = 1;",
    "package.json": "{}",
    "page/index.html": "<!doctype html><title>boards</title>",
    "page/page.css": "p {}",
    "page/deeper/icon.svg": "<svg/>",
    "src/link/link.js": "export const b = 2;",
    "src/notes.md": "no file for browsers",
    "wasm/embedded.js": "export const c = 3;",
    "wasm/feagi_state.wasm": "\0asm",
}
SAYS = {
    "cache-control": "no-store",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def web_folder(place: Path) -> Path:
    """A web package, and files beside it and in it that are nobody's affair."""
    top = place / "web"
    for name, text in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (place / "secret.js").write_text(SECRET)
    (top / "page" / "linked.js").symlink_to(place / "secret.js")
    (place / "outside").mkdir()
    (place / "outside" / "secret.js").write_text(SECRET)
    (top / "src" / "linked").symlink_to(place / "outside")
    return top


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server without a board."""
    with WebServer(lambda: (), "0", folder=web_folder(tmp_path_factory.mktemp("plain"))) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return web_folder(tmp_path)


@pytest.fixture
def fleet(board: PtyDevice, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet([board.port], mirror_dir=tmp_path / "mirrors") as served:
        served.wait_live(PATIENCE_S)
        yield served


@pytest.fixture
def server(fleet: Fleet, folder: Path) -> Iterator[WebServer]:
    with WebServer(lambda: fleet.devices, "0", folder=folder) as served:
        yield served


def place(server: WebServer) -> str:
    """Host and port."""
    return urlsplit(server.url).netloc


def query(server: WebServer) -> str:
    """?token=..."""
    return f"?{urlsplit(server.url).query}"


class Answer:
    def __init__(self, found: http.client.HTTPResponse) -> None:
        self.status = found.status
        self.headers = {name.lower(): value for name, value in found.getheaders()}
        self.body = found.read()


def get(server: WebServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(place(server), timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        return Answer(connection.getresponse())


def say(server: WebServer, request: bytes) -> bytes:
    """What it answers to these bytes, to its end."""
    host, _, port = place(server).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(65536), b""))


# ------------------------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/index.js", "index.js", "text/javascript; charset=utf-8"),
        ("/src/link/link.js", "src/link/link.js", "text/javascript; charset=utf-8"),
        ("/wasm/feagi_state.wasm", "wasm/feagi_state.wasm", "application/wasm"),
        ("/page/", "page/index.html", "text/html; charset=utf-8"),
        ("/page/page.css", "page/page.css", "text/css; charset=utf-8"),
        ("/page/deeper/icon.svg?x=1", "page/deeper/icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_comes_as_what_it_is(plain, path, name, kind):
    answer = get(plain, path)
    assert (answer.status, answer.headers["content-type"], answer.body.decode()) == (200, kind, FILES[name])


def test_the_root_leads_to_the_page_with_its_token(plain):
    answer = get(plain, "/" + query(plain))
    assert (answer.status, answer.headers["location"]) == (302, "/page/" + query(plain))


@pytest.mark.parametrize("path", ["/index.js", "/", "/nothing", "/boards", "/boards/board", "/boards?token=wrong"])
def test_every_answer_has_the_headers_that_keep_others_out(plain, path):
    answer = get(plain, path)
    assert {name: answer.headers[name] for name in SAYS} == SAYS
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert set(" ".join(policy.values()).split()) == {"'none'", "'self'", "'wasm-unsafe-eval'"}


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/src/notes.md",
        "/page/linked.js",
        "/src/linked/secret.js",
        "/secret.js",
        "/../secret.js",
        "/page/../../secret.js",
        "/page/%2e%2e/%2e%2e/secret.js",
        "/page/..%2f..%2fsecret.js",
        "/page/..\\..\\secret.js",
        "/page//../../secret.js",
        "//secret.js",
        "/page/index.html%00.js",
        "/page/index.html\x00",
        "/page",
        "/page/deeper/",
        "/src/",
        "http://elsewhere/index.js",
        "*",
        "/boards/../index.js",
        "/" + "a" * 5000,
    ],
)
def test_nothing_else_is_served(plain, path):
    answer = say(plain, f"GET {path} HTTP/1.1\r\nHost: {place(plain)}\r\n\r\n".encode())
    assert not answer.startswith(b"HTTP/1.1 200") and SECRET.encode() not in answer
    assert get(plain, "/index.js").status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x00" * 10_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /index.js HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
        "GET /ä HTTP/1.1\r\n\r\n".encode(),
    ],
)
def test_what_is_no_request_is_refused(plain, request_):
    with contextlib.suppress(ConnectionError):  # it may go before everything was said
        assert b" 200 " not in say(plain, request_)[:20]
    assert get(plain, "/index.js").status == 200


def test_only_get_is_answered(plain):
    answer = get(plain, "/index.js", "POST")
    assert answer.status == 405 and b"GET" in answer.body


def test_files_that_are_missing_are_told_with_the_way_out(tmp_path, folder):
    with pytest.raises(WebFilesMissing, match="no web package"):
        WebServer(lambda: (), "0", folder=tmp_path / "nowhere")
    (folder / "wasm" / "embedded.js").unlink()
    with pytest.raises(WebFilesMissing, match="make wasm"):
        WebServer(lambda: (), "0", folder=folder)


# --------------------------------------------------------------------------------------------------------- who may come in


def test_boards_are_listed_to_who_has_the_token(server, fleet, board):
    answer = get(server, "/boards" + query(server))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {"boards": [{"name": "board", "state": "LIVE", "url": "/boards/board", "problem": None}]}
    fleet.add("/dev/feagi-nowhere")
    [_, other] = json.loads(get(server, "/boards" + query(server)).body)["boards"]
    assert (other["name"], other["state"], other["url"]) == ("/dev/feagi-nowhere", "CONNECTING", "/boards/%2Fdev%2Ffeagi-nowhere")
    board.close()
    while (told := json.loads(get(server, "/boards" + query(server)).body)["boards"][0])["state"] == "LIVE":
        time.sleep(0.01)
    assert told["state"] == "STALE"


@pytest.mark.parametrize(
    "token", ["", "?token=", "?token=wrong", "?token={}x", "?token={}&token={}", "?TOKEN={}", "?token=%ff%fe", "?" + "a=1&" * 50 + "token={}"]
)
def test_another_token_is_refused_with_the_way_out(plain, token):
    right = parse_qs(urlsplit(plain.url).query)["token"][0]
    for path in ("/boards", "/boards/board"):
        answer = get(plain, path + token.format(right, right))
        assert answer.status == 403 and b"open the address that the server printed" in answer.body


def test_the_token_is_another_one_at_every_start(folder, plain):
    with WebServer(lambda: (), "0", folder=folder) as second:
        assert query(second) != query(plain) and len(query(second)) > 30
        assert get(second, "/boards" + query(plain)).status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "", "[::1"])
def test_a_name_that_is_not_the_servers_is_refused(plain, host):
    port = place(plain).rpartition(":")[2]
    answer = get(plain, "/index.js", Host=host.format(port=port))
    assert answer.status == 403 and b"open the address that it printed" in answer.body


def test_it_is_localhost_too(plain):
    port = place(plain).rpartition(":")[2]
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert get(plain, "/boards" + query(plain), Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://{place}", "http://{place}.evil.example", "http://localhost", ""])
def test_pages_of_other_sites_are_refused(plain, origin):
    origin = origin.format(place=place(plain))
    assert get(plain, "/boards" + query(plain), Origin=origin).status == 403
    with pytest.raises(InvalidStatus) as refused:
        open_socket(plain, additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80", ("127.0.0.1", 80)),
        (":80", ("127.0.0.1", 80)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:8765", ("::1", 8765)),
        ("name.example:1", ("name.example", 1)),
    ],
)
def test_addresses_are_read(text, found):
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["", "x", "::1:80", "localhost", "localhost:", "1:65536", "1:-1", "1:٣", "[::1]"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="HOST"):
        parse_address(text)


def test_a_server_for_others_is_called_by_any_address_and_by_no_foreign_name():
    door = Door("0.0.0.0", 80)
    assert door.url.startswith("http://127.0.0.1:80/?token=")
    for host in ("192.0.2.7:80", "192.0.2.7", "localhost:80", "[2001:db8::1]:80", socket.gethostname()):
        assert door.wrong_host([host]) == "", host
    for hosts in (["evil.example:80"], ["192.0.2.7:81"], [], ["192.0.2.7:80", "192.0.2.7:80"]):
        assert door.wrong_host(hosts), hosts


def test_a_server_of_all_addresses_of_ipv6_is_reached_by_one():
    assert Door("::", 80).url.startswith("http://[::1]:80/?token=")


def test_an_address_that_is_taken_is_told_with_the_way_out(folder, plain):
    with pytest.raises(WebError, match="port 0 is a free one"):
        WebServer(lambda: (), place(plain), folder=folder)


# ---------------------------------------------------------------------------------------------------------------- sockets


_opened = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def closed_at_the_end() -> Iterator[None]:
    """Sockets that `open_socket` opened."""
    with _opened:
        yield


def open_socket(server: WebServer, name: str = "board", **options: object) -> ClientConnection:
    return _opened.enter_context(connect(f"ws://{place(server)}/boards/{name}{query(server)}", compression=None, close_timeout=1, **options))


class Page(Observer):
    """The host role at the other end of a real WebSocket."""

    def __init__(self, server: WebServer, **options: object) -> None:
        self.socket = open_socket(server, **options)
        self.host = HostSession(self)
        self.host.port_opened(now_s())
        self.texts = b""
        self.lines: list[tuple[int, str]] = []

    def text(self, data: bytes) -> None:
        self.texts += data

    def log(self, level: int, message: str) -> None:
        self.lines.append((level, message))

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = now_s() + PATIENCE_S
        while not holds():
            assert now_s() < deadline, (self.host.link_state, self.host.counters)
            with contextlib.suppress(TimeoutError):
                data = self.socket.recv(timeout=0.02)
                assert isinstance(data, bytes)
                self.host.receive(data, now_s())
            self.host.poll(now_s())
            out = self.host.take_output()
            if out:
                self.socket.send(out)

    def until_live(self) -> None:
        self.until(lambda: self.host.link_state == LinkState.LIVE)


def test_a_socket_carries_the_link(server, board):
    page = Page(server, additional_headers={"Origin": f"http://{place(server)}"})
    page.until_live()
    with board.lock:
        board.device.set("neuron_count", 4242)
    field = spec.CORE_FIELDS["neuron_count"].offset
    page.until(lambda: page.host.mirror.load_field(field) == 4242)
    asked = page.host.command(CommandOp.ADD, (field, 8), now_s(), PATIENCE_S)
    page.until(lambda: asked.done)
    assert asked.values == (4250,) and board.device.get("neuron_count") == 4250
    board.say(b"printed by the board\r\n")
    with board.lock:
        board.device.send(spec.Kind.LOG, 0, (40, "logged by the board"))
    page.until(lambda: b"printed by the board" in page.texts and bool(page.lines))
    assert page.lines == [(40, "logged by the board")]


def test_pages_do_not_hinder_each_other(server, board):
    pages = [Page(server) for _ in range(5)]
    for page in pages:
        page.until_live()
    pages[0].socket.close()
    with board.lock:
        board.device.set("neuron_count", 7)
    for page in pages[1:]:
        page.until(lambda page=page: page.host.mirror.load_field(spec.CORE_FIELDS["neuron_count"].offset) == 7)


def test_the_end_of_the_server_is_told(fleet, folder):
    with WebServer(lambda: fleet.devices, "0", folder=folder) as server:
        page = Page(server)
        page.until_live()
        server.close()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                page.socket.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
    server.close()  # as often as one likes


def test_the_end_of_a_board_is_told(server, fleet):
    page = Page(server)
    page.until_live()
    fleet.devices[0].close()
    with pytest.raises(ConnectionClosed) as closed:
        page.until(lambda: False)
    assert closed.value.rcvd is not None and "not served any more" in closed.value.rcvd.reason
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server)
    assert refused.value.response.status_code == 404


def test_a_board_that_there_is_not_is_refused(server):
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server, "nobody")
    assert refused.value.response.status_code == 404
    assert get(server, "/boards/board" + query(server)).status == 426


def test_sockets_are_limited(server):
    pages = [open_socket(server) for _ in range(32)]
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server)
    assert refused.value.response.status_code == 503 and b"close one" in refused.value.response.body
    pages[0].close()
    assert_has_room(server)


def assert_has_room(server: WebServer) -> None:
    """A socket can be opened, as soon as the server knows of those that have ended."""
    deadline = now_s() + PATIENCE_S
    while True:
        try:
            open_socket(server).close()
            return
        except InvalidStatus:
            assert now_s() < deadline
            time.sleep(0.01)


def test_connections_are_limited(server, fleet):
    host, _, port = place(server).rpartition(":")
    lines = [socket.create_connection((host, int(port)), timeout=PATIENCE_S) for _ in range(200)]
    ended = 0
    for line in lines[128:]:
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(1) == b""
        ended += 1
    assert ended == 72
    for line in lines:
        line.close()
    while True:
        with contextlib.suppress(ConnectionError):
            assert get(server, "/index.js").status == 200
            return


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"\x00" * 4097, 1009), ("a text", 1003)],
    ids=["too much at once", "text"],
)
def test_what_is_no_frame_at_all_ends_the_socket(server, message, code):
    page = open_socket(server)
    page.send(message)
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            page.recv(timeout=PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == code


def test_no_browser_disturbs_the_host(server, fleet, board):
    """Garbage, half a frame, floods of commands and of greetings, and browsers that read nothing: the board's link goes on."""
    [device] = fleet
    session, frames = device.link.session, device.link.frames
    good = Page(server)
    good.until_live()
    bad = [Page(server) for _ in range(4)]
    for page in bad:
        page.until_live()
    field = spec.CORE_FIELDS["memory_usage"].offset
    commands = b"".join(encode(spec.Kind.COMMAND, seq, (CommandOp.ADD, field, 1), bad[0].host.session) for seq in range(60))
    hello = encode(spec.Kind.HELLO, 0, (spec.PROTOCOL_VERSION, spec.SCHEMA_HASH, 5, 249, 0, 253, 1))
    floods = [commands, hello * 50, bytes(range(256)) * 16, encode(spec.Kind.PING, 0, (1,), bad[3].host.session)[:-3] * 200]
    for _ in range(20):
        for page, flood in zip(bad, floods):
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                page.socket.send(flood[:4096])
        assert device.set("neuron_count", 5) == 5
    good.until(lambda: good.host.mirror.load_field(spec.CORE_FIELDS["neuron_count"].offset) == 5)
    link = device.link
    assert (link.state, link.session, link.naks) == (LinkState.LIVE, session, 0) and link.frames > frames
    assert good.host.counters["sessions"] == 1


def test_a_browser_that_reads_nothing_holds_up_nobody(server, board):
    open_socket(server)
    page = Page(server)
    page.until_live()
    for _ in range(300):
        board.say(b"x" * 1000 + b"\r\n")
    with board.lock:
        board.device.set("neuron_count", 7)
    page.until(lambda: page.host.mirror.load_field(spec.CORE_FIELDS["neuron_count"].offset) == 7)


def test_a_browser_that_goes_without_a_word_leaves_nothing_behind(server):
    for page in [open_socket(server) for _ in range(32)]:
        for _ in range(3):
            page.send(b"\xff" * 4096)
        page.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        page.socket.shutdown(socket.SHUT_RD)  # which ends the thread that reads it
        page.socket.close()
    assert_has_room(server)


# ------------------------------------------------------------------------------------------------------------ the command line


def test_serve_prints_the_pages_address(cli, board):
    background = cli.start("serve", board.port, "--http-at", "0")
    url = re.fullmatch(r"page: (http://127\.0\.0\.1:\d+/\?token=\S{20,})\n", background.until("page: "))
    assert url
    background.until("board: live")
    found = urlsplit(url[1])
    connection = http.client.HTTPConnection(found.netloc, timeout=PATIENCE_S)
    connection.request("GET", f"/boards?{found.query}")
    assert json.loads(connection.getresponse().read())["boards"][0]["name"] == "board"
    assert background.end() == 0


def test_serve_warns_of_an_address_for_others(cli, board):
    background = cli.start("serve", board.port, "--json", "--http-at", "0.0.0.0:0")
    assert json.loads(background.until("url"))["url"].startswith("http://127.0.0.1:")
    background.process.terminate()
    _, said = background.process.communicate(timeout=PATIENCE_S)
    assert said.startswith("warning: 0.0.0.0 is reached from other computers") and background.end() == 143


@pytest.mark.parametrize("address", ["x", "127.0.0.1:http", "1:2:3"])
def test_serve_refuses_what_is_no_address(cli, board, address):
    done = cli.run("serve", board.port, "--http-at", address)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(rf"feagi-state: --http-at: '{re.escape(address)}' is no \[HOST:\]PORT[^\n]+\n", done.stderr)


def test_without_the_package_websockets_the_way_out_is_said(cli, board, tmp_path):
    (tmp_path / "websockets.py").write_text("raise ImportError('not here')")
    cli.environment["PYTHONPATH"] = str(tmp_path)
    done = cli.run("serve", board.port, "--http")
    assert done.returncode == 1 and done.stderr.endswith('pip install "feagi-state[http]"\n') and done.stderr.count("\n") == 1


def test_nothing_else_needs_the_package_websockets():
    code = "import feagi_state.cli.main, sys; print('websockets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_errors_are_of_the_packages_tree():
    assert issubclass(WebError, StateError) and issubclass(WebFilesMissing, StateError)
