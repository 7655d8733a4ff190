"""The core in FreeRTOS: the example as a PC sees it, and three tasks and an interrupt that write the same words at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import feagi_state
from common import PORT, ROOT
from feagi_state import BurstEngineState, CommandTimeout, Device, EventKind
from feagi_state.waiting import Patience

pytestmark = pytest.mark.qemu
HERE = Path(__file__).resolve().parent
# Rounds of each of the three tasks and of the interrupt. A test's line carries an event of 64 rounds.
TASK_ROUNDS, INTERRUPT_ROUNDS = 60000, 20000
ROUNDS = [TASK_ROUNDS] * 3 + [INTERRUPT_ROUNDS]
Build = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Mirrors of these tests, apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEAGI_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(main, *variables of freertos.mk) -> firmware, of FreeRTOS as MicroPython's source carries it."""
    assert shutil.which("arm-none-eabi-gcc"), "arm-none-eabi-gcc is missing: `make test` installs it"
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()

    def build(main: Path, *variables: str) -> Path:
        folder = tmp_path_factory.mktemp("firmware")
        command = ["make", "-f", f"{ROOT}/firmware/freertos/freertos.mk", f"MAIN={main}", f"BUILD={folder}"]
        command += [f"FREERTOS_DIR={mpy_dir}/ports/cc3200/FreeRTOS/Source", *variables]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "firmware.elf"

    return build


@contextmanager
def running(firmware: Path) -> Iterator[Device]:
    """The firmware on an emulated Cortex-M3, and the link to it over its serial port."""
    command = ["qemu-system-arm", "-machine", "mps2-an385", "-nographic", "-monitor", "null", "-serial", "pty", "-kernel", str(firmware)]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert qemu.stdout is not None
        port = re.search(r"redirected to (\S+)", qemu.stdout.readline())
        assert port, "QEMU offers no serial port"
        fd = os.open(port[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(fd)
        os.close(fd)
        with feagi_state.connect(port[1], timeout_s=30) as device:
            yield device
    finally:
        qemu.kill()
        qemu.communicate()


def test_a_pc_mirrors_and_changes_the_state_of_a_firmware_without_micropython(build: Build) -> None:
    with running(build(ROOT / "firmware" / "freertos" / "main.c")) as device:
        assert device.link.device_name == "freertos"
        events = device.events(timeout_s=30, from_start=True)
        begin = [next(events) for _ in range(12)]
        assert {event.kind for event in begin} == {256, EventKind.BURST_ENGINE_STATE_CHANGED, EventKind.AGENT_REGISTERED}
        assert [(agent.agent_id, agent.metadata) for agent in device.agents] == [("imu", "accelerometer")]
        samples = [event.arg for event in begin if event.kind == 256]
        assert samples == list(range(1, 11))
        # The firmware obeys: from here on the burst task counts nothing, and its two counts are equal.
        device.set("burst_engine_state", BurstEngineState.PAUSED)
        assert any(event.value == BurstEngineState.PAUSED for event in events if event.kind == EventKind.BURST_ENGINE_STATE_CHANGED)
        neurons = device.state.neuron_count
        for _ in range(3):
            assert next(event for event in events if event.kind == 256)
        assert device.state.neuron_count == device.state.regular_neuron_count == neurons > 0
        device.set("burst_engine_state", BurstEngineState.RUNNING)
        assert device.state.synapse_count >= 100 * samples[-1]
        own, mirrored = device.digest()
        assert own == mirrored


def faults(firmware: Path, timeout_s: float) -> list[str]:
    """What is wrong with the state that three tasks and an interrupt wrote at once, `timeout_s` after the last event."""
    found = []
    with running(firmware) as device:
        last = dict.fromkeys(range(4), 0)
        events = device.events(timeout_s=0.1, from_start=True)
        pushed = sum(rounds // 64 for rounds in ROUNDS)
        patience = Patience(timeout_s)
        # Each producer stores its rounds when it is done.
        while list(device.hashes.values())[1:5] != ROUNDS or device.link.events + device.link.events_lost < pushed:
            for event in events:
                producer = event.kind - 256
                if producer not in last or event.arg <= last[producer]:
                    found.append(f"{event} comes after {last}")
                last[producer] = event.arg
                patience = Patience(timeout_s)
            if patience.next_pause_s() is None:
                found.append(f"not done after {timeout_s} s: {device.hashes}, {device.link}")
                break
        try:
            if len(set(device.digest(timeout_s=timeout_s))) != 1:
                found.append("the mirror is not what the device has")
        except CommandTimeout as error:
            found.append(repr(error))
        is_ = {name: getattr(device.state, name) for name in ("neuron_count", "genome_timestamp", "version", "memory_usage")}
        is_["events"] = device.link.events + device.link.events_lost
    right = dict(zip(is_, (sum(ROUNDS), sum(ROUNDS), 2 * sum(ROUNDS), 0, pushed)))
    return found + [f"{name} is {is_[name]} instead of {right[name]}" for name in is_ if is_[name] != right[name]]


CONTENTION = (HERE / "contention.c", f"DEFINES=-DTASK_ROUNDS={TASK_ROUNDS} -DINTERRUPT_ROUNDS={INTERRUPT_ROUNDS}")


def test_tasks_and_an_interrupt_write_at_once_and_nothing_is_lost_or_out_of_order(build: Build) -> None:
    assert faults(build(*CONTENTION), 30) == []


def test_without_critical_sections_it_fails(build: Build, tmp_path: Path) -> None:
    """The same firmware with the instruction left out that keeps interrupts away."""
    port = shutil.copytree(PORT, tmp_path / "port")
    for header in port.glob("*.h"):
        header.write_text(header.read_text().replace("cpsid i", ""))
    assert faults(build(*CONTENTION, f"PORT={port}"), 2) != []
