"""The boards in a browser: a server of the page's files, and of a WebSocket for each board that speaks the link.

It has a thread of its own. Nothing in it is waited for by the threads that serve boards, and no browser can make it
keep more than a fixed amount of memory, or take more than a fixed share of its time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from .clock import now_s
from .closing import Closing
from .device import Device
from .errors import StaleMirror, StateError
from .spec import LinkState
from .waiting import LONGEST_PAUSE_S
from .web_door import Door, parse_address
from .web_files import WebFiles, web_dir
from .web_relay import Relay

__all__ = ["WebError", "WebServer"]

_log = logging.getLogger("feagi_state.http")
_log.addHandler(logging.NullHandler())  # what browsers do wrong is for who asks for it, and not for the terminal

_BOARDS: Final = "/boards"
_SOCKETS_MOST: Final = 32
_CONNECTIONS_MOST: Final = 128  # browsers open several for the files; each is there for one of them
_MESSAGE_MOST: Final = 4096  # bytes that a browser may say at once; its frames have at most 255
_QUEUED_MOST: Final = 4  # messages that wait to be read
_UNSENT_MOST: Final = 4096  # bytes that wait for a browser before it is told nothing more
_READ_A_S: Final = 65536  # bytes that all browsers together are heard with, the rest waits where it comes from
_REASON_MOST: Final = 120  # bytes that a WebSocket says of its end
_MESSAGE_COST: Final = 64  # bytes as which a message counts besides its own
_OPEN_S: Final = 3.0  # for a request, from its first byte on
_CLOSE_S: Final = 1.0  # for a browser's goodbye
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the next one: threads in WebAssembly
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
}


class WebError(StateError):
    """The server cannot be had at this address."""


class WebServer(Closing):
    """Serves browsers, from its making to `close`. All methods may be called from any thread."""

    def __init__(
        self, devices: Callable[[], Iterable[Device]], address: str = "8765", *, folder: Path | None = None
    ) -> None:
        """`devices` gives the boards that there are now; it is called in the server's thread. `address`: [HOST:]PORT,
        port 0 for a free one. `folder`: the web package, that of this installation unless given.

        Raises WebError, WebFilesMissing, ValueError for what is no address.
        """
        self._devices = devices
        self._host, port = parse_address(address)
        self._files = WebFiles(folder or web_dir())
        self._door: Door
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._connections: set[_Connection] = set()
        self._sockets = 0
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(port, started), name="feagi_state http", daemon=True)
        self._thread.start()
        try:
            started.result()
        except OSError as error:
            raise WebError(
                f"nothing can be served at {address}: {error.strerror or error}; port 0 is a free one"
            ) from None

    @property
    def url(self) -> str:
        """The page's address, with the token that only this start has."""
        return self._door.url

    def close(self) -> None:
        """Tells the browsers that it ends, and ends. May be called more than once."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    # -------------------------------------------------------------------------------------------- the server's thread

    def _run(self, port: int, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(port, started))
        except BaseException as error:
            if started.done():
                _log.exception("the server failed")
            else:
                started.set_exception(error)

    async def _serve(self, port: int, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        server = await serve(
            self._serve_socket,
            self._host,
            port,
            process_request=self._answer,
            process_response=_complete,
            create_connection=partial(_Connection, self._connections),  # type: ignore[arg-type]
            compression=None,
            logger=_log,
            max_size=_MESSAGE_MOST,
            max_queue=_QUEUED_MOST,
            write_limit=_UNSENT_MOST,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            server_header=None,
        )
        self._door = Door(self._host, next(iter(server.sockets)).getsockname()[1])
        started.set_result(None)
        await self._ending.wait()
        server.close()  # which tells the browsers 1001, going away
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _OPEN_S + _CLOSE_S)

    # ------------------------------------------------------------------------------------------------------- requests

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None: it is one for a WebSocket, which is opened."""
        path, _, query = request.path.partition("?")
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        wrong = self._door.wrong_host(hosts) or self._door.wrong_origin(origins, hosts)
        if not wrong and (path + "/").startswith(_BOARDS + "/"):
            wrong = self._door.wrong_token(query)
        if wrong:
            return _text(HTTPStatus.FORBIDDEN, wrong)
        if getattr(request, "method", "GET") != "GET":  # older websockets refuse them before
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is answered here.")
        if path == _BOARDS:
            body = json.dumps({"boards": [_described(device) for device in self._devices()]}, ensure_ascii=False)
            return _response(HTTPStatus.OK, "application/json", body.encode())
        if path.startswith(_BOARDS + "/"):
            return self._answer_socket(path, request)
        if path == "/":
            # A folder deeper, so that what the page names relative to itself is where it is among the files.
            return _response(HTTPStatus.FOUND, "text/plain", b"", Location=f"{self._files.page}?{query}")
        try:
            found = self._files.read(path)
        except OSError:
            found = None  # it was there at the start
        if found is None:
            return _text(HTTPStatus.NOT_FOUND, "There is no such file here.")
        return _response(HTTPStatus.OK, *found)

    def _answer_socket(self, path: str, request: Request) -> Response | None:
        if self._device(path) is None:
            return _text(HTTPStatus.NOT_FOUND, f"There is no such board: {_BOARDS} lists those that are served.")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _text(HTTPStatus.UPGRADE_REQUIRED, "A WebSocket is served here.", Upgrade="websocket")
        if self._sockets >= _SOCKETS_MOST:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, f"{_SOCKETS_MOST} pages are connected already: close one.")
        return None

    def _device(self, path: str) -> Device | None:
        return next((device for device in self._devices() if path in _paths(device)), None)

    # -------------------------------------------------------------------------------------------------------- sockets

    async def _serve_socket(self, connection: ServerConnection) -> None:
        request = connection.request
        device = self._device(request.path.partition("?")[0]) if request is not None else None
        if device is None:
            return
        relay = Relay(device, self._call)
        hearers = (
            device.on_text(lambda data: self._call(lambda: relay.text(data))),
            device.on_log(lambda level, message: self._call(lambda: relay.log(level, message))),
        )
        wake = asyncio.Event()
        self._sockets += 1
        tasks = [
            asyncio.create_task(self._hear(connection, relay, wake)),
            asyncio.create_task(self._say(connection, device, relay, wake)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sockets -= 1
            for hearer in hearers:
                hearer.close()
            relay.close()
            for task in tasks:
                task.cancel()

    async def _hear(self, connection: ServerConnection, relay: Relay, wake: asyncio.Event) -> None:
        """Takes what a browser says, no faster than is fair."""
        with suppress(ConnectionClosed):
            async for message in connection:
                if isinstance(message, str):
                    await connection.close(1003, "frames are binary messages")
                    return
                try:
                    relay.receive(message, now_s())
                except Exception:
                    _log.exception("what a browser said")
                    await connection.close(1011, "the relay failed")
                    return
                wake.set()
                await asyncio.sleep((len(message) + _MESSAGE_COST) * self._sockets / _READ_A_S)

    async def _say(self, connection: ServerConnection, device: Device, relay: Relay, wake: asyncio.Event) -> None:
        """Tells a browser what is new, as fast as it takes it: a slow one gets fewer changes, and the latest."""
        reason = "the board is not served any more"
        try:
            while not device.closed:
                if connection.state is not State.OPEN:
                    return  # it is gone, with what it said and nobody has heard
                out = relay.take_output(now_s())
                if out:
                    await connection.send(out)
                look = self._loop.call_later(LONGEST_PAUSE_S, wake.set)
                await wake.wait()
                look.cancel()
                wake.clear()
        except ConnectionClosed:
            return
        except StateError as error:
            reason = str(error)
        except Exception:
            _log.exception("the relay of %s", device)
            reason = "the relay failed"
        await connection.close(1011, reason.encode()[:_REASON_MOST].decode(errors="ignore"))

    def _call(self, function: Callable[[], None]) -> None:
        """Has it called in the server's thread, if there still is one. Any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


class _Connection(ServerConnection):
    """A connection, if there are not too many: each takes a descriptor, and so do the boards' ports."""

    def __init__(self, present: set[_Connection], *arguments: Any, **settings: Any) -> None:
        """`present`: those of the server."""
        super().__init__(*arguments, **settings)
        self._present = present

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to serve it."""
        super().connection_made(transport)
        self._present.add(self)
        if len(self._present) > _CONNECTIONS_MOST:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._present.discard(self)
        super().connection_lost(exc)


def _described(device: Device) -> dict[str, Any]:
    """A board, as /boards lists it."""
    try:
        name, state = device.name, device.link.state
    except StaleMirror:
        name, state = device.port, LinkState.CONNECTING
    problem = device.problem
    return {
        "name": name,
        "state": state.name,
        "url": f"{_BOARDS}/{quote(name, safe='')}",
        "problem": None if problem is None else str(problem),
    }


def _paths(device: Device) -> tuple[str, ...]:
    """Where a board is: by its name, and by its port, under which it is listed before it has one."""
    names = [device.port]
    with suppress(StaleMirror):
        names.append(device.name)
    return tuple(f"{_BOARDS}/{quote(name, safe='')}" for name in names)


def _text(status: HTTPStatus, text: str, **headers: str) -> Response:
    return _response(status, "text/plain; charset=utf-8", f"{text}\n".encode(), **headers)


def _response(status: HTTPStatus, media_type: str, body: bytes, **headers: str) -> Response:
    found = Headers(headers)
    found["Content-Type"] = media_type
    found["Content-Length"] = str(len(body))
    found["Connection"] = "close"
    return Response(status.value, status.phrase, found, body)


def _complete(connection: ServerConnection, request: Request, response: Response) -> None:
    """What every answer says."""
    for name, value in _HEADERS.items():
        response.headers[name] = value
