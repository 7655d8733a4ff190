"""Real MicroPython on the emulated boards, watched, read, changed, killed and started again through the command line."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import feagi_state
from boards_by_cli import CLI, Started, Watching, is_alive, run_cli, until
from common import emulated_boards
from feagi_state import spec

BOARDS = emulated_boards()
ARCHITECTURES = {
    "unix": "x64",
    "qemu_m0": "armv6m",
    "qemu_m3": "armv7m",
    "qemu_m4f": "armv7em",
    "qemu_m7": "armv7em",
    "qemu_rv32": "rv32imc",
}


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory):
    """Mirrors and ports of these tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module", params=BOARDS)
def board(request):
    """A board with the demo program, started once."""
    started = Started(request.param)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def served(board):
    """The board's port served by a watcher, with a live mirror."""
    watcher = Watching(board.board, "--timeout", "20")
    try:
        watcher.wait_first(30)
        yield watcher
    finally:
        watcher.stop()


def boot_id(state_dir: Path, name: str) -> int:
    """From the region's header."""
    return struct.unpack_from("<I", (state_dir / f"{name}.mirror").read_bytes(), spec.HEADER_FIELDS["boot_id"].offset)[0]


# ------------------------------------------------------------------------------------------------------- demo


@pytest.mark.parametrize("name", BOARDS)
def test_the_demo_ends_with_equal_regions(name):
    done = run_cli("demo", "--board", name, "--seconds", "3", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["board"] == name
    assert report["mcu_arch"] == ARCHITECTURES[name]
    assert re.match(r"1\.\d+", report["micropython"])
    assert report["schema"] == f"{spec.SCHEMA_HASH:#010x}"
    assert report["mirror_equal_device"] is True
    assert report["stale"] is False
    assert report["frames"] > report["deltas"] > 10
    assert report["events"] >= 5
    assert report["events_lost"] == 0
    assert report["commands"] == 1


def test_the_demo_without_json_shows_the_state_and_the_proof():
    done = run_cli("demo", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    assert "burst_engine_state = RUNNING" in done.stdout
    assert "they are equal" in done.stdout
    assert '"mirror_equal_device": true' in done.stdout
    assert "\x1b" not in done.stdout


def test_ctrl_c_ends_the_demo_with_its_report():
    process = subprocess.Popen([CLI, "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # The mirror can be live before the demo knows it; what is said is said from where Ctrl-C has its report.
    assert process.stderr is not None
    assert any("Ctrl-C ends the demo" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 0, err
    assert json.loads(out)["mirror_equal_device"] is True


def board_process(runner: int) -> int:
    """The board that a `demo` runs: its only child that stays."""
    children = Path(f"/proc/{runner}/task/{runner}/children")
    return int(until(lambda: children.read_text().split(), 5, "the board's process")[0])


@pytest.fixture
def demo():
    """A demo under a name of its own, live; a function that ends it with a signal and gives what it said."""
    process = subprocess.Popen(
        [CLI, "demo", "--name", "shown"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: "shown" in feagi_state.mirrors() and not feagi_state.attach("shown").stale, 15, "a live mirror")
    yield process
    process.kill()
    process.communicate()


def test_a_demo_whose_board_is_killed_says_so_at_once(demo):
    os.kill(board_process(demo.pid), signal.SIGKILL)
    began = time.monotonic()
    _, err = demo.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert demo.returncode == 1
    assert err.splitlines()[-1] == "feagi-state: board shown has ended (signal 9)"


def test_ctrl_c_ends_a_demo_whose_board_is_silent(demo):
    os.kill(board_process(demo.pid), signal.SIGSTOP)
    until(lambda: feagi_state.attach("shown").stale, 5, "the mirror is stale")
    began = time.monotonic()
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert demo.returncode == 1
    assert "the demo failed: not compared: shown on " in err.splitlines()[-1]
    assert "STALE" in err.splitlines()[-1]
    assert '"mirror_equal_device": false' in out


def test_two_demos_run_at_once_and_count_from_their_own_start(demo):
    refused = run_cli("demo", "--name", "shown", "--seconds", "1")
    assert refused.returncode == 1
    assert "shown runs already" in refused.stderr
    sessions = []
    for _ in range(2):  # the second one takes up the mirror of the first
        done = run_cli("demo", "--name", "other", "--seconds", "2")
        assert done.returncode == 0, done.stderr
        summary = next(line for line in done.stdout.splitlines() if " frames, " in line)
        report = json.loads(done.stdout[done.stdout.index("\n{\n") :])
        frames = int(summary.split()[0].replace(",", ""))
        assert frames <= report["frames"] < frames + 60
        sessions.append(report["sessions"])
    assert sessions[0] == sessions[1]


# ------------------------------------------------------------------------------------------------ many readers


def test_other_processes_read_the_mirror_without_the_port(board, served):
    before = served.seen[-1]["link"]
    first = int(run_cli("get", "neuron_count", board.board).stdout)
    third = run_cli("watch", board.board, "--json", "--interval", "0.2", "--seconds", "1")
    assert third.returncode == 0, third.stderr
    objects = [json.loads(line) for line in third.stdout.splitlines()]
    assert 2 <= len(objects) <= 6
    assert {entry["link"]["session"] for entry in objects} == {before["session"]}
    assert not any(entry["stale"] for entry in objects)
    # The engine sleeps for three of twenty seconds, and its synapses fade then: something changes all the time.
    until(lambda: run_cli("get", "synapse_count").stdout != str(objects[0]["state"]["synapse_count"]), 10, "a change")
    assert int(run_cli("get", "neuron_count").stdout) >= first
    after = served.until(lambda entry: True, 5, "one more object")["link"]
    assert after["sessions"] == before["sessions"], "a reader disturbed the link"
    assert after["frames"] > before["frames"]
    # A busy machine may cost the line a frame, which is repaired: nothing is lost by that.
    assert after["events_lost"] == before["events_lost"]
    with feagi_state.connect(board.board) as device:
        theirs, ours = device.digest()
        assert theirs == ours


def test_get_all_has_every_field(board, served):
    shown = json.loads(run_cli("get", "all", "--json").stdout)
    assert list(shown["state"]) == list(spec.CORE_FIELDS)
    assert shown["stale"] is False
    assert shown["name"] == board.board
    assert shown["state"]["burst_engine_state"] in spec.BurstEngineState.__members__
    assert isinstance(shown["state"]["fatigue_active"], bool)
    assert list(shown["hashes"]) == list(spec.HASHES_FIELDS)
    assert shown["locked_areas"] in ({}, {"3": 7})
    assert shown["fcl_windows"] == {"3": 40}
    assert set(shown["area_stats"]) == {"vision", "motor"}
    assert set(shown["area_stats"]["motor"]) == {"neuron_count", "incoming_synapse_count", "outgoing_synapse_count"}
    assert "hashes" not in json.loads(run_cli("get", "neuron_count", "--json").stdout)
    lines = run_cli("get", "all").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(spec.CORE_FIELDS)


def test_events_come_by_name(board, served):
    done = run_cli("events", board.board, "--json", "--count", "4", "--seconds", "20")
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(seen) == 4
    known = set(spec.EventKind.__members__)
    assert all(entry["kind"] in known or int(entry["kind"]) >= spec.USER_EVENT_BASE for entry in seen)
    times = [entry["time_ms"] for entry in seen]
    assert times == sorted(times)


def test_times_are_those_of_the_day_from_the_first_session_on(board):
    with feagi_state.connect(board.board, timeout_s=20) as device:
        # The demo writes twenty times a second.
        assert device.unix_time
        assert abs(device.state.last_modified - time.time() * 1000) < 2000
        with feagi_state.attach(device.name) as mirror:
            assert mirror.unix_time
        event = device.events().get(10)
        assert event is not None
        assert abs(event.time_ms - time.time() * 1000) < 2000
        year = time.strftime("%Y-", time.localtime())
        assert any(f"last_modified {year}" in " ".join(line.split()) for line in run_cli("get", "all").stdout.splitlines())
        agents = device.agents or until(lambda: device.agents, 10, "an agent")
        assert all(device.state.last_modified - agent.registered_at < 3_600_000 for agent in agents)
    if board.ports["repl"]:
        assert on_repl(board, "print(s.unix_time)") == "True"


def test_set_on_a_served_port_goes_through_the_process_that_serves_it(board, served):
    done = run_cli("set", "memory_usage", "5", board.board)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")
    known = json.loads(run_cli("status", board.board, "--json").stdout)
    assert known["pid"] == served.process.pid and known["takes_commands"]


def test_a_served_port_is_not_served_twice(board, served):
    done = run_cli("serve", board.board)
    assert done.returncode == 1
    assert re.fullmatch(r"feagi-state: [^\n]+\n", done.stderr)
    assert f"process {served.process.pid}" in done.stderr


def test_a_reader_that_has_enough_ends_a_watcher(board, served):
    pipe = f"set -o pipefail; '{CLI}' watch {board.board} --json --interval 0.05 | head -2 | wc -l"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=20)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("2", "", 141)


def test_the_table_on_a_terminal(board, served):
    """A pty 100 columns wide; Ctrl-C as the terminal sends it."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="50")
        os.execv(CLI, [str(CLI), "watch", board.board])
    shown = b""
    deadline = time.monotonic() + 15
    while shown.count(b"burst_engine_state") < 4 and time.monotonic() < deadline:
        shown += os.read(fd, 65536)
    os.write(fd, b"\x03")
    try:
        while data := os.read(fd, 65536):
            shown += data
    except OSError:
        pass  # the end of a pty
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert os.waitstatus_to_exitcode(status) == 130
    assert "Traceback" not in text
    # The port's path is left out where there is no room for it.
    assert re.search(rf"{board.board}( on |: )", text)
    for part in ("live, heard", "neurons", "Hz", "FCL windows   3: 40", "round trip"):
        assert part in text
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l"), "the cursor stays hidden"


# ------------------------------------------------------------------------------------------------------- writing


def test_set_changes_the_device(board):
    for value, answer in (("123,456 bytes", "123456"), ("0", "0"), ("7", "7")):
        done = run_cli("set", "memory_usage", value, board.board)
        assert (done.stdout.strip(), done.returncode) == (answer, 0), done.stderr
    done = run_cli("set", "fq_sampler_state", "degraded", board.board, "--json")
    assert json.loads(done.stdout) == {"name": board.board, "field": "fq_sampler_state", "value": "DEGRADED"}
    shown = json.loads(run_cli("watch", board.board, "--json", "--seconds", "0.1").stdout.splitlines()[0])
    assert shown["state"]["memory_usage"] == 7
    assert shown["state"]["fq_sampler_state"] == "DEGRADED"
    if board.ports["repl"]:
        assert on_repl(board, "print(s.memory_usage, s.fq_sampler_state)") == "7 3"


def on_repl(board: Started, code: str) -> str:
    """What the real mpremote gets from the board's REPL, with `s` as the state."""
    code = f"import feagi_state; s = feagi_state.StateManager.instance(); {code}"
    command = [
        sys.executable,
        "-m",
        "mpremote",
        "connect",
        os.path.realpath(board.ports["repl"]),
        "resume",
        "exec",
        code,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --------------------------------------------------------------------------------------------------- being killed


def test_a_killed_board_leaves_a_stale_mirror_and_comes_back_new(board, served, state_dir):
    name = board.board
    old = served.seen[-1]
    assert not old["stale"]
    old_boot = boot_id(state_dir, name)
    view = feagi_state.attach(name)
    said = board.kill_board()
    killed = time.monotonic()
    assert re.search(rf"^feagi-state: board {name} has ended", said, re.MULTILINE)
    until(lambda: view.stale, 2, "the mirror is stale")
    assert time.monotonic() - killed < 2.0
    with pytest.raises(feagi_state.StaleMirror):
        view.require_live()
    done = run_cli("get", "neuron_count", name)
    assert done.returncode == 1
    assert "STALE" in done.stderr
    assert done.stdout == ""
    old_value = run_cli("get", "neuron_count", name, "--stale-ok")
    assert old_value.returncode == 0
    assert "STALE" in old_value.stderr
    served.until(lambda entry: entry["stale"], 5, "the watcher says stale")
    done = run_cli("watch", name, "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    assert f"{name} on " in done.stdout
    assert "STALE" in done.stdout.splitlines()[0]

    before_restart = len(served.seen)
    board.start()
    new = served.until(lambda entry: not entry["stale"], 20, "the link is live again, by itself")
    assert new["link"]["session"] != old["link"]["session"]
    assert boot_id(state_dir, name) != old_boot
    assert not view.stale
    # The demo counts its writes from 0 again: a value of the old board would be larger.
    live_again = [entry for entry in served.seen[before_restart:] if not entry["stale"]]
    assert live_again[0]["state"]["version"] < old["state"]["version"]
    view.close()


def test_no_board_outlives_its_runner():
    started = Started("unix", "--name", "doomed")
    started.start()
    pid = started.ports["board_pid"]
    assert is_alive(pid)
    started.process.kill()
    started.process.communicate()
    until(lambda: not is_alive(pid), 3, "the board has gone")
    assert "doomed" not in run_cli("boards").stdout


LATE_BOARD = """
import os, subprocess, sys
from feagi_state.unix_board import die_with_parent
held, runner, arrange = int(sys.argv[1]), os.getpid(), die_with_parent()
def late():
    os.write(held, b"started\\n")
    while os.getppid() == runner:
        pass
    arrange()
subprocess.run(["sleep", "60"], pass_fds=[held], preexec_fn=late)
"""


def test_no_board_is_left_by_a_runner_that_dies_while_it_starts_it():
    """Before the board's process could say that it is to die with its runner."""
    reading, writing = os.pipe()
    runner = subprocess.Popen([sys.executable, "-c", LATE_BOARD, str(writing)], pass_fds=[writing])
    os.close(writing)
    with open(reading, "rb") as held:
        assert held.readline() == b"started\n"
        runner.kill()
        runner.wait()
        assert select.select([held], [], [], 30)[0], "a board is left"
        assert held.read() == b"", "nobody holds it any more"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_board_and_ports(state_dir, number):
    started = Started("unix", "--name", "short")
    started.start()
    pid = started.ports["board_pid"]
    assert os.path.exists(started.ports["link"])
    assert run_cli("start", "unix", "--name", "short").stderr.count("runs already") == 1
    started.process.send_signal(number)
    _, said = started.process.communicate(timeout=10)
    assert "Traceback" not in said
    assert not is_alive(pid)
    assert not os.path.lexists(started.ports["link"])


def test_a_program_that_fails_is_quoted(tmp_path):
    program = tmp_path / "main.py"
    program.write_text("import feagi_state\nraise ValueError('no such wheel')\n")
    done = run_cli("start", "unix", "--name", "failing", "--program", str(program))
    assert done.returncode == 1
    assert "ValueError: no such wheel" in done.stderr.splitlines()[-1]


def test_text_of_the_program_does_not_disturb_the_link(tmp_path):
    program = tmp_path / "main.py"
    program.write_text(
        "import sys, time, feagi_state\n"
        "s = feagi_state.StateManager.instance()\n"
        "link = feagi_state.Link(sys.stdin.buffer, s, 'chatty', sys.stdout.buffer)\n"
        "while True:\n"
        "    for _ in range(20):\n"
        "        link.poll(); time.sleep_ms(2)\n"
        "    s.add('neuron_count', 1); print('one more neuron:', s.neuron_count)\n"
    )
    started = Started("unix", "--name", "chatty", "--program", str(program))
    started.start()
    with feagi_state.connect(started.ports["link"], name="chatty") as device:
        until(lambda: device.state.neuron_count > 20 and device.link.text_bytes > 200, 15, "state and text")
        theirs, ours = device.digest()
        assert theirs == ours
        assert not device.stale
    started.stop()


def test_locks_windows_statistics_and_hashes_of_a_program_are_read_on_the_pc(tmp_path):
    program = tmp_path / "main.py"
    program.write_text(
        "import sys, time, feagi_state\n"
        "s = feagi_state.StateManager.instance()\n"
        "s.try_lock(7, 2**64 - 1); s.try_lock(2**32 - 1, 5); s.try_lock(8); s.unlock(8)\n"
        "s.set_fcl_window(7, 33); s.set_fcl_window(9, 1); s.remove_fcl_window(9); s.set_fcl_window(None, 25)\n"
        "s.init_area_stats('caf\u00e9'); s.change_area_stats('caf\u00e9', 5, 2**32 - 1, 7)\n"
        "s.agent_data_hash = 2**64 - 1; s.morphologies_hash = 6\n"
        "link = feagi_state.Link(sys.stdin.buffer, s, 'areas', sys.stdout.buffer)\n"
        "n = 0\n"
        "while True:\n"
        "    link.poll(); time.sleep_ms(2); n += 1\n"
        "    if link.up and n % 50 == 0:\n"
        "        s.change_area_stats('caf\u00e9', 1, 0, -1)\n"
        "        s.try_lock(8, 9) or s.unlock(8, 9)\n",
        encoding="utf-8",
    )
    started = Started("unix", "--name", "areas", "--program", str(program))
    started.start()
    with feagi_state.connect(started.ports["link"], name="areas") as device:
        for reader in (device, feagi_state.attach("areas")):
            hashes = dict.fromkeys(spec.HASHES_FIELDS, 0)
            assert reader.hashes == {**hashes, "agent_data": 2**64 - 1, "morphologies": 6}
            assert (reader.state.agent_data_hash, reader.state.morphologies_hash) == (2**64 - 1, 6)
            locked = reader.locked_areas
            assert locked.pop(8, 9) == 9
            assert locked == {7: 2**64 - 1, 2**32 - 1: 5}
            assert reader.fcl_windows == {7: 33}
            assert [reader.fcl_window(area) for area in (7, 9, 1234)] == [33, 25, 25]
            stats = reader.area_stats
            assert list(stats) == ["caf\u00e9"]
            assert stats["caf\u00e9"].neuron_count >= 5
            assert stats["caf\u00e9"].incoming_synapse_count == 2**32 - 1
        # And live: counts go on, and the lock comes and goes.
        until(lambda: device.area_stats["caf\u00e9"].outgoing_synapse_count == 0, 10, "what is subtracted stays at 0")
        until(lambda: 8 in device.locked_areas, 10, "the area is locked")
        until(lambda: 8 not in device.locked_areas, 10, "the area is unlocked")
        theirs, ours = device.digest()
        assert theirs == ours
    shown = run_cli("get", "all", "areas", "--json", "--stale-ok")
    assert json.loads(shown.stdout)["fcl_windows"] == {"7": 33}, shown.stderr
    started.stop()
