"""Many boards in one process: one thread, boards that come and go, and one of them never in the way of another."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from fake_device import FakeDevice, PtyDevice
from feagi_state import Change, Fleet, InvalidField, LinkError, MemoryMapError, PortError, attach, connect, mirrors
from feagi_state.mirror_files import OwnedMirror

WAIT_S = 30.0
BOARDS = 12


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.fixture
def boards():
    made = [PtyDevice(FakeDevice(1000 + n, "tiny", f"board{n}")) for n in range(BOARDS)]
    yield made
    for board in made:
        board.close()


def until(condition) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def test_one_thread_serves_all_and_each_has_a_mirror_of_its_name(boards):
    before = threading.active_count()
    with Fleet(board.port for board in boards) as fleet:
        fleet.wait_live(WAIT_S)
        assert len(fleet) == BOARDS and not any(device.stale for device in fleet)
        for n, device in enumerate(fleet):
            assert device.set("neuron_count", n) == n
            theirs, ours = device.digest()
            assert theirs == ours
            assert fleet[f"board{n}"] is fleet[device.port] is device
        assert mirrors() == sorted(f"board{n}" for n in range(BOARDS))
        assert [attach(f"board{n}").state.neuron_count for n in range(BOARDS)] == list(range(BOARDS))
        # One that serves them, and one that opened their ports.
        assert threading.active_count() <= before + 2
        with pytest.raises(KeyError):
            fleet["nobody"]
    assert threading.active_count() == before
    assert len(fleet) == 0 and all(attach(name).stale for name in mirrors())


def test_many_boards_that_call_themselves_the_same(tmp_path):
    made = [PtyDevice(FakeDevice(1000 + n, "tiny", "pico")) for n in range(BOARDS)]
    with Fleet(board.port for board in made) as fleet:
        fleet.wait_live(WAIT_S)
        assert {device.name for device in fleet} == {"pico"} | {f"pico-{n}" for n in range(2, BOARDS + 1)}
        assert all(attach(device.name).link.port == device.port for device in fleet)
    for board in made:
        board.close()


def test_boards_come_and_go(tmp_path):
    path = str(tmp_path / "ttyBOARD")
    with PtyDevice(FakeDevice(1, name="other")) as other, Fleet([path, other.port]) as fleet:
        device, neighbour = fleet
        neighbour.wait_live(WAIT_S)
        until(lambda: isinstance(device.problem, PortError))
        assert device.problem.reason == "absent" and device.stale
        with pytest.raises(PortError):
            device.wait_live(0)
        with pytest.raises(PortError) as caught:
            device.set("neuron_count", 1)
        assert not caught.value.may_have_run
        for boot in (77, 99):  # plugged in twice
            with PtyDevice(FakeDevice(boot, name="board"), path):
                device.wait_live(WAIT_S)
                assert device.problem is None
                assert device.set("neuron_count", boot) == boot
            until(lambda: device.stale)
        assert neighbour.set("neuron_count", 5) == 5
        third = fleet.add(str(tmp_path / "ttyTHIRD"), name="third")
        assert len(fleet) == 3
        third.close()
        assert fleet.devices == (device, neighbour)


def test_a_port_is_served_once(boards, tmp_path):
    os.symlink(boards[0].port, tmp_path / "link")
    with Fleet([boards[0].port]) as fleet:
        fleet.wait_live(WAIT_S)
        for name in (boards[0].port, str(tmp_path / "link")):
            with pytest.raises(PortError) as caught:
                fleet.add(name)
            assert caught.value.reason == "busy"
        with Fleet([boards[0].port]) as second:
            until(lambda: second.devices[0].problem is not None)
            assert "served by this process already, as mirror board0" in str(second.devices[0].problem)
        fleet.devices[0].close()
        fleet.add(boards[0].port).wait_live(WAIT_S)
    with pytest.raises(LinkError, match="closed"):
        fleet.add(boards[1].port)


def test_a_board_whose_line_takes_nothing_holds_up_no_other(boards):
    """Its pseudo-terminal fills up; the others' commands run on."""
    stuck = boards[0]
    with Fleet(board.port for board in boards[:3]) as fleet:
        fleet.wait_live(WAIT_S)
        stuck.lock.acquire()  # its thread stops: nothing is read there any more
        try:
            device = fleet["board0"]
            failed = []

            def command() -> None:
                try:
                    device.set("neuron_count", 1, timeout_s=1.0)
                except LinkError as error:
                    failed.append(error)

            threads = [threading.Thread(target=command) for _ in range(200)]
            for thread in threads:
                thread.start()
            for n in range(100):
                assert fleet["board1"].set("neuron_count", n) == n
                assert fleet["board2"].set("neuron_count", n) == n
            for thread in threads:
                thread.join()
            assert len(failed) == len(threads)
        finally:
            stuck.lock.release()
        device.wait_live(WAIT_S)
        assert device.set("neuron_count", 3) == 3


