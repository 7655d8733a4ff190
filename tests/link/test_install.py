"""A board as it comes from its box: found, given the module and a program by one command, and live; and all that can go wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tty

import pytest
import serial
from elftools.elf.elffile import ELFFile

import feagi_state
from boards_by_cli import CLI, Started, run_cli, until
from common import ROOT
from feagi_state import install as installer
from feagi_state import spec
from feagi_state.boards import find_board
from feagi_state.prompt import Prompt


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory):
    """Mirrors and ports of these tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(folder))
        yield folder


@pytest.fixture
def empty(request):
    """empty(board) -> a board as it comes from its box, as `feagi-state start --empty` runs it."""
    started = []

    def make(board: str) -> Started:
        started.append(Started(board, "--empty"))
        started[-1].start()
        return started[-1]

    yield make
    for board in started:
        board.stop()


def files_for(name: str) -> list[str]:
    return ["feagi_files.mpy", "feagi_state.mpy", *(path.name for path in find_board(name).files), "main.py"]


def prompt_of(board: Started) -> str:
    return board.ports["repl"] or board.ports["link"]


def assert_fails(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("feagi-state: ")
    for text in says:
        assert text in last, last


class Quiet:
    """Hears of an installation, and says nothing."""

    def __init__(self, halfway=lambda: None) -> None:
        self.halfway, self.lines = halfway, []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def copying(self, name: str, done: int, total: int) -> None:
        if name == "feagi_state.mpy" and done >= total // 2:
            self.halfway()


# ----------------------------------------------------------------------------------------------- as it should be


# On every board: tests/hil.
@pytest.mark.parametrize("name", ["unix", pytest.param("qemu_m3", marks=pytest.mark.qemu)])
def test_from_an_empty_board_to_a_live_mirror_by_one_command(empty, name):
    empty(name)
    installing = subprocess.Popen([CLI, "install", name, "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert installing.stdout is not None
        lines = [installing.stdout.readline() for _ in range(3)]
        assert lines[0] == f"feagi_state ({find_board(name).mpy}) is on the board and imported, schema {spec.SCHEMA_HASH:#010x} as here\n"
        assert lines[1].startswith("the link is live: neuron_count = ")
        assert re.match(rf"{name} on \S+: live, ", lines[2])
        started = int(until(lambda: run_cli("get", "neuron_count", name).stdout, 5, "a value from the mirror"))
        until(lambda: int(run_cli("get", "neuron_count", name).stdout) > started, 10, "the program at work")
    finally:
        installing.send_signal(signal.SIGINT)
        _out, said = installing.communicate(timeout=10)
    assert installing.returncode == 130, said
    assert "feagi_state.mpy: " in said
    with feagi_state.connect(name, timeout_s=20) as device:
        theirs, ours = device.digest()
        assert theirs == ours


@pytest.mark.qemu
def test_again_it_copies_nothing_and_starts_the_program(empty):
    empty("qemu_m3")
    first = json.loads(run_cli("install", "qemu_m3", "--json").stdout)
    second = run_cli("install", "qemu_m3", "--json")
    assert second.stderr.count("is on the board already") == len(first["files"])
    report = json.loads(second.stdout)
    assert report == {**first, "neuron_count": report["neuron_count"]}
    assert report["files"] == files_for("qemu_m3")
    assert (report["board"], report["module"], report["abi"]) == ("qemu_m3", "armv7m", "6.3")
    assert report["schema"] == f"{spec.SCHEMA_HASH:#010x}"


@pytest.mark.qemu
def test_what_is_on_the_board_is_not_lost(empty, tmp_path):
    board, port = empty("qemu_m3"), None
    port = prompt_of(board)
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.run("open('main.py', 'w').write('x = 1'); open('other.py', 'w').write('y = 2')")
    assert run_cli("install", "qemu_m3", "--no-main").returncode == 0
    files = on_board(port, "{name: open(name).read() for name in os.listdir() if name.endswith('.py')}")
    assert files == {"main.py": "x = 1", "other.py": "y = 2"}
    program = tmp_path / "mine.py"
    program.write_text("import feagi_state\ns = feagi_state.StateManager.instance()\ns.memory_usage = 77\n")
    done = run_cli("install", "qemu_m3", "--program", str(program))
    assert done.returncode == 0, done.stderr
    files = on_board(port, "{name: open(name).read() for name in os.listdir() if name.startswith('main')}")
    assert files == {"main.py": program.read_text(), "main.py.bak": "x = 1"}
    assert on_board(port, "__import__('feagi_state').StateManager.instance().memory_usage") == 77


def on_board(port: str, expression: str):
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.run("import os")
        return prompt.evaluate(expression)


@pytest.mark.qemu
def test_a_copy_that_was_interrupted_leaves_the_old_file_and_is_made_good(empty):
    port = prompt_of(empty("qemu_m3"))
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.run("open('feagi_state.mpy', 'w').write('old')")

    def ctrl_c() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        installer.install(installer.Request(port), Quiet(ctrl_c))
    assert on_board(port, "open('feagi_state.mpy').read()") == "old"
    assert run_cli("install", "qemu_m3").returncode == 0
    assert sorted(on_board(port, "os.listdir()")) == sorted(files_for("qemu_m3"))


# --------------------------------------------------------------------------------------------------- as it can go


@pytest.mark.qemu
def test_a_board_that_dies_while_it_is_copied_to(empty):
    board = empty("qemu_m3")
    with pytest.raises(installer.InstallError) as caught:
        installer.install(installer.Request(prompt_of(board)), Quiet(lambda: os.kill(board.ports["board_pid"], signal.SIGKILL)))
    assert re.search(r"copying feagi_state.mpy was interrupted after [1-9]\d* of \d+ bytes: .*run the command again", str(caught.value))


@pytest.fixture
def other_firmware(tmp_path, monkeypatch):
    """other_firmware(number) -> from now on qemu_m3 says this of itself as sys.implementation._mpy."""

    def make(number: int) -> None:
        board = find_board("qemu_m3")
        for name in ("qemu_m3", "unix"):
            shutil.copytree(ROOT / "boards" / name, tmp_path / "boards" / name)
        (tmp_path / "firmware").symlink_to(ROOT / "firmware")
        target = tmp_path / board.firmware.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        (tmp_path / "build" / "mpy").symlink_to(ROOT / "build" / "mpy")
        image = bytearray(board.firmware.read_bytes())
        with board.firmware.open("rb") as file:
            elf = ELFFile(file)
            [symbol] = elf.get_section_by_name(".symtab").get_symbol_by_name("mp_sys_implementation_obj")
            section = elf.get_section(symbol["st_shndx"])
            # The tuple's type and length, name, version, machine; then this number, as a small int.
            at = section["sh_offset"] + symbol["st_value"] - section["sh_addr"] + 20
        assert int.from_bytes(image[at : at + 4], "little") == (6 | (3 | 6 << 2) << 8) << 1 | 1
        image[at : at + 4] = (number << 1 | 1).to_bytes(4, "little")
        target.write_bytes(image)
        monkeypatch.setenv("FEAGI_STATE_BOARDS", str(tmp_path / "boards"))

    return make


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("number", "says"),
    [
        (6 | 3 << 8, ["takes no native modules", "USER_C_MODULES"]),
        (6 | (2 | 6 << 2) << 8, ["ABI 6.2", "6.3", "MicroPython 1.23 or later"]),
        (6 | (3 | 9 << 2) << 8, ["native modules for xtensa", "there are armv7m, x64"]),
    ],
)
def test_a_board_that_cannot_have_the_module(empty, other_firmware, number, says):
    other_firmware(number)
    board = empty("qemu_m3")
    assert_fails(run_cli("install", "qemu_m3"), "MicroPython 1.25.0", "mps2-an385", *says)
    assert on_board(prompt_of(board), "os.listdir()") == [], "something was copied"
    assert_fails(run_cli("doctor", "qemu_m3"), "wrong")


@pytest.mark.qemu
def test_a_full_board(empty):
    port = prompt_of(empty("qemu_m3"))
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.run("f = open('big', 'wb')\ntry:\n while True: f.write(bytes(4096))\nexcept OSError: pass\nf.close()")
    assert_fails(run_cli("install", "qemu_m3"), "the board is full: feagi_files.mpy has", "0 bytes are free", "fs rm :NAME")
    assert on_board(port, "os.listdir()") == ["big"]


@pytest.mark.slow
def test_a_missing_module(empty, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "boards" / "unix", tmp_path / "boards" / "unix")
    monkeypatch.setenv("FEAGI_STATE_BOARDS", str(tmp_path / "boards"))
    empty("unix")
    assert_fails(run_cli("install", "unix"), "native module for x64 is missing", "make natmod ARCH=x64")


def test_ports_that_are_none(tmp_path):
    assert_fails(run_cli("install", "/dev/ttyNONE7"), "no port /dev/ttyNONE7", "plugged in")
    assert_fails(run_cli("install", "/dev/null"), "/dev/null is no serial port")
    assert_fails(run_cli("install", "unix"), "feagi-state start unix")
    (tmp_path / "file").write_text("text")
    assert_fails(run_cli("install", str(tmp_path / "file")), "is no serial port")


@pytest.mark.slow
def test_a_busy_port(empty):
    board = empty("unix")
    port = prompt_of(board)
    with serial.Serial(port, exclusive=True):
        assert_fails(run_cli("install", "unix"), port, "busy")
    assert run_cli("install", "unix").returncode == 0
    with feagi_state.connect("unix", timeout_s=20):
        assert_fails(run_cli("install", "unix"), port, f"served by process {os.getpid()}", "end that process first")


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can give a port away")
def test_no_permission():
    master, slave = pty.openpty()
    port = os.ttyname(slave)
    os.chown(port, 65534, 5)
    os.chmod(port, 0o620)
    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", CLI, "install", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert_fails(done, f"no permission to open {port}", "belongs to the group 'tty'", "usermod -aG tty")
    os.close(master)
    os.close(slave)


@pytest.mark.slow
def test_a_port_with_nothing_behind_it():
    master, slave = pty.openpty()
    tty.setraw(slave)
    assert_fails(run_cli("install", os.ttyname(slave)), "no MicroPython prompt", "it is silent")
    os.close(master)
    os.close(slave)


@pytest.mark.slow
def test_on_the_port_of_a_link_the_program_is_interrupted_and_started_again(empty):
    empty("unix")
    first = run_cli("install", "unix")
    assert first.returncode == 0, first.stderr
    again = run_cli("install", "unix")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "says"),
    [("import nothing_such", "ImportError: no module named 'nothing_such'"), ("x = (", "SyntaxError"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_program_that_ends_with_an_error_is_quoted(empty, tmp_path, program, says):
    empty("unix")
    path = tmp_path / "mine.py"
    path.write_text(program + "\n")
    assert_fails(run_cli("install", "unix", "--program", str(path)), "its main.py ended", says)


@pytest.mark.slow
def test_the_name_of_another_board(empty):
    empty("unix")
    assert_fails(run_cli("install", "unix", "--board", "ESP32_GENERIC_C3"), "for x64: it is no ESP32_GENERIC_C3, which takes those for rv32imc")


@pytest.mark.slow
def test_a_program_that_is_not_there(empty):
    empty("unix")
    assert_fails(run_cli("install", "unix", "--program", "/nonexistent/main.py"), "/nonexistent/main.py")


@pytest.mark.slow
def test_another_module_in_the_way(empty, tmp_path):
    """A feagi_state.py is imported before our .mpy."""
    port = prompt_of(empty("unix"))
    with Prompt(port) as prompt:
        prompt.interrupt()
        prompt.run("open('feagi_state.py', 'w').write('def schema_hash(): return 5')")
    assert_fails(run_cli("install", "unix"), "another feagi_state, from feagi_state.py", "schema 0x00000005", "remove that one")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--program", "x.py", "--no-main"], "--program and --no-main"),
        (["--watch", "--no-main"], "--watch"),
        (["--watch"], "--watch needs --link PORT"),
    ],
)
def test_options_that_do_not_go_together(options, says):
    done = run_cli("install", "/dev/ttyACM0", *options)
    assert (done.returncode, says in done.stderr) == (2, True)
