"""Emulated boards as processes of ours: started, given a program, killed, started again.

To everything else such a board is a board: a serial port with MicroPython behind it.

    with start_board(find_board("unix"), program=Path("main.py")) as board:
        device = feagi_state.connect(board.link_port)

The board's process dies with ours, however we die.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from .boards import Board, BoardError
from .clock import now_s
from .identity import PROBE, Identity, parse_identity
from .ptybridge import PtyBridge
from .running import PortEntry
from .unix_board import die_with_parent

__all__ = ["EmulatedBoard", "Program", "start_board"]

Progress = Callable[[str], None]

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 2.0
MPREMOTE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Program:
    """What a board runs: the file that is started, and files that it imports."""

    main: Path
    files: tuple[Path, ...] = ()


def _find_command(board: Board) -> str:
    """The emulator's path: beside this Python (a virtual environment that is not active), then on PATH."""
    beside = Path(sys.executable).parent / board.command
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(board.command)
    if found is None:
        raise BoardError(f"{board.name}: there is no `{board.command}` here: {board.provided_by} provides it")
    return found


def _need_file(board: Board, path: Path, what: str, made_by: str) -> None:
    if not path.is_file():
        raise BoardError(f"{board.name}: {what} {_short(path)} is missing: `{made_by}` makes it")


def _short(path: Path) -> str:
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


