"""The Typer application, and what its commands share: arguments, output, errors."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console

from .. import spec
from ..errors import StateError

# Nothing in this folder has annotations from __future__: on Python 3.9 Typer would not see what they say.
app = typer.Typer(
    name="feagi-state",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Watch and change the state of a MicroPython board from the PC.

    A PORT is a serial port (/dev/ttyACM0, COM3, a pty), id: and a USB serial number, or the name of an emulated board
    that runs. Whoever opens the port keeps a mirror of the board's state, which every other process reads by NAME
    without touching the port, and takes the others' commands for the board.

    \b
    Try it without a board:
      feagi-state start unix            run an emulated board (leave it running)
      feagi-state watch unix            in a second terminal: see its state live
      feagi-state get neuron_count      in a third: read one value
      feagi-state set fatigue_index 30  and change another

    \b
    With a board:
      feagi-state ports                 which ports there are, and what runs there
      feagi-state install PORT          put module and program on it

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


class Terminated(BaseException):
    """SIGTERM, SIGHUP, or a reader that has gone: unwinds like Ctrl-C, so that boards and ports are given back."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def say(text: str) -> None:
    """One line for a person, apart from the output."""
    print(text, file=sys.stderr, flush=True)


def out(line: Any) -> None:
    """A line of output: a text as it is, anything else as JSON."""
    try:
        print(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False), flush=True)
    except BrokenPipeError:
        raise Terminated(signal.SIGPIPE) from None
    except OSError as error:
        raise output_lost(error) from None


def output_lost(error: OSError) -> CommandError:
    """Nobody takes what is printed: a full disk."""
    return CommandError(f"the output cannot be written: {error.strerror}")


def show(view: Any, seconds: Optional[float], check: Callable[[], None] = lambda: None) -> None:
    """Show a view to a person; `check` is called again and again, and may raise."""
    from .. import live

    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        live.watch_table(view, Console(), seconds, check)
    else:
        live.watch_lines(view, out, seconds, check=check)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        ours = f"schema {spec.SCHEMA_HASH:#010x}, protocol {spec.PROTOCOL_VERSION}, layout {spec.LAYOUT_VERSION}"
        out(f"feagi-state {version('feagi-state')} ({ours})")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show version and schema, and exit")
    ] = False,
) -> None:
    pass
