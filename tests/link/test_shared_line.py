"""One serial line for the link and the prompt: mpremote, and people, use it through the process that owns it, and the mirror
is stale meanwhile and live again by itself. With the real mpremote, on real boards.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import serial
from mpremote.transport_serial import SerialTransport as Mpremote

import feagi_state
from boards_by_cli import Started, run_cli, until
from feagi_state.errors import CommandTimeout, LinkError
from feagi_state.prompt_port import find_prompt

LIVE_S = 20
BOARDS = ["unix", pytest.param("qemu_m0", marks=pytest.mark.qemu)]


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory):
    """Mirrors and ports of these tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(folder))
        yield folder


class Shared:
    """A board whose link this process serves, and its prompt."""

    def __init__(self, board: str = "unix", name: str = "own", restart: bool = True) -> None:
        self.name = name
        self.board = Started(board, "--name", name, *(["--empty"] if board == "unix" else []))
        self.board.start()
        if board == "unix":
            done = run_cli("install", name)
            assert done.returncode == 0, done.stderr
        self.device = feagi_state.connect(name, serve=True, restart=restart, timeout_s=LIVE_S)
        self.heard = bytearray()  # what the board said that is no frame
        self.device.text = self.heard.extend

    @property
    def prompt(self) -> str:
        """The terminal that is offered now."""
        found = until(lambda: find_prompt(self.board.ports["link"]), LIVE_S, "a prompt is offered")
        return os.path.realpath(found)

    @property
    def session(self) -> int:
        return int(self.device.link.session)

    def mpremote(self, *arguments: str) -> str:
        """What the real mpremote prints."""
        command = [sys.executable, "-m", "mpremote", "connect", self.prompt, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    def live(self, than: int) -> None:
        """Waits for another session than that one, and proves that its mirror is the board's state."""
        until(lambda: not self.device.stale and self.session != than, LIVE_S, "the mirror is live again")
        theirs, ours = self.device.digest()
        assert theirs == ours

    def close(self) -> None:
        self.device.close()
        self.board.stop()


@pytest.fixture(scope="module", params=BOARDS)
def shared(request) -> Iterator[Shared]:
    """Each board once, since a start takes its time; every test leaves it live."""
    one = Shared(request.param, f"shared_{request.param}")
    yield one
    one.close()


@pytest.fixture
def line(shared) -> Shared:
    until(lambda: not shared.device.stale, LIVE_S, "the mirror is live")
    return shared


# ------------------------------------------------------------------------------------------------------- as it should be


def test_a_command_of_mpremote_and_then_the_mirror_goes_on(line):
    before = line.session
    assert line.mpremote("exec", "print(6 * 7)") == "42\n"
    line.live(before)


def test_the_mirror_is_stale_as_long_as_the_prompt_is_used_and_commands_wait(line):
    before = line.session
    with serial.Serial(line.prompt, timeout=5, exclusive=True) as person:
        assert not line.device.stale, "nothing is typed yet"
        person.write(b"\x03")
        assert b">>> " in person.read_until(b">>> ")
        assert line.device.stale
        assert "its prompt is in use" in str(line.device.problem)
        with pytest.raises((LinkError, CommandTimeout)) as caught:
            line.device.set("fatigue_index", 1, timeout_s=0.3)
        assert not caught.value.may_have_run
        person.write(b"print(3 * 5)\r")
        assert person.read_until(b">>> ").split()[-2:] == [b"15", b">>>"]
    line.live(before)
    assert line.device.set("fatigue_index", 1) == 1


def test_who_only_listens_hears_the_program_and_the_link_goes_on(line):
    before = line.session
    with serial.Serial(line.prompt, timeout=0.5, exclusive=True) as person:
        deltas = line.device.link.deltas
        until(lambda: line.device.link.deltas > deltas + 10, LIVE_S, "the mirror follows")
        person.write(b"hello")  # a program that does not read it
        deltas = line.device.link.deltas
        until(lambda: line.device.link.deltas > deltas + 10, LIVE_S, "the mirror follows")
        assert b"\0" not in person.read(4096)
    assert (line.session, line.device.stale) == (before, False)


def test_the_program_may_be_started_from_the_prompt_which_stays_in_use(line):
    before = line.session
    with serial.Serial(line.prompt, timeout=5, exclusive=True) as person:
        person.write(b"\x03")
        person.read_until(b">>> ")
        person.write(b"\x04")
        line.live(before)


def copy(line: Shared, mpremote: Mpremote, n: int) -> None:
    data = bytes(n * k % 256 for k in range(300))
    mpremote.fs_writefile("copied.bin", data)
    assert mpremote.fs_readfile("copied.bin") == data
    mpremote.fs_rmfile("copied.bin")


def execute(line: Shared, mpremote: Mpremote, n: int) -> None:
    assert mpremote.exec(f"print({n} * {n})").strip() == b"%d" % (n * n)


def mount(line: Shared, mpremote: Mpremote, n: int, folder: str) -> None:
    mpremote.mount_local(folder)
    try:
        assert mpremote.exec(f"print(open('/remote/mounted{n % 4}').read())").strip() == b"%d" % (n % 4)
    finally:
        mpremote.umount_local()


@pytest.mark.parametrize("rounds", [8, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_mpremote_and_the_link_take_turns(line, tmp_path, rounds):
    """exec, cp, mount and soft reset in turn; every round ends with a live mirror that equals the board's state."""
    for k in range(4):
        (tmp_path / f"mounted{k}").write_text(f"{k}\n")
    whats: list[Callable[[Mpremote, int], None]] = [
        lambda mpremote, n: execute(line, mpremote, n),
        lambda mpremote, n: copy(line, mpremote, n),
        lambda mpremote, n: mount(line, mpremote, n, str(tmp_path)),
    ]
    for n in range(rounds):
        before = line.session
        with closing(Mpremote(line.prompt)) as mpremote:
            mpremote.enter_raw_repl(soft_reset=n % 4 == 3)
            assert line.device.stale
            whats[n % 4 % 3](mpremote, n)
            mpremote.exit_raw_repl()
        line.live(before)


def test_the_commands_of_mpremotes_command_line(line, tmp_path):
    (tmp_path / "value.py").write_text("value = 11\n")
    for arguments, printed in [
        (["resume", "exec", "print(1)"], "1\n"),
        (["fs", "cp", str(tmp_path / "value.py"), ":value.py", "+", "exec", "import value; print(value.value)", "+", "fs", "rm", ":value.py"], "11\n"),
        (["mount", str(tmp_path), "exec", "import value; print(value.value)"], "11\n"),
        (["soft-reset"], ""),
    ]:  # fmt: skip
        before = line.session
        assert printed in line.mpremote(*arguments)
        line.live(before)


def test_a_program_that_mpremote_runs_may_serve_the_link_itself(line, tmp_path):
    """What it prints reaches mpremote without the frames."""
    program = tmp_path / "served.py"
    program.write_text(
        "import feagi_state, sys, time\n"
        "s = feagi_state.StateManager.instance()\n"
        "s.memory_usage = 4321\n"
        "link = feagi_state.Link(sys.stdin.buffer, s, 'by hand', sys.stdout.buffer)\n"
        "while s.fatigue_index != 77:\n    link.poll()\n    time.sleep_ms(2)\n"
        "for _ in range(20):\n    link.poll()\n    time.sleep_ms(2)\n"
        "print('done')\n"
    )
    before = line.session
    command = [sys.executable, "-m", "mpremote", "connect", line.prompt, "run", str(program)]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(lambda: line.session != before and not line.device.stale, LIVE_S, "its link is live")
        assert line.device.state.memory_usage == 4321
        before = line.session
        line.device.set("fatigue_index", 77)
        said, _ = running.communicate(timeout=20)
        # On a busy machine a frame may stop halfway for longer than the host waits for its rest, and is then text.
        assert running.returncode == 0 and said.rstrip(b"\0\r\n").endswith(b"done"), said
    finally:
        running.kill()
    line.live(before)


# ------------------------------------------------------------------------------------------------------- as it can go


@pytest.mark.parametrize("code", ["print(1)", "import time\nwhile True:\n    time.sleep(1)"])
def test_mpremote_that_is_killed_in_the_raw_repl(line, code):
    before = line.session
    command = [sys.executable, "-m", "mpremote", "connect", line.prompt, "exec", code, "+", "exec", "import time; time.sleep(100)"]
    line.heard.clear()
    killed = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: line.device.stale, LIVE_S, "the prompt is in use")
    until(lambda: b"raw REPL" in line.heard, LIVE_S, "it is in the raw REPL")
    killed.kill()
    killed.wait()
    line.live(before)


def test_a_client_that_vanishes_in_the_midst_of_sending_code(line):
    before = line.session
    mpremote = Mpremote(line.prompt)
    mpremote.enter_raw_repl(soft_reset=False)
    mpremote.read_until(1, b">")
    mpremote.serial.write(b"\x05A\x01")
    assert mpremote.serial.read(5) == b"R\x01\x80\x00\x01"
    mpremote.serial.write(b"x = '")
    mpremote.close()
    line.live(before)


@pytest.mark.parametrize("typed", [b"x = [1,", b"if 1:\r", b"\x05x = 1\r"])
def test_a_person_who_leaves_something_half_typed(line, typed):
    before = line.session
    with serial.Serial(line.prompt, timeout=5, exclusive=True) as person:
        person.write(b"\x03")
        person.read_until(b">>> ")
        person.write(typed)
        person.read_until(typed[-1:], 100)
    line.live(before)


def test_what_was_left_running_is_let_run_to_its_end(line):
    before = line.session
    line.mpremote("resume", "exec", "--no-follow", "import time; time.sleep(2); open('ended', 'w').close()")
    assert line.device.stale
    line.live(before)
    before = line.session
    assert "ended" in line.mpremote("resume", "exec", "import os; print(os.listdir()); os.remove('ended')")
    line.live(before)


def test_no_second_host_and_no_second_client(line):
    refused = run_cli("serve", line.name, "--seconds", "1")
    assert refused.returncode == 1 and f"served by process {os.getpid()}" in refused.stderr
    with serial.Serial(line.prompt, exclusive=True), pytest.raises(serial.SerialException):
        serial.Serial(line.prompt, exclusive=True)


def test_the_command_line_finds_the_prompt(line):
    assert run_cli("repl", line.name, "--path").stdout == line.prompt + "\n"
    before = line.session
    done = run_cli("repl", line.name, "exec", "print(5 * 5)")
    assert (done.returncode, done.stdout) == (0, "25\n")
    line.live(before)


def test_a_board_that_goes_away_while_its_prompt_is_in_use():
    one = Shared()
    try:
        mpremote = Mpremote(one.prompt)
        mpremote.enter_raw_repl(soft_reset=False)
        before = one.session
        one.board.stop()
        with pytest.raises((OSError, serial.SerialException)):
            while True:
                mpremote.exec("print(1)")
        until(lambda: one.device.problem, LIVE_S, "the owner says that it is not there")
        one.board.start()
        until(lambda: not one.device.problem, LIVE_S, "the owner has it again")
        done = run_cli("install", one.name)
        assert done.returncode == 1 and "served by process" in done.stderr
        assert one.mpremote("resume", "exec", "print(2)") == "2\n"
        assert one.session == before and one.device.stale, "no program has served the link there: none is started"
    finally:
        one.close()


def test_a_board_that_is_to_stay_at_its_prompt():
    one = Shared(restart=False)
    try:
        assert one.mpremote("exec", "print(1)") == "1\n"
        assert one.mpremote("resume", "exec", "x = 5") == ""
        until(lambda: "it is at its prompt" in str(one.device.problem), LIVE_S, "it is said, and not that main.py is started again")
        assert one.mpremote("resume", "exec", "print(x)") == "5\n"
        assert one.device.stale
        os.kill(one.board.process.pid, 0)
    finally:
        one.close()


def test_a_main_that_ends_is_not_started_twice(tmp_path):
    one = Shared()
    try:
        before = one.session
        (tmp_path / "main.py").write_text("f = open('runs', 'a')\nf.write('x')\nf.close()\n")
        one.mpremote("fs", "cp", str(tmp_path / "main.py"), ":main.py")
        until(lambda: "main.py has ended" in str(one.device.problem), LIVE_S, "it is said")
        assert one.mpremote("resume", "exec", "print(open('runs').read())") == "x\n"
        assert one.session == before and one.device.stale
    finally:
        one.close()


def test_an_owner_that_is_killed_and_the_next_one():
    one = Shared()
    try:
        one.device.close()
        serving = subprocess.Popen([sys.executable, "-m", "feagi_state.cli", "serve", one.name], stdout=subprocess.DEVNULL)
        until(lambda: find_prompt(one.board.ports["link"]), LIVE_S, "a prompt is offered")
        serving.send_signal(signal.SIGKILL)
        serving.wait()
        assert find_prompt(one.board.ports["link"]) is None, "what a killed owner left is nobody's prompt"
        one.device = feagi_state.connect(one.name, serve=True, timeout_s=LIVE_S)
        assert one.mpremote("exec", "print(2)") == "2\n"
    finally:
        one.close()
