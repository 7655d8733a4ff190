"""Commands about the link: serve ports for the other commands, and say how their links are."""

import time
from contextlib import closing
from typing import Annotated, Any, Optional

import typer

from ..clock import now_s
from ..errors import LinkError, StateError
from .app import (
    DEFAULT_BAUD,
    DEFAULT_TIMEOUT_S,
    Baud,
    CommandError,
    Json,
    MirrorName,
    Seconds,
    Timeout,
    app,
    out,
)
from .page import Http, HttpAt, page

Ports = Annotated[
    Optional[list[str]],
    typer.Argument(metavar="[PORT]...", help="serial ports or running boards; none: all boards that run"),
]
LOOK_S = 0.1
CANNOT_BE = ("busy", "permission", "failed")  # what is wrong with a port that will not be better by itself


@app.command()
def serve(
    ports: Ports = None,
    seconds: Seconds = None,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="leave a board at its prompt when `repl` or mpremote have gone")
    ] = False,
    http: Http = False,
    http_at: HttpAt = None,
) -> None:
    """Own ports for all other processes, until Ctrl-C.

    Keeps a mirror of each board, which others read by its name without asking, and takes commands for them: `set`, and
    connect() in programs, work while this runs. Boards may come and go; one that is plugged in again is found by its
    USB serial number. A line is printed for all that changes. Where a board's prompt is on the same line, `repl` and
    mpremote use it through this process meanwhile: see `feagi-state repl --help`.

    With --http a page shows the boards in a browser, and sets their values. Its address is printed; the token in it,
    another one at every start, keeps others out. It is served on this computer alone unless --http-at says otherwise.

    \b
    Examples:
      feagi-state serve
      feagi-state serve --http
      feagi-state serve /dev/ttyACM0 /dev/ttyACM1 id:3573345F3239
    """
    from .. import Fleet
    from ..targets import the_ports

    end = None if seconds is None else now_s() + seconds
    with Fleet(the_ports(ports or []), baudrate=baud, serve=True, restart=not no_restart) as fleet:
        watched = [_Watched(device, timeout) for device in fleet]
        with page(lambda: fleet.devices, http, http_at) as url:
            if url is not None:
                out({"url": url} if as_json else f"page: {url}")
            try:
                while end is None or now_s() < end:
                    for one in watched:
                        for told in one.news():
                            out(told if as_json else told["text"])
                    time.sleep(LOOK_S)
            except KeyboardInterrupt:
                return


class _Watched:
    """A device, and what was said of it."""

    def __init__(self, device: Any, timeout_s: float) -> None:
        """`timeout_s`: how long a silent port is given before it is said to be silent."""
        self.device = device
        self._timeout_s = timeout_s
        self._since = now_s()  # that it is not live
        self._said = ""
        self._was_there = False

    def news(self) -> list[dict[str, Any]]:
        """What there is to say that was not said. Raises CommandError for a port that can never be opened."""
        text, state = self._state()
        said = text.partition("; heard ")[0]  # noise is hardly ever the same twice
        if said == self._said:
            return []
        self._said = said
        return [{"port": self.device.port, "state": state, "text": text}] if text else []

    def _state(self) -> tuple[str, str]:
        device = self.device
        if not device.stale:
            self._was_there, self._since = True, now_s()
            return f"{device.name}: live on {device.port}, session {device.link.session:#010x}", "live"
        problem = device.problem
        if problem is not None and not self._was_there and not _passes(problem):
            raise CommandError(str(problem))
        waited_s = now_s() - self._since
        if problem is None and waited_s < self._timeout_s:
            return self._said, ""
        return f"{device.port}: {problem or device.why_not_live(self._timeout_s)}", "stale"


def _passes(problem: StateError) -> bool:
    """Whether this is better by itself once a board is plugged in, or has other firmware."""
    return isinstance(problem, LinkError) and getattr(problem, "reason", "") not in CANNOT_BE


@app.command()
def status(target: MirrorName = None, as_json: Json = False) -> None:
    """Say how the links of the mirrors are: age, session, losses, clocks, and who serves them.

    Touches no serial port. Without a NAME all mirrors are listed, live or not.

    \b
    Examples:
      feagi-state status
      feagi-state status unix --json
    """
    from .. import attach, mirrors
    from ..targets import the_mirror

    views = [the_mirror(target)] if target is not None else [attach(name) for name in mirrors()]
    if not views:
        raise CommandError("there is no mirror: `feagi-state serve PORT` makes one")
    for view in views:
        with closing(view):
            known = _status(view)
        out(known if as_json else _status_text(known))


def _status(view: Any) -> dict[str, Any]:
    from .. import live
    from ..served_link import takes_commands

    served = view.is_served
    return {
        "name": view.name,
        "stale": view.stale,
        "served": served,
        "pid": view.link.owner_pid if served else None,
        "takes_commands": takes_commands(view),
        "clock_offset_us": view.link.clock_offset_us,
        "text": live.status_text(view),
        **live.link_dict(view),
    }


def _status_text(known: dict[str, Any]) -> str:
    """For people: a line on how it is, and what there is behind it."""
    who = f"process {known['pid']}" if known["served"] else "nobody"
    does = "takes commands" if known["takes_commands"] else "takes no commands"
    lines = [
        known["text"],
        f"  served    by {who}" + (f", which {does}" if known["served"] else ""),
        f"  sessions  {known['sessions']:,}; {known['frames']:,} frames, {known['deltas']:,} deltas, "
        f"{known['events']:,} events, {known['commands']:,} commands",
        f"  losses    {known['naks']:,} repairs, {known['events_lost']:,} events lost, "
        f"{known['text_bytes']:,} bytes of text",
    ]
    if known["round_trip_us"]:
        lines.append(
            f"  clocks    round trip {known['round_trip_us'] / 1000:.3f} ms; the device's is "
            f"{known['clock_offset_us'] / 1_000_000:+.6f} s to this computer's"
        )
    return "\n".join(lines)
