"""`feagi-state` as a process: its signals, its exit status, its one line of error."""

import os
import signal
import sys
from typing import Any, NoReturn

import typer

from ..errors import StateError
from . import emulated, hardware, recordings, serving, values  # noqa: F401  they register their commands
from .app import Terminated, UsageError, app, out, output_lost, say

__all__ = ["main"]

EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated(number)


def _fail(message: str, status: int) -> int:
    say("feagi-state: " + " ".join(message.split()))
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
            raise output_lost(error) from None
        return int(status or 0)
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Terminated as signalled:
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
        out(error.ctx.get_help())
        return EXIT_USAGE
    command = error.ctx.command_path if getattr(error, "ctx", None) else "feagi-state"
    message = str(error.format_message()).rstrip(".")
    return _fail(f"{message} (see `{command} --help`)", getattr(error, "exit_code", EXIT_USAGE))
