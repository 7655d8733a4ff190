"""The command line `feagi-state`. What each command means is in its help; errors are one line on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer
from rich.console import Console
from rich.table import Table

from . import boards as board_module
from . import spec
from .errors import StateError

if TYPE_CHECKING:
    from .emulator import EmulatedBoard

__all__ = ["main"]

EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="feagi-state",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Watch and change the state of a MicroPython board from the PC.

    A PORT is a serial port (/dev/ttyACM0, COM3, a pty) or the name of an emulated board that runs. Whoever opens the
    port keeps a mirror of the board's state, which every other process reads by NAME without touching the port.

    \b
    Try it without a board:
      feagi-state start unix            run an emulated board (leave it running)
      feagi-state watch unix            in a second terminal: see its state live
      feagi-state get neuron_count      in a third: read one value
      feagi-state set fatigue_index 30  when nothing else holds the port: change it

    Exit status: 0 fine, 1 it did not work (one line says why), 2 wrong usage, 130 Ctrl-C.
    """,
)

Target = Annotated[
    Optional[str],
    typer.Argument(metavar="PORT|NAME", help="serial port, running board or mirror; not needed when there is only one"),
]
Json = Annotated[bool, typer.Option("--json", help="for scripts: one JSON object a line")]
Baud = Annotated[int, typer.Option("--baud", metavar="RATE", help="baud rate of a real serial port")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="seconds to wait for the device")]
Seconds = Annotated[
    Optional[float],
    typer.Option("--seconds", metavar="N", min=0.0, help="stop after so many seconds; without it at Ctrl-C"),
]
Count = Annotated[Optional[int], typer.Option("--count", metavar="N", min=1, help="stop after so many events")]
MirrorName = Annotated[
    Optional[str],
    typer.Argument(metavar="NAME", help="mirror or running board; not needed when there is only one"),
]
ProgramFile = Annotated[
    Optional[Path], typer.Option("--program", metavar="FILE", help="MicroPython program to run instead of the demo")
]
InstanceName = Annotated[
    Optional[str], typer.Option("--name", metavar="NAME", help="name of this one, to run two of a kind")
]
DEFAULT_BAUD, DEFAULT_TIMEOUT_S = 115200, 5.0


class CommandError(StateError):
    """A command cannot do what it was asked for."""


class UsageError(StateError):
    """An argument that no board and no port could make right."""


def _say(text: str) -> None:
    """One line for a person, apart from the output."""
    print(text, file=sys.stderr, flush=True)


def _out(line: Any) -> None:
    """A line of output: a text as it is, anything else as JSON."""
    try:
        print(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False), flush=True)
    except BrokenPipeError:
        raise _Terminated(signal.SIGPIPE) from None
    except OSError as error:
        raise _output_lost(error) from None


def _output_lost(error: OSError) -> CommandError:
    return CommandError(f"the output cannot be written: {error.strerror}")


def _show(view: Any, seconds: float | None, check: Callable[[], None] = lambda: None) -> None:
    """Show a view to a person; `check` is called again and again, and may raise."""
    from . import live

    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        live.watch_table(view, Console(), seconds, check)
    else:
        live.watch_lines(view, _out, seconds, check=check)


@contextmanager
def _closing(thing: Any) -> Iterator[Any]:
    try:
        yield thing
    finally:
        thing.close()


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        ours = f"schema {spec.SCHEMA_HASH:#010x}, protocol {spec.PROTOCOL_VERSION}, layout {spec.LAYOUT_VERSION}"
        _out(f"feagi-state {version('feagi-state')} ({ours})")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show version and schema, and exit")
    ] = False,
) -> None:
    pass


# ----------------------------------------------------------------------------------------------------- boards


