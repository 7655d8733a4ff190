"""Real boards behind a bad line, with the real host role and pyserial before it: what the mirror shows, the board had, in order; events and
commands as on a good line; and once the line is good, everything is equal.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path

import pytest
from cobs import cobs

import churn
from cddl_oracle import judge as judge_frames
from common import emulated_boards
from faulty_line import Faults, Line
from feagi_state import spec
from feagi_state._core import Mirror
from feagi_state.boards import find_board
from feagi_state.clock import now_s
from feagi_state.commands import Command
from feagi_state.emulator import EmulatedBoard, Program, start_board
from feagi_state.session import Hello, HostSession, Observer
from feagi_state.transport import SerialTransport
from pty_proxy import PtyProxy
from schedules import TALLY, TALLY_AT, Asked, digit_of
from simulation import CLOCK_PAGE, FIELDS, PAGES, Device, PageOrder, Violation

RATES = (0, 1e-4, 1e-3, 1e-2)
RESETS = 2
FOLDER = Path(__file__).parent
PAUSE_AT = spec.CORE_FIELDS["fatigue_active"].offset
BOOT_ID = slice(spec.HEADER_FIELDS["boot_id"].offset, spec.HEADER_FIELDS["boot_id"].offset + 4)
# Pages that have times or what commands write.
TALLY_PAGE = max(page for page, (at, _) in enumerate(PAGES) if at <= spec.HEADER_LEN_BYTES + TALLY_AT)
OTHERS = (0, CLOCK_PAGE, TALLY_PAGE)
PATIENCE_S = 60
# Base64 of 6 bytes or more: what is shorter is a binary frame's.
TEXT_FRAME = re.compile(b"%c((?:[A-Za-z0-9+/]{4}){2,}(?:[A-Za-z0-9+/]{2,3})?)%c" % (spec.TEXT_BEGIN, spec.TEXT_END))


class Model:
    """What the board's pages are after each of its changes: the same core makes the same changes here."""

    def __init__(self, library: CDLL) -> None:
        self.device = Device(library, 1)
        self.changes = 0

    def advance(self, changes: int) -> None:
        """Up to so many."""
        for number in range(self.changes, changes):
            what, first, *rest = churn.change(number)
            if what != "event":
                self.device.do(what, FIELDS.index(first) if what == "set" else first, *rest)
        self.changes = max(self.changes, changes)


class Witness(Observer):
    """Looks at whatever a session publishes."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.mirror: Mirror | None = None
        self.lives: list[Life] = []
        self.pages = 0
        self.events: list[int] = []  # of the present session
        self.sessions: set[int] = set()

    def open_mirror(self, header: bytes, hello: Hello) -> Mirror:
        self.mirror = self.mirror or super().open_mirror(header, hello)
        return self.mirror

    def session_started(self, hello: Hello) -> None:
        self.events = []
        self.sessions.add(hello.boot)

    def live(self, mirror: Mirror) -> None:
        boot_id = mirror.read_page(0)[BOOT_ID]
        if not self.lives or self.lives[-1].boot_id != boot_id:
            self.lives.append(Life(boot_id, PageOrder(self.model.device.history)))
        self.published(tuple(range(len(PAGES))))

    def published(self, pages: tuple[int, ...]) -> None:
        assert self.mirror is not None
        for page in pages:
            self.pages += 1
            shown = self.mirror.read_page(page)
            if page not in OTHERS:
                self.lives[-1].order.look(page, shown)
            elif page == CLOCK_PAGE:
                if shown[:8][::-1] < self.lives[-1].version[::-1]:
                    raise Violation("stale_after_new", "the version went back")
                self.lives[-1].version = shown[:8]

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        if churn.change(arg) != ("event", kind, arg) or (self.events and arg <= self.events[-1]):
            raise Violation("event", f"({kind}, {arg}) after {self.events[-1:]}")
        self.events.append(arg)


class Tap:
    """Keeps what is put into a line."""

    def __init__(self, line: Line) -> None:
        self._put, self._said = line.put, bytearray()
        line.put = self._keep  # type: ignore[method-assign]

    def _keep(self, data: bytes, now: float) -> None:
        self._said += data
        self._put(data, now)

    def segments(self) -> set[bytes]:
        """What stands between zeros: a board's frames, and the text that it prints at its end; text frames as what they stand for."""
        return set(TEXT_FRAME.sub(lambda text: b"\0" + of_text(text[1]) + b"\0", bytes(self._said)).split(b"\0")) - {b""}


def of_text(coded: bytes) -> bytes:
    """A text frame's base64 as the binary frame's segment."""
    return bytes(cobs.encode(base64.b64decode(coded + b"=" * (-len(coded) % 4))))


class Life:
    """A board from one start to its end, as the host sees it."""

    def __init__(self, boot_id: bytes, order: PageOrder) -> None:
        self.boot_id = boot_id
        self.order = order
        self.version = bytes(8)