class EmulatedBoard(ABC):
    """One running emulated board. A context manager: leaving it ends the board and takes its ports away."""

    def __init__(self, board: Board, name: str, progress: Progress) -> None:
        """`name`: under which its ports are found. `progress` hears what is done."""
        self.board = board
        self.name = name
        self.identity: Identity | None = None  #: known once `start` has returned
        self._progress = progress
        self._entry = PortEntry(name, board.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._program: Program | None = None

    @property
    def link_port(self) -> str:
        """Path of the port that carries the frames. It stays the same when the board is started again."""
        return str(self._entry.link)

    @property
    def repl_port(self) -> str | None:
        """Path of a port for the REPL alone, None when the board has none: then its link's port may have one."""
        own = any(port.repl and not port.frames for port in self.board.serial)
        return str(self._entry.repl) if own else None

    @property
    def pid(self) -> int | None:
        """The board's process, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, program: Program | None) -> None:
        """Claim the name, start the board and its program, or the board as it comes from its box. Raises BoardError."""
        self.check(program)
        self._entry.claim()
        try:
            self._program = program
            self._start()
        except BaseException:
            self.stop()
            raise

    def check(self, program: Program | None) -> None:
        """Raise BoardError when something that the board needs is missing."""
        _find_command(self.board)
        if program is not None:
            _need_file(self.board, self.board.module, "the native module", self.board.module_made_by)
        if self.board.firmware is not None:
            _need_file(self.board, self.board.firmware, "the firmware", self.board.firmware_made_by)
        for path in (program.main, *program.files) if program is not None else ():
            if not path.is_file():
                raise BoardError(f"{self.board.name}: there is no program {_short(path)}")

    def kill(self) -> None:
        """End the board as a power cut would: at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start the board again with the same program, under the same port names."""
        self.kill()
        self._start()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit status of the board's process once it has ended; None after `timeout_s`."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """What the board or its emulator said last, for a message about its end."""
        return ""

    def stop(self) -> None:
        """End the board and take its ports away. Can be called again."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # one that was stopped hears the other signal only then
            if self.wait(STOP_TIMEOUT_S) is None:
                self.kill()
        self._close()
        self._entry.release()

    def __enter__(self) -> EmulatedBoard:
        """The board itself, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the board."""
        self.stop()

    def _spawn(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal is for us, who then end the board in order.
        try:
            process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
                list(command), start_new_session=True, preexec_fn=die_with_parent(), **options
            )
        except OSError as error:
            raise BoardError(f"{self.board.name}: cannot start {command[0]}: {error.strerror}") from error
        return process

    @abstractmethod
    def _start(self) -> None:
        """Start process and program and publish the ports."""

    @abstractmethod
    def _close(self) -> None:
        """Give back what `_start` opened."""


class UnixBoard(EmulatedBoard):
    """MicroPython's unix port: a process with its stdio on a pty, behind a bridge that keeps the offered port."""

    def __init__(self, board: Board, name: str, progress: Progress) -> None:
        super().__init__(board, name, progress)
        self._bridge: PtyBridge | None = None
        self._flash: TemporaryDirectory[str] | None = None

    def _environment(self) -> dict[str, str]:
        path = ":".join([".frozen", *map(str, self.board.path)])
        return {**os.environ, "MICROPYPATH": path}

    def _identify(self, command: str) -> Identity:
        try:
            done = subprocess.run(
                [command, "-c", PROBE],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=START_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BoardError(f"{self.board.name}: {command} does not run: {error}") from error
        return parse_identity(done.stdout + done.stderr)

    def _command(self, micropython: str) -> tuple[list[str], dict[str, str]]:
        """(what is run, with which environment)."""
        keeper = [sys.executable, "-m", "feagi_state.unix_board", micropython]
        if self._program is not None:
            return [*keeper, str(self._program.main.absolute())], self._environment()
        return keeper, {**os.environ, "MICROPYPATH": ".frozen"}

    def _start(self) -> None:
        micropython = _find_command(self.board)
        if self.identity is None:
            self.identity = self._identify(micropython)
        if self._bridge is None:
            self._bridge = PtyBridge()
        if self._flash is None:
            self._flash = TemporaryDirectory(prefix="feagi-board-")
        command, environment = self._command(micropython)
        master, slave = os.openpty()
        try:
            tty.setraw(slave)
            self._process = self._spawn(
                command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=self._flash.name
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self._bridge.attach(master)
        self._entry.publish(self._bridge.port, None)

    def last_words(self) -> str:
        """What the board printed last: the text between its frames."""
        if self._bridge is None:
            return ""
        if self.pid is None:
            self._bridge.wait_for_end(STOP_TIMEOUT_S)  # the process may be gone before all that it said was read
        text = re.sub(rb"\0[^\0]*\0", b"", self._bridge.tail)
        return "".join(char for char in text.decode("ascii", "ignore") if char.isprintable() or char == "\n")

    def _close(self) -> None:
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
        if self._flash is not None:
            self._flash.cleanup()
            self._flash = None


class QemuBoard(EmulatedBoard):
    """MicroPython's firmware on a CPU in QEMU, every serial line a pty. mpremote puts the program on the board."""

    def __init__(self, board: Board, name: str, progress: Progress) -> None:
        super().__init__(board, name, progress)
        self._log_path: Path | None = None

    def _start(self) -> None:
        assert self.board.firmware is not None
        command = [_find_command(self.board), *self.board.arguments]
        for _ in self.board.serial:
            command += ["-serial", "pty"]
        command += ["-kernel", str(self.board.firmware)]
        self._log_path = self._entry.folder / f"{self.name}.log"
        # The folder is ours (PortEntry.claim saw to it); no link in it leads elsewhere all the same.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self._log_path, flags, 0o600), "wb") as log:
            self._process = self._spawn(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ports = self._wait_for_ports()
        for port in ports:
            fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(fd)
            os.close(fd)
        by_role = dict(zip(self.board.serial, ports))
        repl = next(path for port, path in by_role.items() if port.repl)
        link = next(path for port, path in by_role.items() if port.frames)
        if self._program is not None:
            self._put_program(repl, self._program)
        else:
            self.identity = parse_identity(self.mpremote(repl, "resume", "exec", PROBE))
        self._entry.publish(link, repl if repl != link else None)

    def _wait_for_ports(self) -> list[str]:
        assert self._process is not None
        deadline = now_s() + START_TIMEOUT_S
        while True:
            found = dict(re.findall(r"char device redirected to (\S+) \(label serial(\d+)\)", self.last_words()))
            if len(found) == len(self.board.serial):
                return sorted(found, key=lambda port: int(found[port]))
            if self._process.poll() is not None or now_s() > deadline:
                raise BoardError(
                    f"{self.board.name}: QEMU offers no serial ports; it said {self.last_words().strip()[-300:]!r}"
                )
            time.sleep(0.01)

    def last_words(self) -> str:
        """What QEMU said: the names of its ptys, and why it ended if it did."""
        if self._log_path is None:
            return ""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def mpremote(self, port: str, *arguments: str) -> str:
        """Output of the real mpremote at the REPL on `port`. Raises BoardError with what it said."""
        command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=MPREMOTE_TIMEOUT_S,
                preexec_fn=die_with_parent(),
            )
        except subprocess.TimeoutExpired:
            raise BoardError(
                f"{self.board.name}: mpremote {' '.join(arguments)[:80]} got no answer in {MPREMOTE_TIMEOUT_S:.0f} s"
            ) from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise BoardError(f"{self.board.name}: mpremote {' '.join(arguments)[:80]} failed: {said}")
        return done.stdout

    def _put_program(self, repl: str, program: Program) -> None:
        """Copy modules and program, then let a soft reset run main.py as on any board."""
        files = [*self.board.modules, *self.board.files, *program.files]
        self._progress(f"copying {len(files) + 1} files to the board with mpremote")
        steps = [["resume", "exec", PROBE]]
        steps += [["+", "fs", "cp", str(path), f":{path.name}"] for path in files]
        steps += [["+", "fs", "cp", str(program.main), ":main.py"]]
        self.identity = parse_identity(self.mpremote(repl, *[word for step in steps for word in step]))
        self._soft_reset(repl)

    def _soft_reset(self, repl: str) -> None:
        """Ctrl-D at the friendly prompt: mpremote's own soft reset is at the raw one, where main.py is not run."""
        import serial

        try:
            with serial.Serial(repl, timeout=0.2) as port:
                port.write(b"\r\x02\r\x03\x04")
                said, deadline = b"", now_s() + START_TIMEOUT_S
                while b"soft reboot" not in said:
                    said += port.read(port.in_waiting or 1)
                    if now_s() > deadline:
                        raise BoardError(f"{self.board.name}: no soft reset at the REPL; it said {said[-200:]!r}")
        except serial.SerialException as error:
            raise BoardError(f"{self.board.name}: {error}") from error

    def _close(self) -> None:
        if self._log_path is not None:
            self._log_path.unlink(missing_ok=True)
            self._log_path = None


_RUNNERS: dict[str, type[EmulatedBoard]] = {"unix": UnixBoard, "qemu": QemuBoard}


def start_board(
    board: Board,
    *,
    program: Program | None = None,
    empty: bool = False,
    name: str | None = None,
    progress: Progress | None = None,
) -> EmulatedBoard:
    """Start an emulated board with `program` (its demo program by default) as `name` (the board's by default).

    `empty`: as it comes from its box, with a prompt and no files; `program` is not looked at. Returns once its program
    has been started; its link port is `link_port`. Use it as a context manager. Call it from the main thread: the board
    ends with the thread that started it. Raises BoardError.
    """
    if not board.emulated:
        raise BoardError(f"{board.name} is no emulated board: connect it and give its port")
    runner = _RUNNERS[board.how](board, name or board.name, progress or (lambda line: None))
    runner.start(None if empty else program or Program(board.demo))
    return runner
