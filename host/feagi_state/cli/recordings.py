"""Commands about recordings: make one, replay it, make tables of it."""

import time
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .app import DEFAULT_BAUD, DEFAULT_TIMEOUT_S, Baud, Json, Seconds, Target, Timeout, UsageError, app, out, say

LOOK_S = 0.2
RecordingFile = Annotated[Path, typer.Argument(metavar="FILE", help="what `record` has made")]
Force = Annotated[bool, typer.Option("--force", help="overwrite what is there")]
Folder = Annotated[
    Optional[Path], typer.Option("-o", "--output", metavar="FOLDER", help="by default FILE without .mcap")
]
ReplayName = Annotated[
    Optional[str],
    typer.Option("--name", metavar="NAME", help="the mirror's; by default the recorded one's and -replay"),
]


@app.command()
def record(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.mcap", help="the recording")],
    target: Target = None,
    seconds: Seconds = None,
    force: Force = False,
    as_json: Json = False,
    baud: Baud = DEFAULT_BAUD,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
) -> None:
    """Record what happens on a board into an MCAP file, until Ctrl-C.

    Writes the whole state first, then every change and event, with the device's times. Reads the mirror where another
    process serves one, and slows down neither it nor the board; otherwise opens the port and serves the mirror itself.
    Foxglove and other tools for robots open the file; `replay` makes a mirror of it, `export` tables.

    \b
    Examples:
      feagi-state record unix -o run.mcap
      feagi-state record /dev/ttyACM0 -o run.mcap --seconds 60
    """
    from ..recorder import Recorder
    from ..targets import open_view

    with closing(open_view(target, baudrate=baud, timeout_s=timeout)) as view:
        recorder = Recorder(view, output, overwrite=force)
        try:
            say(f"recording {recorder.name} into {recorder.path}; Ctrl-C ends it")
            with suppress(KeyboardInterrupt):
                recorder.wait(seconds)
        finally:
            try:
                recorder.close()
            finally:
                _report(recorder.summary, recorder.path, as_json)


def _report(summary: Any, path: str, as_json: bool) -> None:
    if as_json:
        out({"file": path, **asdict(summary)})
        return
    out(
        f"{path}: {summary.messages:,} messages, {summary.len_bytes:,} bytes, {summary.duration_s:.1f} s; "
        f"passed over: {summary.passed_over:,} versions, {summary.events_lost:,} events"
    )


@app.command()
def replay(
    file: RecordingFile,
    speed: Annotated[float, typer.Option("--speed", metavar="X", min=0.0, help="0: as fast as possible")] = 1.0,
    start: Annotated[
        float, typer.Option("--start", metavar="S", min=0.0, help="begin so many seconds into the recording")
    ] = 0.0,
    loop: Annotated[bool, typer.Option("--loop", help="begin again at the end, until Ctrl-C")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="keep the mirror live at the end, until Ctrl-C")] = False,
    name: ReplayName = None,
) -> None:
    """Replay a recording into a mirror, which every process reads like a board's.

    The mirror has a name of its own, and says that it is replayed. It takes no commands.

    \b
    Examples:
      feagi-state replay run.mcap
      feagi-state replay run.mcap --speed 0 --hold
      feagi-state watch unix-replay
    """
    from ..recording import Recording

    if loop and not speed:
        raise UsageError("--loop needs a --speed above 0")
    recording = Recording(file)
    with recording.replay(name=name, speed=speed, start_s=start, loop=loop) as replayed:
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(recording.began_ns // 1_000_000_000))
        say(f"replaying {recording.name} of {date} as {replayed.name}")
        with suppress(KeyboardInterrupt):
            replayed.wait()
            while loop or hold:
                replayed.wait()
                time.sleep(LOOK_S)
    if recording.truncated:
        say(f"feagi-state: warning: {recording.path} is truncated: all up to there was replayed")


@app.command()
def export(
    file: RecordingFile,
    csv: Annotated[bool, typer.Option("--csv", help="texts, for spreadsheets and pandas (the default)")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="typed columns, for pandas, DuckDB and the like")] = False,
    output: Folder = None,
    force: Force = False,
) -> None:
    """Make tables of a recording: one file each for state, events, agents and so on.

    Prints the files' names.

    \b
    Examples:
      feagi-state export run.mcap --csv
      feagi-state export run.mcap --parquet -o tables
    """
    from ..recording import Recording

    kinds = ["csv"] * (csv or not parquet) + ["parquet"] * parquet
    if output is None and file.suffix != ".mcap":
        raise UsageError(f"{file} has no .mcap to leave away: name a folder with -o")
    recording = Recording(file)
    for kind in kinds:
        for path in recording.export(output or file.with_suffix(""), kind, overwrite=force):
            out(path)
    if recording.truncated:
        say(f"feagi-state: warning: {recording.path} is truncated: all up to there was exported")
