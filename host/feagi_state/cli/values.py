"""Commands about a board's state: watch it, read it, its events, change it."""

from contextlib import closing
from typing import Annotated, Any

import typer

from .. import spec
from ..clock import now_s
from .app import (
    DEFAULT_BAUD,
    DEFAULT_TIMEOUT_S,
    Baud,
    CommandError,
    Count,
    Json,
    MirrorName,
    Seconds,
    Target,
    Timeout,
    UsageError,
    app,
    out,
    say,
    show,
)


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
    from .. import live
    from ..targets import open_view

    with closing(open_view(target, baudrate=baud, timeout_s=timeout)) as view:
        if as_json:
            live.watch_json(view, out, seconds, interval)
        else:
            show(view, seconds)


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
    from .. import fields, live
    from ..targets import the_mirror

    if field != "all":
        _usable(fields.field_named, field)
    with closing(the_mirror(target)) as view:
        stale = view.stale
        if stale and not stale_ok:
            raise CommandError(f"{live.status_text(view)} (--stale-ok prints them)")
        values = view.state.as_dict()
        stale = stale or view.stale
        if stale:
            say(f"feagi-state: warning: {live.status_text(view)}")
        names = [name for name in spec.CORE_FIELDS if name in values] if field == "all" else [field]
        if as_json:
            shown = {name: fields.json_value(name, values[name]) for name in names}
            whole = live.sections_dict(view) if field == "all" else {}
            out({"name": view.name, "stale": stale, "age_s": live.link_dict(view)["age_s"], "state": shown, **whole})
        elif field == "all":
            for name in names:
                out(f"{name:22} {fields.format_value(name, values[name])}")
        else:
            out(fields.plain_value(field, values[field]))


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
    from .. import live
    from ..targets import open_view

    with closing(open_view(target, baudrate=baud, timeout_s=timeout)) as view:
        recent = live.RecentEvents(view, from_start=not follow)
        if seconds is None and not follow:
            seconds = 0.1
        end = now_s() + seconds if seconds is not None else None
        was_stale, left = False, count
        while True:
            if view.stale and not was_stale:
                say(f"feagi-state: warning: {live.status_text(view)}")
            was_stale = view.stale
            wait_s = 0.2 if end is None else min(0.2, end - now_s())
            if wait_s <= 0:
                return
            for event in recent.poll(wait_s):
                out(live.event_dict(event) if as_json else live.event_text(event, recent))
                if left is not None:
                    left -= 1
                    if left == 0:
                        return


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

    Prints the value that the device answers. Goes through the process that serves the board, or opens the port.

    \b
    Examples:
      feagi-state set burst_engine_state paused unix
      feagi-state set burst_frequency 25Hz /dev/ttyACM0
      feagi-state set fatigue_index 30%
    """
    from .. import fields
    from ..targets import open_device

    wanted = _usable(fields.parse_value, field, value)
    with closing(open_device(target, baudrate=baud, timeout_s=timeout)) as device:
        answered = device.set(field, wanted)
        if answered is None:
            answered = device.state.as_dict()[field]
        if as_json:
            out({"name": device.name, "field": field, "value": fields.json_value(field, answered)})
        else:
            out(fields.plain_value(field, answered))


def _usable(function: Any, *arguments: str) -> Any:
    """The function's result; what it finds wrong with a field or value is a usage error."""
    try:
        return function(*arguments)
    except (LookupError, ValueError) as error:
        raise UsageError(str(error.args[0])) from error
