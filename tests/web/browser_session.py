"""The browser's host role, JavaScript in a process of Node, with the face of feagi_state.session.HostSession as far as the tests of
lossy lines know it."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from typing import Any, ClassVar

from common import ROOT
from feagi_state.session import COUNTERS, Hello, Observer
from feagi_state.spec import PROTOCOL_VERSION, SCHEMA_HASH, LinkState


class SentCommand:
    """A command, and its reply once it is `done`."""

    def __init__(self) -> None:
        self.sent = False  # at once
        self.done = False
        self.error: str | None = None
        self.values: tuple[Any, ...] = ()
        self.mirror_digest: int | None = None


class BrowserSession:
    """As HostSession. All are in one process of Node; `running` are those that have to be ended."""

    running: ClassVar[list[BrowserSession]] = []
    _node: ClassVar[subprocess.Popen[str] | None] = None
    _made: ClassVar[int] = 0

    def __init__(
        self,
        observer: Observer | None = None,
        random_u32: Callable[[], int] = lambda: 5,
        unix_ms: Callable[[], int] | None = None,
    ) -> None:
        if BrowserSession._node is None:
            command = ["node", ROOT / "tests" / "web" / "session_process.mjs"]
            BrowserSession._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        BrowserSession._made += 1
        self._id = BrowserSession._made
        self.running.append(self)
        self._observer, self._unix_ms = observer or Observer(), unix_ms
        self._random = random.Random(random_u32())  # of its own: one is drawn at every call, wanted or not
        self._mirror: Any = None
        self._out = b""
        self._commands: list[SentCommand] = []
        self.is_live = False
        self.link_state = int(LinkState.CONNECTING)
        self.session = 0
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._ask("make", unix_ms is not None)

    def end(self) -> None:
        self._ask("end")

    @classmethod
    def end_process(cls) -> None:
        """After the last test."""
        if cls._node is not None:
            cls._node.communicate()
            cls._node = None

    def _ask(self, name: str, *arguments: object) -> Any:
        node = BrowserSession._node
        assert node is not None and node.stdin is not None and node.stdout is not None
        call = [self._id, name, arguments, self._random.getrandbits(32), self._unix_ms() if self._unix_ms else None]
        print(json.dumps(call), file=node.stdin, flush=True)
        answer = node.stdout.readline()
        assert answer, f"the host role died at {name}"
        return json.loads(answer)

    def _call(self, name: str, *arguments: object) -> None:
        found = self._ask(name, *arguments)
        self._out += bytes.fromhex(found["out"])
        self.is_live, self.counters = found["isLive"], found["counters"]
        self.link_state = found["linkState"]
        for what, session, *facts in found["happened"]:
            self.session = session
            self._happened(what, *facts)
        self.session = found["session"]

    def _happened(self, what: str, *facts: Any) -> None:
        if what in ("live", "published"):
            pages = {page: bytes.fromhex(data) for page, data in facts[0]}
            if what == "live":
                self._mirror = self._observer.open_mirror(pages[0], self._hello)
            for page, data in pages.items():
                self._mirror.publish_page(page, data)
            if what == "live":
                self._observer.live(self._mirror)
            else:
                self._observer.published(tuple(pages))
        elif what == "session_started":
            self._hello = Hello(PROTOCOL_VERSION, SCHEMA_HASH, facts[0], 0, 0, 0, 0)
            self._observer.session_started(self._hello)
        elif what == "session_ended":
            self._observer.session_ended(facts[0])
        elif what == "event":
            self._observer.event(*facts)
        elif what == "text":
            self._observer.text(bytes.fromhex(facts[0]))
        elif what in ("reply", "failed"):
            command = self._commands[facts[0]]
            command.done = True
            if what == "failed":
                command.error = facts[1]
            else:
                command.values, command.mirror_digest = tuple(facts[1]["values"]), facts[1]["digest"]

    def port_opened(self, now: float) -> None:
        self._call("portOpened", now * 1000)

    def receive(self, data: bytes, now: float) -> None:
        self._call("receive", data.hex(), now * 1000)

    def poll(self, now: float) -> None:
        self._call("poll", now * 1000)

    def take_output(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def command(self, op: int, args: tuple[int, ...], now: float, timeout_s: float) -> SentCommand:
        command, before = SentCommand(), len(self._out)
        self._commands.append(command)
        self._call("command", len(self._commands) - 1, op, args, now * 1000, timeout_s * 1000)
        command.sent = len(self._out) > before
        return command
