"""Commands about emulated boards: what there is, run one, the demo."""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from .. import boards as board_module
from ..clock import now_s
from ..errors import StateError
from ..running import running_boards
from .app import CommandError, InstanceName, Json, ProgramFile, Seconds, Timeout, UsageError, app, out, say, show
from .page import Http, HttpAt, page

if TYPE_CHECKING:
    from ..emulator import EmulatedBoard


@app.command("boards")
def list_boards(as_json: Json = False) -> None:
    """List the known boards, and the ports of those that run.

    \b
    Example:
      feagi-state boards
    """
    known = board_module.known_boards()
    running = running_boards()
    if as_json:
        for board in known.values():
            instances = [entry.as_dict() for entry in running.values() if entry.board == board.name]
            out(
                {
                    "board": board.name,
                    "title": board.title,
                    "emulated": board.emulated,
                    "architecture": board.architecture,
                    "mpy": board.mpy,
                    "running": instances,
                }
            )
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("board", "what it is", "native modules", "running"):
        table.add_column(heading, overflow="fold")
    for board in known.values():
        here = [entry for entry in running.values() if entry.board == board.name]
        ports = "\n".join(
            f"{entry.name}: {entry.link}" + (f"\nREPL: {entry.repl}" if entry.repl else "") + f"\nprocess {entry.pid}"
            for entry in here
        )
        table.add_row(board.name, board.title, board.mpy, ports or _how_to_start(board))
    console = Console()
    if not sys.stdout.isatty():
        console = Console(width=200)
    console.print(table, highlight=False)


def _how_to_start(board: board_module.Board) -> str:
    return f"no: feagi-state start {board.name}" if board.emulated else "connect it: feagi-state ports"


@app.command()
def start(
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help="name of an emulated board; `feagi-state boards` lists them")
    ],
    program: ProgramFile = None,
    name: InstanceName = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="as it comes from its box: a prompt and no files, for `install`")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an emulated board until Ctrl-C.

    Ends also when the board's process does. Its ports are printed, and found by the board's name as long as it runs.

    \b
    Examples:
      feagi-state start unix
      feagi-state start qemu_m3 --program blink.py
    """
    if empty and program:
        raise UsageError("--empty and --program are two different boards: give one of them")
    with _start(board, name, program=program, empty=empty) as running:
        if as_json:
            out(
                {
                    "name": running.name,
                    "board": board,
                    "link": running.link_port,
                    "repl": running.repl_port,
                    "pid": os.getpid(),
                    "board_pid": running.pid,
                }
            )
        else:
            out(f"link {running.link_port}")
            if running.repl_port:
                out(f"repl {running.repl_port}")
            then = "put the module on it with `feagi-state install" if empty else "watch it with `feagi-state watch"
            say(f"{running.name} runs; {then} {running.name}`; Ctrl-C ends it")
        try:
            status = running.wait()
        except KeyboardInterrupt:
            return
        raise CommandError(_epitaph(running, status))


def _epitaph(board: "EmulatedBoard", status: Optional[int]) -> str:
    if status is not None and status < 0:  # its last words were not about this
        return f"board {board.name} has ended (signal {-status})"
    words = board.last_words().strip().splitlines()
    return f"board {board.name} has ended (exit status {status})" + (f": {words[-1]}" if words else "")


def _start(name: str, instance: Optional[str], program: Optional[Path] = None, empty: bool = False) -> "EmulatedBoard":
    from ..emulator import Program, start_board

    board = board_module.find_board(name)
    say(f"starting {board.name}: {board.title}")
    chosen = Program(program) if program else None
    return start_board(board, program=chosen, empty=empty, name=instance, progress=say)


@app.command()
def demo(
    board: Annotated[str, typer.Option("--board", metavar="BOARD", help="emulated board to run it on")] = "unix",
    seconds: Seconds = None,
    name: InstanceName = None,
    as_json: Annotated[bool, typer.Option("--json", help="print only the report, one JSON object")] = False,
    timeout: Timeout = 10.0,
    http: Http = False,
    http_at: HttpAt = None,
) -> None:
    """Start a board with a small burst engine and watch it live.

    At the end the device is asked for a digest of its region, which is compared with the mirror's. The exit status is 0
    only if they are equal and the mirror is not stale. Ends also when the board's process does.

    \b
    Examples:
      feagi-state demo
      feagi-state demo --board qemu_m3 --seconds 10 --json
      feagi-state demo --http
    """
    from .. import connect
    from ..demo import DemoView, closing_report, old_counts

    with _start(board, name) as running:
        say(
            f"{running.name} runs: link {running.link_port}"
            + (f", REPL {running.repl_port}" if running.repl_port else "")
        )

        def check() -> None:
            if running.pid is None:
                raise CommandError(_epitaph(running, running.wait(0)))

        old = old_counts(running.name)
        try:
            device = connect(running.link_port, name=running.name, timeout_s=timeout, serve=True)
        except StateError:
            check()
            raise
        with closing(device):
            view = DemoView(device, old)
            with page(lambda: (device,), http, http_at) as url:
                if url is not None:
                    say(f"page: {url}")
                try:
                    if as_json:
                        say("the mirror is live; Ctrl-C ends the demo with its report")
                        _wait(seconds, check)
                    else:
                        show(view, seconds, check)
                except KeyboardInterrupt:
                    say("")
            check()
            report, sentence = closing_report(running, view)
            check()
    if as_json:
        out(report)
    else:
        out(sentence)
        out(json.dumps(report, indent=2))
    if not report["mirror_equal_device"] or report["stale"]:
        raise CommandError(f"the demo failed: {sentence}")


def _wait(seconds: Optional[float], check: Callable[[], None]) -> None:
    end = now_s() + seconds if seconds is not None else None
    while end is None or now_s() < end:
        check()
        time.sleep(0.1 if end is None else max(0.0, min(0.1, end - now_s())))