class Host:
    """The host role on a real port, in the test's own thread."""

    def __init__(self, port: str, model: Model) -> None:
        self.witness = Witness(model)
        self.session = HostSession(self.witness)
        self._transport = SerialTransport(port)
        self._unsent = b""
        self.asked: list[Asked] = []
        self.session.port_opened(now_s())

    def step(self) -> None:
        """What is there to do, or a little wait."""
        data = self._transport.read(0.002)
        now = now_s()
        if data:
            self.session.receive(data, now)
        self.session.poll(now)
        self._unsent += self.session.take_output()
        self._unsent = self._unsent[self._transport.write(self._unsent) :]

    def run_until(self, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        deadline = now_s() + timeout_s
        while not condition():
            assert now_s() < deadline, f"not within {timeout_s} s; {self.session.counters}"
            self.step()

    def command(self, op: int, *args: int) -> Command:
        """Sent, and answered."""
        while True:
            command = self.session.command(op, args, now_s(), 5.0)
            self.run_until(lambda command=command: command.done)
            if command.error is None:
                return command

    def add_to_tally(self) -> None:
        """One more command, if the last one is done."""
        if len(self.asked) < 31 and (not self.asked or self.asked[-1].command.done):
            digit = len(self.asked)
            command = self.session.command(spec.CommandOp.ADD, (TALLY_AT, 4**digit), now_s(), 1.0)
            self.asked.append(Asked(digit, command))

    def field(self, name: str) -> int:
        """As the mirror shows it."""
        assert self.witness.mirror is not None
        return int(self.witness.mirror.load_field(spec.CORE_FIELDS[name].offset))

    def close(self) -> None:
        self._transport.close()


def run_for(host: Host, changes: int) -> None:
    """Until the device's own count of its writes has gone on by so many, as the mirror shows, or it has little chance to."""
    began = now_s()
    first = host.field("version")
    while host.field("version") - first < changes and now_s() - began < 12:
        host.add_to_tally()
        host.step()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", emulated_boards(lambda board: board.name in ("unix", "qemu_m3", "qemu_rv32")))
def test_a_real_board_behind_a_bad_line(name: str, tmp_path: Path, device: CDLL) -> None:
    program = Program(FOLDER / "churn_main.py", (FOLDER / "churn.py",))
    with start_board(find_board(name), program=program, name=f"churn-{os.getpid()}") as board, PtyProxy(board.link_port, seed=7) as line:
        taps = [Tap(line.to_host), Tap(line.to_board)]
        model = Model(device)
        model.advance(60_000)  # more than a board makes here
        host = Host(line.port, model)
        try:
            host.run_until(lambda: host.session.is_live)
            for rate in RATES:
                bad_hour(board, line, host, rate)
        finally:
            host.close()
        witness, counters = host.witness, host.session.counters
        assert len(witness.lives) == 1 + RESETS * len(RATES)
        assert witness.pages > 1000 and counters["deltas"] > 1000, counters
        assert counters["naks"] > 10, "the line was too good"
        for tap in taps:
            judged, said = judge_frames(device, tap.segments(), witness.sessions), len(tap.segments())
            # A board that is killed does not end its last frame, and frames of a session that no host took up are of no known one.
            assert 0.9 * said < judged.total() and judged.total() > 500, (said, judged)


def bad_hour(board: EmulatedBoard, line: PtyProxy, host: Host, rate: float) -> None:
    """One rate of errors, with resets; then a good line and the comparison."""
    line.to_host.faults = line.to_board.faults = Faults.at(rate)
    line.to_host.delay_s, line.to_host.split = 0.003, 0.2
    for _ in range(RESETS):
        run_for(host, 200)
        board.restart()
        lives = len(host.witness.lives)
        host.run_until(lambda lives=lives: host.session.is_live and len(host.witness.lives) > lives)
        host.asked.clear()
    run_for(host, 400)
    line.to_host.faults = line.to_board.faults = Faults()
    line.to_host.delay_s = line.to_host.split = 0
    judge(host)


def judge(host: Host) -> None:
    """The line is good: the board pauses, and everything is compared."""
    host.run_until(lambda: all(asked.command.done for asked in host.asked))
    host.command(spec.CommandOp.SET, PAUSE_AT, 1)
    digest = host.command(spec.CommandOp.DIGEST)
    while digest.mirror_digest is None:  # it came between deltas
        digest = host.command(spec.CommandOp.DIGEST)
    assert digest.values[0] == digest.mirror_digest
    tally = host.field(TALLY)
    for asked in host.asked:
        if digit_of(tally, asked.digit) not in asked.may_run():
            raise Violation("command", f"{asked.digit} ran {digit_of(tally, asked.digit)} times, not {asked.may_run()}")
    host.command(spec.CommandOp.SET, PAUSE_AT, 0)
