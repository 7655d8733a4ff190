"""Commands about boards on serial ports: find them, flash them, install on them, talk to them, see what is wrong."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from .. import boards as board_module
from .. import spec
from ..errors import StateError
from ..running import RunningBoard, resolve_prompt
from .app import DEFAULT_BAUD, Baud, CommandError, Json, ProgramFile, UsageError, app, out, say, show

MpremoteCommands = Annotated[
    Optional[list[str]], typer.Argument(metavar="[COMMAND]...", help="mpremote's commands; none: its `repl`")
]
PromptPort = Annotated[
    str, typer.Argument(metavar="PORT", help="serial port with the board's prompt, or a running emulated board")
]
PortsToSee = Annotated[
    Optional[list[str]], typer.Argument(metavar="[PORT]...", help="look at these; else at USB's and emulated boards'")
]
PortToExamine = Annotated[
    Optional[str], typer.Argument(metavar="[PORT]", help="serial port with the prompt of a board to look at")
]
BoardName = Annotated[
    Optional[str], typer.Option("--board", metavar="NAME", help="which board it is, where it does not say so")
]
LinkPort = Annotated[
    Optional[str], typer.Option("--link", metavar="PORT", help="the port that carries the frames, to see them come")
]
FlashPort = Annotated[
    Optional[str], typer.Option("--port", metavar="PORT", help="serial port, for esptool; drive, for a UF2 file")
]
LIVE_TIMEOUT_S = 10.0


@app.command("ports")
def list_ports(
    only: PortsToSee = None,
    look: Annotated[
        bool, typer.Option("--look/--no-look", help="open the ports to see what runs there; --no-look lists them only")
    ] = True,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
) -> None:
    """List serial ports, and what runs on the boards behind them.

    A running program is not disturbed: the command listens, and asks only a prompt that answers. Ports that are not on
    USB are opened only when they are named.

    \b
    Examples:
      feagi-state ports
      feagi-state ports /dev/ttyS0 --json
    """
    from ..serial_ports import FoundPort, find_ports, look_at

    found = find_ports() if not only else [FoundPort(resolve_prompt(port)[0], "") for port in only]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("port", "what it is", "may be", "runs"):
        table.add_column(heading, overflow="fold")
    for port in found:
        worth = look and bool(only or port.usb or port.board)
        seen = look_at(port.port, baud) if worth else None
        if as_json:
            runs = seen.as_dict() if seen else None
            out({"port": port.port, "what": port.what, "usb": port.usb, "boards": list(port.boards), "runs": runs})
        else:
            boards = port.board or "\n".join(port.boards)
            what = f"{port.what} {port.usb}".strip()
            table.add_row(port.port, what, boards, seen.text if seen else "not looked at")
    if as_json:
        return
    if not found:
        say("no serial ports, and no emulated board runs: plug a board in, or `feagi-state start unix`")
        return
    (Console() if sys.stdout.isatty() else Console(width=240)).print(table, highlight=False)


@app.command()
def install(
    port: PromptPort,
    board: BoardName = None,
    program: ProgramFile = None,
    no_main: Annotated[bool, typer.Option("--no-main", help="only the module; main.py stays as it is")] = False,
    link: LinkPort = None,
    watch: Annotated[bool, typer.Option("--watch", help="afterwards show the state live, until Ctrl-C")] = False,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
) -> None:
    """Put the module and a program on a board, and start it.

    The board says itself which module it takes. The program is the board's demo, or FILE; an older main.py is kept as
    main.py.bak. Where the port of the link is known, the mirror is seen live before this ends well.

    \b
    Examples:
      feagi-state install /dev/ttyACM0
      feagi-state install /dev/ttyACM0 --program main.py --link /dev/ttyUSB0 --watch
      feagi-state install unix          after `feagi-state start unix --empty`
    """
    from ..install import Request
    from ..install import install as do_install

    if program and no_main:
        raise UsageError("--program and --no-main are two different things: give one of them")
    path, emulated = resolve_prompt(port)
    if watch and no_main:
        raise UsageError("--watch shows what a program serves: not with --no-main")
    if watch and not link and not emulated:
        raise UsageError("--watch needs --link PORT: the port that carries the frames")
    with Copying() as copying:
        done = do_install(Request(path, board, program, no_main, baud), copying)
    tell = say if as_json else out
    tell(f"feagi_state ({done.module}) is on the board and imported, schema {spec.SCHEMA_HASH:#010x} as here")
    frames = link or _link_port(path, emulated, done.board)
    value = None
    if frames is not None and (link or watch or not (program or no_main)):  # a program of one's own may serve no link
        value = _see_live(frames, watch, baud, tell)
    elif not no_main:
        tell(_how_to_watch(None if program else done.board))
    if as_json:
        out(
            {
                "port": path,
                "board": done.board.name if done.board else None,
                **vars(done.identity),
                "module": done.module,
                "files": list(done.files),
                "schema": f"{spec.SCHEMA_HASH:#010x}",
                "link": frames,
                "neuron_count": value,
            }
        )


def _link_port(path: str, emulated: Optional[RunningBoard], board: Optional[board_module.Board]) -> Optional[str]:
    """The port that carries the frames, None where the wiring decides."""
    if emulated is not None:
        return emulated.name
    return path if board is not None and board.link.repl else None


def _see_live(link: str, watch: bool, baud: int, tell: Callable[[str], None]) -> int:
    """Connect to the link and wait until the mirror is live; returns a value of it."""
    from .. import connect

    try:
        device = connect(link, baudrate=baud, timeout_s=LIVE_TIMEOUT_S)
    except StateError as error:
        raise CommandError(f"everything is on the board, but its link does not come up: {error}") from error
    with closing(device):
        value: int = device.state.neuron_count
        tell(f"the link is live: neuron_count = {value}; `feagi-state watch {link}` shows it")
        if watch:
            show(device, None)
    return value


def _how_to_watch(board: Optional[board_module.Board]) -> str:
    if board is None:
        return "started; `feagi-state watch PORT` at the port that the program serves shows its state"
    line = board.link
    return (
        f"started; the frames are on {line.name} (TX {line.tx}, RX {line.rx}): connect a USB-serial adapter for 3.3 V "
        "there, then `feagi-state watch PORT`"
    )


class Copying:
    """Shows what is done: a bar on a terminal, else a line for each file."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description:20}"), BarColumn(), DownloadColumn(binary_units=True))
        self._bars = Progress(*columns, console=console, transient=False) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Copying":
        """Begins to show."""
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves what was shown."""
        if self._bars:
            self._bars.stop()

    def say(self, line: str) -> None:
        """A step."""
        if self._bars:
            self._bars.console.print(line, highlight=False)
        else:
            say(line)

    def copying(self, name: str, done: int, total: int) -> None:
        """How far a file is."""
        if self._bars is None:
            if done == total:
                say(f"{name}: {total:,} bytes")
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done)


@app.command()
def flash(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="name of a real board, of `feagi-state boards`")],
    firmware: Annotated[Path, typer.Argument(metavar="FIRMWARE", help="file from micropython.org, or of your own")],
    port: FlashPort = None,
    erase: Annotated[bool, typer.Option("--erase", help="the board's files too: for the first time (esptool)")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the command, and do nothing")] = False,
) -> None:
    """Put a firmware onto a board with the tool that the board takes: esptool, dfu-util, st-flash, or a copy.

    \b
    Examples:
      feagi-state flash ESP32_GENERIC_C3 firmware.bin --port /dev/ttyACM0 --erase
      feagi-state flash NUCLEO_F446RE firmware.hex --dry-run
    """
    from ..flash import flashing

    plan = flashing(board_module.find_board(board), firmware, port, erase)
    if plan.prepare:
        say(f"first: {plan.prepare}")
    if dry_run:
        out(shlex.join(plan.command))
        return
    say(shlex.join(plan.command))
    plan.run()


@app.command(context_settings={"ignore_unknown_options": True})
def repl(
    port: PromptPort,
    commands: MpremoteCommands = None,
    show_path: Annotated[bool, typer.Option("--path", help="only print the port with the prompt")] = False,
) -> None:
    """Talk to a board's MicroPython prompt, with mpremote. Ctrl-] or Ctrl-x leaves it.

    Where the link is on the same line and a process serves it (`serve`, `watch`), this goes through that process:
    Ctrl-C interrupts the program, the mirror is stale, and when you leave main.py is started again by a soft reset.
    Commands that belong together go into one call, with + between them.

    \b
    Examples:
      feagi-state repl /dev/ttyACM0
      feagi-state repl /dev/ttyACM0 fs cp config.py :
      mpremote connect $(feagi-state repl /dev/ttyACM0 --path) mount .
    """
    from ..prompt_port import find_prompt
    from ..transport import SerialTransport

    path, _ = resolve_prompt(port)
    offered = find_prompt(path)
    if offered is not None:
        path = str(offered)
    if not show_path:
        SerialTransport(path).close()  # says what is wrong with a port: mpremote does not
    # mpremote knows a pty by its path, which the link to it does not show.
    path = os.path.realpath(path) if path.startswith("/") else path
    if show_path:
        out(path)
        return
    if not commands and not sys.stdin.isatty():
        raise CommandError(f"a prompt needs a terminal: `feagi-state repl {port} exec CODE` does without one")
    status = subprocess.call([sys.executable, "-m", "mpremote", "connect", path, *(commands or ["repl"])])
    if status != 0:
        raise CommandError(f"mpremote ended with status {status}")


@app.command()
def doctor(
    port: PortToExamine = None,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
) -> None:
    """See whether what is needed is there, and say what to do where it is not.

    Looks at the package, the native modules, the tools, the ports and their permissions; with PORT at the board there.
    Fails when something is wrong; what only some uses need is marked `-` and is not.

    \b
    Examples:
      feagi-state doctor
      feagi-state doctor /dev/ttyACM0
    """
    from ..doctor import examine

    wrong = 0
    for finding in examine(resolve_prompt(port)[0] if port else None, baud):
        if finding.ok is False:
            wrong += 1
        if as_json:
            out({"what": finding.what, "ok": finding.ok, "text": finding.text})
        else:
            mark = {True: "ok", False: "WRONG", None: "-"}[finding.ok]
            out(f"{mark:6}{finding.what:24} {finding.text}")
    if wrong:
        raise CommandError(f"{wrong} thing{'s are' if wrong > 1 else ' is'} wrong")
