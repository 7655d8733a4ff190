"""The command line as its users have it: a process, its output, its one line of error, its exit status."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import serial

from feagi_state import spec
from feagi_state.frames import encode
from feagi_state.mirror_files import OwnedMirror
from feagi_state.running import PortEntry
from places import HEADER_LEN, SPEC, Model
from talker import Talker

CLI = Path(sys.executable).parent / "feagi-state"
PATIENCE_S = 60.0
COMMANDS = ("boards", "start", "watch", "get", "set", "events", "demo", "ports", "install", "flash", "repl", "doctor", "serve", "status")


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "FEAGI_STATE_DIR": str(tmp_path / "run"), "COLUMNS": "100", "TERM": "xterm"}


@pytest.fixture
def run(environment):
    def run(*arguments: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CLI, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    return run


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *says: str) -> None:
    assert done.returncode == status, done
    assert "Traceback" not in done.stdout + done.stderr
    assert re.fullmatch(r"feagi-state: [^\n]+\n", done.stderr), done.stderr
    for text in says:
        assert text in done.stderr


@pytest.fixture
def talker():
    made: list[Talker] = []

    def make(*messages: bytes) -> Talker:
        made.append(Talker(*messages))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ------------------------------------------------------------------------------------------------------- help


def test_without_arguments_it_shows_its_help(run):
    done = run()
    assert all(command in done.stdout for command in COMMANDS)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(run, command):
    done = run(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"Examples?:\n    feagi-state {command}", done.stdout)


def test_the_version_names_the_schema(run):
    done = run("--version")
    assert done.returncode == 0
    assert f"{spec.SCHEMA_HASH:#010x}" in done.stdout


# ------------------------------------------------------------------------------------------------------ wrong usage


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        (["watch", "--nonsense"], "--nonsense"),
        (["watch", "--seconds", "soon"], "--seconds"),
        (["get"], "FIELD"),
        (["set", "neuron_count"], "VALUE"),
        (["get", "neurons_count"], "did you mean neuron_count"),
        (["set", "neurons_count", "1"], "did you mean neuron_count"),
        (["set", "version", "1"], "kept by the device"),
        (["set", "burst_engine_state", "flying"], "RUNNING"),
        (["set", "fatigue_index", "101%"], "0 to 100"),
        (["set", "neuron_count", "-1"], "0 to 4,294,967,295"),
        (["set", "burst_frequency", "nan"], "a number of Hz"),
        (["set", "burst_frequency", "inf"], "a number of Hz"),
        (["set", "burst_frequency", "1e99"], "a number of Hz that 32 bits hold"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, arguments, says):
    assert_one_line(run(*arguments), 2, says)


# ------------------------------------------------------------------------------------- boards, mirrors, ports


def test_boards_lists_them(run):
    done = run("boards")
    assert done.returncode == 0
    assert "unix" in done.stdout
    assert "qemu_m3" in done.stdout
    listed = {entry["board"]: entry for entry in map(json.loads, run("boards", "--json").stdout.splitlines())}
    assert listed["unix"]["mpy"] == "x64"
    assert listed["qemu_m3"]["mpy"] == "armv7m"
    assert listed["unix"]["running"] == []


def test_an_unknown_board(run):
    assert_one_line(run("start", "nonsense"), 1, "nonsense", "unix")
    assert_one_line(run("demo", "--board", "nonsense", "--seconds", "1"), 1, "nonsense", "unix")


def test_a_program_that_is_not_there(run):
    done = run("start", "unix", "--program", "/nonexistent/main.py")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("feagi-state: ")
    assert "/nonexistent/main.py" in done.stderr


@pytest.mark.parametrize("arguments", [["get", "neuron_count"], ["get", "all", "nobody"]])
def test_get_without_a_mirror(run, arguments):
    assert_one_line(run(*arguments), 1, "mirror", "feagi-state watch")


@pytest.mark.parametrize("path", ["/dev/null", "/tmp"])
def test_get_from_what_is_no_port(run, path):
    done = run("get", "neuron_count", path)
    assert_one_line(done, 1, f"{path} is no serial port")
    assert "feagi-state watch" not in done.stderr


def test_get_from_a_name_of_nothing_does_not_offer_to_watch_it(run):
    done = run("get", "neuron_count", "nosuch")
    assert_one_line(done, 1, "'nosuch'", "`feagi-state watch PORT`")
    assert "watch nosuch" not in done.stderr


def test_get_from_a_port_whose_mirror_nobody_serves(run, talker):
    port = talker().port
    assert_one_line(run("get", "neuron_count", port), 1, f"`feagi-state watch {port}` serves one")


def test_get_with_nothing_but_old_mirrors(run, environment):
    """A name of one of them would not help: they are old."""
    region = bytes(Model(SPEC, "micro", 1).data[:HEADER_LEN])
    for name in ("one", "two"):
        owned = OwnedMirror(name, environment["FEAGI_STATE_DIR"])
        owned.open(region, "board", "/dev/ttyNONE")
        owned.close()
    assert_one_line(run("get", "neuron_count"), 1, "no mirror is live: `feagi-state watch PORT` serves one")
    entry = PortEntry("unix", "unix", Path(environment["FEAGI_STATE_DIR"]) / "ports")
    entry.claim()
    entry.publish("/dev/null", None)
    assert_one_line(run("get", "neuron_count"), 1, "no mirror is live: `feagi-state watch unix` serves one")
    entry.release()


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can give a directory away")
@pytest.mark.parametrize(
    "command", [["get", "neuron_count"], ["get", "all", "unix"], ["watch"], ["watch", "unix"], ["boards"]]
)
def test_a_state_directory_of_another_user(environment, command):
    """Read as root, but without root's power over other users' files."""
    os.makedirs(environment["FEAGI_STATE_DIR"], mode=0o700)
    os.chown(environment["FEAGI_STATE_DIR"], 65534, 65534)
    powerless = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    done = subprocess.run([*powerless, CLI, *command], env=environment, capture_output=True, text=True, timeout=30)
    assert_one_line(done, 1, f"no permission to read {environment['FEAGI_STATE_DIR']}", ": it belongs to another user")


@pytest.mark.parametrize("command", ["watch", "events"])
def test_nothing_to_open(run, command):
    assert_one_line(run(command), 1, "feagi-state start unix")
    assert_one_line(run(command, "unix"), 1, "feagi-state start unix")
    assert_one_line(run(command, "nobody"), 1, "nobody")


@pytest.mark.parametrize("arguments", [["watch"], ["events"], ["set", "neuron_count", "1"]])
def test_an_absent_port(run, arguments):
    assert_one_line(run(*arguments, "/dev/ttyNONE7"), 1, "/dev/ttyNONE7")


def test_a_file_that_is_no_port(run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"text")
    assert_one_line(run("watch", str(path)), 1, str(path))


def test_a_prompt_without_a_terminal(run, talker):
    assert_one_line(run("repl", talker().port), 1, "needs a terminal", "exec CODE")


def test_a_silent_port(run, talker):
    assert_one_line(run("watch", talker().port, "--timeout", "1"), 1, "silent")


def test_noise(run, talker):
    noise = [os.urandom(200) for _ in range(20)]
    assert_one_line(run("watch", talker(*noise).port, "--timeout", "1"), 1, "no frames")


def test_a_plain_repl(run, talker):
    banner = b"MicroPython v1.25.0 on 2025-04-15; mps2-an385 with cortex-m3\r\n>>> "
    assert_one_line(run("watch", talker(banner).port, "--timeout", "1"), 1, "prompt")


def test_a_busy_port(run, talker):
    port = talker().port
    with serial.Serial(port, exclusive=True):
        assert_one_line(run("watch", port, "--timeout", "1"), 1, port, "busy")


def test_firmware_of_another_spec(run, talker):
    other = spec.SCHEMA_HASH ^ 1
    hello = encode(spec.Kind.HELLO, 0, (spec.PROTOCOL_VERSION, other, 77, 200, 24, 128, 1000, "old"), 0)
    done = run("watch", talker(hello).port, "--timeout", "3")
    assert_one_line(done, 1, f"0x{other:08x}", f"0x{spec.SCHEMA_HASH:08x}", "same version")


# --------------------------------------------------------------------------------------------------- being ended


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_it_without_a_word(environment, talker, number, status):
    nobody = talker()
    process = subprocess.Popen(
        [CLI, "watch", nobody.port, "--timeout", "60"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert nobody.heard.wait(PATIENCE_S), "it says no hello"  # it waits for an answer
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (status, b"", b"")


def test_a_reader_that_has_enough(environment):
    done = subprocess.run(
        ["bash", "-c", f"'{CLI}' get --help | head -1; echo ${{PIPESTATUS[0]}}"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Usage:")
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["boards", "boards --json", "--version", "--help"])
def test_a_full_disk_is_one_line(environment, command):
    done = subprocess.run(
        ["bash", "-c", f"'{CLI}' {command} >/dev/full"], env=environment, capture_output=True, text=True
    )
    assert_one_line(done, 1, "No space left on device")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_closed_streams(environment, closed):
    """What is printed goes nowhere; ports do not get the streams' numbers."""
    for command, status in (("get neuron_count", 1), ("boards", 0)):
        done = subprocess.run(
            ["bash", "-c", f"'{CLI}' {command} {closed}"], env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done
        assert "Traceback" not in done.stdout + done.stderr
