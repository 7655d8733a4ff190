"""Which serial ports there are, and what runs on the boards behind them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from serial.tools import list_ports

from . import spec
from .boards import Board, BoardError, board_of, known_boards
from .clock import now_s
from .errors import MemoryMapError, PortError, SerializationError, StateError
from .frames import Deframer, Text, decode
from .identity import Identity
from .mirror import server_of
from .prompt import Prompt
from .running import running_boards
from .session import Hello
from .transport import SerialTransport

__all__ = ["FoundPort", "Seen", "find_ports", "look_at"]

LISTEN_S = spec.HELLO_PERIOD_MS * 2.2 / 1000  # a link without a host says hello every period
PROMPT_S = 0.5
MODULE_PROBE = (
    "try:\n import feagi_state\n print(feagi_state.schema_hash())\n"
    "except ImportError:\n print(None)\n"
    "except Exception as e:\n print(repr(str(e)))"
)


@dataclass(frozen=True)
class FoundPort:
    """A serial port of this computer, or an emulated board's."""

    port: str
    what: str  # what the system says of it
    usb: str = ""  # "vvvv:pppp", "" for one that is not on USB
    boards: tuple[str, ...] = ()  # names of the described boards that it may be, by its USB ids
    board: str = ""  # name of the emulated board that it is of


@dataclass(frozen=True)
class Seen:
    """What runs behind a port. `text` says it to a person, the rest to programs as far as it is known."""

    kind: str  # "prompt", "link", "text", "silent", "served", "busy", "permission", "absent", "gone" or "failed"
    text: str
    identity: Identity | None = None
    board: Board | None = None
    schema: int | None = None  # of the board's feagi_state, None where it has none
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as what JSON can hold."""
        board = self.board.name if self.board is not None else None
        identity = vars(self.identity) if self.identity is not None else None
        found = {"kind": self.kind, "text": self.text, "schema": self.schema, "board": board, "identity": identity}
        return {**found, **self.facts}


def find_ports() -> list[FoundPort]:
    """The ports of running emulated boards and of USB devices, and the others last. Opens none of them."""
    found: list[FoundPort] = []
    others: list[FoundPort] = []
    for entry in running_boards().values():
        found.append(FoundPort(str(entry.link), "emulated board: link", board=entry.board))
        if entry.repl is not None:
            found.append(FoundPort(str(entry.repl), "emulated board: prompt", board=entry.board))
    for info in sorted(list_ports.comports()):
        usb = f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None else ""
        (found if usb else others).append(FoundPort(info.device, info.description, usb, _boards_with(usb)))
    return [*found, *others]


def _boards_with(usb: str) -> tuple[str, ...]:
    try:
        boards = known_boards().values()
    except BoardError:
        return ()
    return tuple(board.name for board in boards if any(usb in port.usb for port in board.serial))


def look_at(port: str, baudrate: int = 115200) -> Seen:
    """What runs behind `port`. A program that runs there is not disturbed; a prompt that nobody uses is.

    Takes about a second and a half. Never raises for what is found there.
    """
    served = _served(port)
    if served is not None:
        return served
    try:
        transport = SerialTransport(port, baudrate)
    except PortError as error:
        return Seen(error.reason, str(error))
    try:
        heard, hello = _listen(transport)
        if hello is not None:
            return _link(hello)
        if not heard:
            transport.write(b"\r")
            heard = _read(transport, PROMPT_S)
    except PortError as error:
        return Seen(error.reason, str(error))
    finally:
        transport.close()
    if heard.rstrip().endswith(b">>>"):
        return _at_prompt(port, baudrate)
    if b"\0" in heard:
        return Seen("link", "a link that takes its last host to be there still: look again in some seconds")
    if heard:
        return Seen("text", f"something that says {heard[-40:]!r}")
    return Seen("silent", "silent: no link, and no prompt that answers")


def _served(port: str) -> Seen | None:
    try:
        view = server_of(port)
    except MemoryMapError:
        return None
    if view is None:
        return None
    with view:
        name, pid, device = view.name, view.link.owner_pid, view.link.device_name
    return Seen("served", f"the link of {device!r}, served by process {pid} as mirror {name}", facts={"mirror": name})


def _listen(transport: SerialTransport) -> tuple[bytes, Hello | None]:
    """(what came, the hello among it)."""
    deframer, heard, end = Deframer(), b"", now_s() + LISTEN_S
    while now_s() < end:
        data = transport.read(0.1)
        heard += data
        for segment in deframer.feed(data):
            if isinstance(segment, Text):
                continue
            try:
                frame = decode(segment, 0)
            except SerializationError:
                continue
            if frame.kind == spec.Kind.HELLO:
                return heard, Hello(*frame.items)
    return heard, None


def _read(transport: SerialTransport, seconds: float) -> bytes:
    heard, end = b"", now_s() + seconds
    while now_s() < end and not heard.rstrip().endswith(b">>>"):
        heard += transport.read(0.1)
    return heard


def _link(hello: Hello) -> Seen:
    text = f"the link of {hello.name!r}"
    if hello.schema != spec.SCHEMA_HASH:
        text += f", with schema {hello.schema:#010x}: here it is {spec.SCHEMA_HASH:#010x}, install this version there"
    return Seen("link", text, schema=hello.schema, facts={"device_name": hello.name})


def _at_prompt(port: str, baudrate: int) -> Seen:
    try:
        with Prompt(port, baudrate) as prompt:
            prompt.interrupt()
            identity = prompt.identity()
            module = ast.literal_eval(prompt.run(MODULE_PROBE).splitlines()[-1])
    except StateError as error:
        return Seen("failed", str(error))
    board = board_of(identity)
    schema = module if isinstance(module, int) else None
    if module is None:
        has = "no feagi_state"
    elif schema is None:
        has = f"a feagi_state that it cannot import ({module})"
    elif schema == spec.SCHEMA_HASH:
        has = "this version's feagi_state"
    else:
        has = f"a feagi_state with another schema, {schema:#010x}"
    takes = f"{identity.mpy_arch} modules of ABI {identity.abi}"
    if not identity.module_architectures():
        takes = "no native modules"
    name = board.name if board is not None else identity.machine
    text = f"prompt of {name}: MicroPython {identity.micropython}, takes {takes}; has {has}"
    return Seen("prompt", text, identity, board, schema)