@app.command("boards")
def list_boards(as_json: Json = False) -> None:
    """List the known boards, and the ports of those that run.

    \b
    Example:
      feagi-state boards
    """
    known = board_module.known_boards()
    running = board_module.running_boards()
    if as_json:
        for board in known.values():
            instances = [entry.as_dict() for entry in running.values() if entry.board == board.name]
            _out(
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
        table.add_row(board.name, board.title, board.mpy, ports or f"no: feagi-state start {board.name}")
    console = Console()
    if not sys.stdout.isatty():
        console = Console(width=200)
    console.print(table, highlight=False)


@app.command()
def start(
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help="name of an emulated board; `feagi-state boards` lists them")
    ],
    program: ProgramFile = None,
    name: InstanceName = None,
    as_json: Json = False,
) -> None:
    """Run an emulated board until Ctrl-C.

    Ends also when the board's process does. Its ports are printed, and found by the board's name as long as it runs.

    \b
    Examples:
      feagi-state start unix
      feagi-state start qemu_m3 --program blink.py
    """
    with _start(board, program, name) as running:
        if as_json:
            _out(
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
            _out(f"link {running.link_port}")
            if running.repl_port:
                _out(f"repl {running.repl_port}")
            _say(f"{running.name} runs; watch it with `feagi-state watch {running.name}`; Ctrl-C ends it")
        try:
            status = running.wait()
        except KeyboardInterrupt:
            return
        raise CommandError(_epitaph(running, status))


def _epitaph(board: EmulatedBoard, status: int | None) -> str:
    if status is not None and status < 0:  # its last words were not about this
        return f"board {board.name} has ended (signal {-status})"
    words = board.last_words().strip().splitlines()
    return f"board {board.name} has ended (exit status {status})" + (f": {words[-1]}" if words else "")


def _start(name: str, program: Path | None, instance: str | None) -> EmulatedBoard:
    from .emulator import Program, start_board

    board = board_module.find_board(name)
    _say(f"starting {board.name}: {board.title}")
    return start_board(board, program=Program(program) if program else None, name=instance, progress=_say)


# ------------------------------------------------------------------------------------------------------- reading


@app.command()
def watch(
    target: Target = None,
    seconds: Seconds = None,
    interval: Annotated[
        float, typer.Option("--interval", metavar="S", min=0.02, help="seconds between two objects of --json")
    ] = 1.0,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
) -> None:
    """Show a board's state, agents, events and link live.

    Reads the mirror where another process serves one. Otherwise opens the port and serves the mirror itself. A mirror
    whose link is down is marked STALE, and its values with it.

    \b
    Examples:
      feagi-state watch /dev/ttyACM0
      feagi-state watch unix --seconds 10
      feagi-state watch unix --json | jq .state.neuron_count
    """
    from . import live
    from .targets import open_view

    with _closing(open_view(target, baudrate=baud, timeout_s=timeout)) as view:
        if as_json:
            live.watch_json(view, _out, seconds, interval)
        else:
            _show(view, seconds)


@app.command()
def get(
    field: Annotated[str, typer.Argument(metavar="FIELD|all", help="a field of the core block, or all of them")],
    target: MirrorName = None,
    stale_ok: Annotated[bool, typer.Option("--stale-ok", help="print old values too, with a warning")] = False,
    as_json: Json = False,
) -> None:
    """Print a field, or all of them, from a mirror. The serial port is not touched.

    Fails when there is no mirror, and when it is stale: an old value is never given for a current one.

    \b
    Examples:
      feagi-state get neuron_count
      feagi-state get burst_engine_state unix
      feagi-state get all --json
    """
    from . import fields, live
    from .targets import the_mirror

    if field != "all":
        _usable(fields.field_named, field)
    with _closing(the_mirror(target)) as view:
        stale = view.stale
        if stale and not stale_ok:
            raise CommandError(f"{live.status_text(view)} (--stale-ok prints them)")
        values = view.state.as_dict()
        stale = stale or view.stale
        if stale:
            _say(f"feagi-state: warning: {live.status_text(view)}")
        names = [name for name in spec.CORE_FIELDS if name in values] if field == "all" else [field]
        if as_json:
            shown = {name: fields.json_value(name, values[name]) for name in names}
            whole = live.sections_dict(view) if field == "all" else {}
            _out({"name": view.name, "stale": stale, "age_s": live.link_dict(view)["age_s"], "state": shown, **whole})
        elif field == "all":
            for name in names:
                _out(f"{name:22} {fields.format_value(name, values[name])}")
        else:
            _out(fields.plain_value(field, values[field]))


@app.command()
def events(
    target: Target = None,
    seconds: Seconds = None,
    count: Count = None,
    follow: Annotated[
        bool,
        typer.Option("--follow/--no-follow", help="wait for events; --no-follow prints those that the mirror holds"),
    ] = True,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
) -> None:
    """Print a board's events as they come.

    \b
    Examples:
      feagi-state events unix
      feagi-state events unix --json --count 5
    """
    from . import live
    from .targets import open_view

    with _closing(open_view(target, baudrate=baud, timeout_s=timeout)) as view:
        recorder = live.Recorder(view, from_start=not follow)
        if seconds is None and not follow:
            seconds = 0.1
        end = time.monotonic() + seconds if seconds is not None else None
        was_stale, left = False, count
        while True:
            if view.stale and not was_stale:
                _say(f"feagi-state: warning: {live.status_text(view)}")
            was_stale = view.stale
            wait_s = 0.2 if end is None else min(0.2, end - time.monotonic())
            if wait_s <= 0:
                return
            for event in recorder.poll(wait_s):
                _out(live.event_dict(event, view) if as_json else live.event_text(event, recorder))
                if left is not None:
                    left -= 1
                    if left == 0:
                        return


# ------------------------------------------------------------------------------------------------------- writing


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_field(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="a writable field of the core block")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="a number, also with its unit; a state by name; yes or no")
    ],
    target: Target = None,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
) -> None:
    """Change a field on the device.

    Prints the value that the device answers. Opens the port, so no other process may be serving it.

    \b
    Examples:
      feagi-state set burst_engine_state paused unix
      feagi-state set burst_frequency 25Hz /dev/ttyACM0
      feagi-state set fatigue_index 30%
    """
    from . import fields
    from .targets import open_device

    wanted = _usable(fields.parse_value, field, value)
    with _closing(open_device(target, baudrate=baud, timeout_s=timeout)) as device:
        answered = device.set(field, wanted)
        if answered is None:
            answered = device.state.as_dict()[field]
        if as_json:
            _out({"name": device.name, "field": field, "value": fields.json_value(field, answered)})
        else:
            _out(fields.plain_value(field, answered))


