"""`feagi-state record`, `replay` and `export` as processes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from cli_process import PATIENCE_S

from feagi_state import Recording, attach


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.mcap"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "run"))


def until_it_grows(file: Path, above: int = 0) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists() or file.stat().st_size <= above:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.01)


def test_record_through_the_process_that_serves_the_port(cli, board, serving, file):
    """Until Ctrl-C, with a command in between; the file has its value, and a summary says what it has."""
    recording = cli.start("record", "board", "-o", str(file), "--json")
    until_it_grows(file, above=1000)
    assert cli.run("set", "fatigue_index", "30", "board").stdout == "30\n"
    recording.process.send_signal(signal.SIGINT)
    out, err = recording.process.communicate(timeout=PATIENCE_S)
    summary = json.loads(out)
    assert recording.end() == 0 and err == f"recording board into {file}; Ctrl-C ends it\n"
    assert summary["file"] == str(file) and summary["len_bytes"] == file.stat().st_size and summary["duration_s"] > 0
    messages = list(Recording(file))
    assert summary["messages"] == len(messages) and summary["events_lost"] == 0
    assert [message.value["fatigue_index"] for message in messages if message.topic == "state"][-1] == 30


def test_record_opens_a_port_that_nobody_serves(cli, board, file):
    done = cli.run("record", board.port, "-o", str(file), "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    assert f"{file}: " in done.stdout and "passed over: 0 versions, 0 events" in done.stdout
    assert Recording(file).device_name == "board"


@pytest.mark.parametrize(("number", "status", "whole"), [(signal.SIGTERM, 143, True), (signal.SIGKILL, -9, False)])
def test_a_recorder_that_is_ended_leaves_a_file_to_read(cli, serving, file, number, status, whole):
    recording = cli.start("record", "board", "-o", str(file))
    until_it_grows(file, above=1000)  # its first second is there
    assert recording.end(number) == status
    found = Recording(file)
    assert "state" in [message.topic for message in found] and found.truncated is not whole
    done = cli.run("export", str(file))
    assert done.returncode == 0 and ("is truncated" in done.stderr) is not whole


def test_replay_is_read_by_other_commands_and_takes_none(cli, serving, file):
    assert cli.run("record", "board", "-o", str(file), "--seconds", "0").returncode == 0
    replaying = cli.start("replay", str(file), "--speed", "0", "--hold")
    with attach_when_there("board-replay") as view:
        view.wait_live(PATIENCE_S)
        assert cli.run("get", "neuron_count", "board-replay").stdout.strip().isdigit()
        status = json.loads(cli.run("status", "board-replay", "--json").stdout)
        assert status["port"] == "replay:run.mcap" and not status["takes_commands"]
        refused = cli.run("set", "fatigue_index", "1", "board-replay")
        assert refused.returncode == 1 and "is a replay, which takes no commands" in refused.stderr
        assert replaying.end() == 0
        assert view.stale
    done = cli.run("replay", str(file), "--speed", "0", "--name", "other")
    assert done.returncode == 0 and done.stderr.endswith(" as other\n")


def attach_when_there(name: str):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attach(name)
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_export_prints_what_it_made(cli, serving, file):
    assert cli.run("record", "board", "-o", str(file), "--seconds", "0").returncode == 0
    done = cli.run("export", str(file), "--csv", "--parquet")
    assert done.returncode == 0, done.stderr
    made = done.stdout.splitlines()
    assert {Path(path).name for path in made} >= {"state.csv", "state.parquet"} and all(Path(path).is_file() for path in made)
    assert all(Path(path).parent == file.with_suffix("") for path in made)
    again = cli.run("export", str(file))
    assert again.returncode == 1 and "is there already" in again.stderr
    assert cli.run("export", str(file), "--force").returncode == 0


def test_errors_are_one_line(cli, board, serving, file, tmp_path):
    (tmp_path / "text").write_text("hello")
    for arguments, status, says in (
        (("record", "board"), 2, "-o"),
        (("record", "nobody", "-o", str(file)), 1, "'nobody' is no serial port, no mirror"),
        (("record", "board", "-o", str(tmp_path / "text")), 1, "is there already"),
        (("record", "board", "-o", "/dev/full", "--force"), 1, "no regular file"),
        (("replay", str(file)), 1, "there is no file"),
        (("replay", str(tmp_path / "text")), 1, "is no recording: it begins with b'hello'"),
        (("replay", str(file), "--speed", "0", "--loop"), 2, "--loop needs a --speed above 0"),
        (("replay", str(file), "--speed", "-1"), 2, "--speed"),
        (("export", str(file)), 1, "there is no file"),
        (("export", str(tmp_path / "text")), 2, "name a folder with -o"),
    ):
        done = cli.run(*arguments)
        assert done.returncode == status and says in done.stderr, (arguments, done)
        assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert not file.exists()
