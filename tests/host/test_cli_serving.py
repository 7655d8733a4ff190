"""`feagi-state serve` and `status`, and the other commands beside them, as processes."""

from __future__ import annotations

import json
import re
import signal

import pytest

from fake_device import FakeDevice, PtyDevice


def test_set_works_while_another_process_serves(cli, board, serving):
    for target in ([], ["board"], [board.port]):
        done = cli.run("set", "neuron_count", str(5 + len(board.device.ran)), *target)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(4 + len(board.device.ran)), "")
    assert cli.run("get", "neuron_count").stdout.strip() == "7"


def test_watch_serves_as_well(cli, board):
    watching = cli.start("watch", board.port)
    watching.until("live")
    assert cli.run("set", "neuron_count", "5").stdout.strip() == "5"
    assert watching.until("neuron_count = 5")
    watching.end()


def test_status_says_how_the_link_is(cli, board, serving):
    text = cli.run("status").stdout
    assert "board on" in text and "live" in text and f"process {serving.process.pid}, which takes commands" in text
    for word in ("session 0x", "repairs", "events lost", "round trip", "heard"):
        assert word in text
    known = json.loads(cli.run("status", "board", "--json").stdout)
    assert known["stale"] is False and known["served"] and known["takes_commands"] and known["pid"] == serving.process.pid
    assert known["age_s"] < 60 and known["session"] == board.device.offer and known["port"] == board.port
    # Its clock is ahead by 5 s; see FakeDevice.
    assert known["round_trip_us"] > 0 and abs(known["clock_offset_us"] - 5_000_000) <= known["round_trip_us"] / 2 + 1
    serving.end()
    known = json.loads(cli.run("status", "--json").stdout)
    assert known["stale"] and not known["served"] and not known["takes_commands"] and known["pid"] is None


def test_status_without_a_mirror_is_one_line(cli):
    done = cli.run("status")
    assert done.returncode == 1 and re.fullmatch(r"feagi-state: [^\n]+serve PORT[^\n]+\n", done.stderr)


def test_serve_says_when_a_board_goes_and_comes(cli, tmp_path):
    path = str(tmp_path / "ttyBOARD")
    background = cli.start("serve", path, "--json")
    waiting = json.loads(background.until("plugged in"))
    assert (waiting["port"], waiting["state"]) == (path, "stale")
    for boot in (77, 99):
        with PtyDevice(FakeDevice(boot, name="board"), path):
            assert json.loads(background.until("live"))["state"] == "live"
        assert json.loads(background.until(path))["state"] == "stale"
    assert background.end() == 0


def test_serve_says_in_one_line_that_a_board_has_another_version_until_it_has_not(cli, tmp_path):
    path = str(tmp_path / "ttyBOARD")
    background = cli.start("serve", path)
    with PtyDevice(FakeDevice(77, name="board", schema=0x0BADBEEF), path):
        line = background.until("0x0badbeef")
        assert line.startswith(f"{path}: board on {path} speaks") and "install" in line
    with PtyDevice(FakeDevice(88, name="board"), path):
        background.until("board: live")
    assert background.end() == 0


def test_a_port_that_somebody_has_is_refused_with_the_way_out(cli, board, serving):
    done = cli.run("serve", board.port)
    assert done.returncode == 1 and done.stdout == ""
    line = rf"feagi-state: {board.port} is served by process {serving.process.pid}: [^\n]*`feagi-state set \.\.\. board`[^\n]*\n"
    assert re.fullmatch(line, done.stderr), done.stderr


def test_what_is_no_port_is_refused(cli, tmp_path):
    (tmp_path / "file").write_text("")
    done = cli.run("serve", str(tmp_path / "file"))
    assert done.returncode == 1 and re.fullmatch(r"feagi-state: [^\n]+ is no serial port\n", done.stderr)
    done = cli.run("serve")
    assert done.returncode == 1 and "feagi-state start unix" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_serve_ends_in_order(cli, board, tmp_path, number, status):
    background = cli.start("serve", board.port)
    background.until("live")
    assert background.end(number) == status
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["board.lock", "board.mirror"]
    assert json.loads(cli.run("status", "--json").stdout)["state"] == "CLOSED"