def _usable(function: Any, *arguments: str) -> Any:
    """The function's result; what it finds wrong with a field or value is a usage error."""
    try:
        return function(*arguments)
    except (LookupError, ValueError) as error:
        raise UsageError(str(error.args[0])) from error


# ---------------------------------------------------------------------------------------------------------- demo


@app.command()
def demo(
    board: Annotated[str, typer.Option("--board", metavar="BOARD", help="emulated board to run it on")] = "unix",
    seconds: Seconds = None,
    name: InstanceName = None,
    as_json: Annotated[bool, typer.Option("--json", help="print only the report, one JSON object")] = False,
    timeout: Timeout = 10.0,
) -> None:
    """Start a board with a small burst engine and watch it live.

    At the end the device is asked for a digest of its region, which is compared with the mirror's. The exit status is 0
    only if they are equal and the mirror is not stale. Ends also when the board's process does.

    \b
    Examples:
      feagi-state demo
      feagi-state demo --board qemu_m3 --seconds 10 --json
    """
    from . import connect
    from .demo import DemoView, closing_report, old_counts

    with _start(board, None, name) as running:
        _say(
            f"{running.name} runs: link {running.link_port}"
            + (f", REPL {running.repl_port}" if running.repl_port else "")
        )

        def check() -> None:
            if running.pid is None:
                raise CommandError(_epitaph(running, running.wait(0)))

        old = old_counts(running.name)
        try:
            device = connect(running.link_port, name=running.name, timeout_s=timeout)
        except StateError:
            check()
            raise
        with _closing(device):
            view = DemoView(device, old)
            try:
                if as_json:
                    _say("the mirror is live; Ctrl-C ends the demo with its report")
                    _wait(seconds, check)
                else:
                    _show(view, seconds, check)
            except KeyboardInterrupt:
                _say("")
            check()
            report, sentence = closing_report(running, view)
            check()
    if as_json:
        _out(report)
    else:
        _out(sentence)
        _out(json.dumps(report, indent=2))
    if not report["mirror_equal_device"] or report["stale"]:
        raise CommandError(f"the demo failed: {sentence}")


def _wait(seconds: float | None, check: Callable[[], None]) -> None:
    end = time.monotonic() + seconds if seconds is not None else None
    while end is None or time.monotonic() < end:
        check()
        time.sleep(0.1 if end is None else max(0.0, min(0.1, end - time.monotonic())))


# ---------------------------------------------------------------------------------------------------------- main


class _Terminated(BaseException):
    """SIGTERM, SIGHUP, or a reader that has gone: unwinds like Ctrl-C, so that boards and ports are given back."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _terminate(number: int, frame: object) -> NoReturn:
    raise _Terminated(number)


def _fail(message: str, status: int) -> int:
    _say("feagi-state: " + " ".join(message.split()))
    return status


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_closed_streams()
    status = _main()
    try:
        sys.stdout.flush()
    except OSError:  # a broken pipe, a full disk: said already, and the interpreter must not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _open_closed_streams() -> None:
    """Give /dev/null to the standard streams that we were started without (`>&-`).

    Else a port or mirror would get such a stream's number, and what is printed with it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _main() -> int:
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, _terminate)
    try:
        status = app(standalone_mode=False, prog_name="feagi-state")
        try:
            sys.stdout.flush()
        except OSError as error:
            raise _output_lost(error) from None
        return int(status or 0)
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except _Terminated as signalled:
        return 128 + signalled.number
    except StateError as error:
        return _fail(str(error), EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror), EXIT_ERROR)
    except Exception as error:
        if hasattr(error, "format_message"):  # the usage errors of typer's parser have no public class
            return _usage(error)
        raise


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        _out(error.ctx.get_help())
        return EXIT_USAGE
    command = error.ctx.command_path if getattr(error, "ctx", None) else "feagi-state"
    message = str(error.format_message()).rstrip(".")
    return _fail(f"{message} (see `{command} --help`)", getattr(error, "exit_code", EXIT_USAGE))


if __name__ == "__main__":
    main()