def test_a_callback_that_never_returns_holds_up_no_board(boards):
    with Fleet(board.port for board in boards[:2]) as fleet:
        fleet.wait_live(WAIT_S)
        go_on, entered = threading.Event(), threading.Event()

        def callback(change: Change) -> None:
            entered.set()
            assert go_on.wait(WAIT_S)

        fleet.on_change(callback, "neuron_count")
        assert fleet["board0"].set("neuron_count", 1) == 1
        assert entered.wait(WAIT_S)
        for n in range(50):
            assert fleet["board1"].set("neuron_count", n) == n
        assert not fleet["board0"].stale
        go_on.set()


@pytest.mark.parametrize("error", [RuntimeError("of ours"), MemoryMapError("no room")])
def test_a_board_whose_mirror_cannot_be_made_is_no_other_boards_affair(boards, monkeypatch, error):
    make = OwnedMirror.open

    def fail(self, header, device_name, port):
        if device_name == "board0":
            raise error
        return make(self, header, device_name, port)

    monkeypatch.setattr(OwnedMirror, "open", fail)
    with Fleet(board.port for board in boards[:3]) as fleet:
        broken, *others = fleet
        until(lambda: broken.problem is not None)
        assert str(error) in str(broken.problem)
        for call in (broken.wait_live, lambda: broken.set("neuron_count", 1)):
            with pytest.raises(type(broken.problem), match=str(error)):
                call()
        for device in others:
            device.wait_live(WAIT_S)
            assert device.set("neuron_count", 3) == 3
        assert len(fleet) == 3


def test_a_callback_may_close_its_device(boards):
    with Fleet(board.port for board in boards[:2]) as fleet:
        fleet.wait_live(WAIT_S)
        one, other = fleet
        one.on_change(lambda change: one.close(), "neuron_count")
        one.set("neuron_count", 1)
        until(lambda: one.closed)
        assert fleet.devices == (other,) and other.set("neuron_count", 3) == 3
    device = connect(boards[2].port)
    device.on_change(lambda change: device.close(), "neuron_count")
    device.set("neuron_count", 1)
    until(lambda: device.closed)


def test_changes_of_all_boards_come_in_one_stream(boards):
    with Fleet(board.port for board in boards[:3]) as fleet:
        fleet.wait_live(WAIT_S)
        changes = fleet.changes("neuron_count", timeout_s=WAIT_S)
        heard: list[Change] = []
        subscription = fleet.on_change(heard.append, "neuron_count")
        for n, device in enumerate(fleet):
            device.set("neuron_count", 10 + n)
        got = {(change.mirror, change.value) for change in (next(changes), next(changes), next(changes))}
        assert got == {("board0", 10), ("board1", 11), ("board2", 12)}
        with boards[3].lock:
            boards[3].device.set("neuron_count", 99)
        fleet.add(boards[3].port).wait_live(WAIT_S)
        assert next(changes) == Change("neuron_count", 99, None, 0, "board3"), "of a new board what it has is news"
        until(lambda: {(change.mirror, change.value) for change in heard} == got | {("board3", 99)})
        subscription.close()
        fleet["board3"].set("neuron_count", 100)
        assert next(changes).value == 100
        assert len(heard) == 4
        with pytest.raises(InvalidField):
            fleet.changes("neurons")
    assert list(changes) == []


def test_a_fleet_from_asyncio(boards):
    async def main() -> None:
        with Fleet(board.port for board in boards) as fleet:
            await fleet.wait_live_async(WAIT_S)
            seen: dict[str, int] = {}

            async def listen() -> None:
                async for change in fleet.changes("neuron_count", timeout_s=WAIT_S):
                    seen[change.mirror] = change.value
                    if len(seen) == BOARDS:
                        return

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0)
            answers = await asyncio.gather(*(device.set_async("neuron_count", 7 + n) for n, device in enumerate(fleet)))
            assert answers == [7 + n for n in range(BOARDS)]
            await listening
            assert seen == {f"board{n}": 7 + n for n in range(BOARDS)}

    asyncio.run(main())
