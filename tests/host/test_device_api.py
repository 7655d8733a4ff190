"""A device from threads, from asyncio and from callbacks: bulk writes, changes, and who waits for whom."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from fake_device import FakeDevice, PtyDevice
from feagi_state import Change, CommandTimeout, InvalidField, InvalidValue, LinkError, SessionLost, StaleMirror, connect
from feagi_state.spec import CommandOp, Kind

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))


@pytest.fixture
def board():
    with PtyDevice(FakeDevice(77, "micro", "board")) as served:
        yield served


@pytest.fixture
def device(board):
    with connect(board.port) as connected:
        yield connected


def until(condition) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


# ---------------------------------------------------------------------------------------------------- bulk writes


def test_update_writes_several_fields_in_order(device, board):
    assert device.update({"neuron_count": 5, "burst_frequency": 12.5}, synapse_count=7) == {
        "neuron_count": 5,
        "burst_frequency": 12.5,
        "synapse_count": 7,
    }
    assert device.update([("brain_readiness", True)]) == {"brain_readiness": True}
    assert device.update() == {}
    assert [args[0] for args in board.device.ran] == [CommandOp.SET] * 4
    device.digest()
    assert (device.state.neuron_count, device.state.synapse_count, device.state.burst_frequency) == (5, 7, 12.5)


def test_update_ends_at_the_first_field_that_is_refused_and_says_what_was_written(device, board):
    with pytest.raises(InvalidValue, match="burst_engine_state") as caught:
        device.update(neuron_count=5, burst_engine_state=99, synapse_count=7)
    assert caught.value.written == {"neuron_count": 5}
    assert len(board.device.ran) == 2, "what came after it was not sent"


@pytest.mark.parametrize(("fields", "error"), [({"neurons": 1}, InvalidField), ({"synapse_count": "many"}, InvalidValue)])
def test_update_sends_nothing_if_a_field_or_value_cannot_be(device, board, fields, error):
    with pytest.raises(error) as caught:
        device.update(neuron_count=5, **fields)
    assert board.device.ran == [] and caught.value.written == {}


def test_update_of_a_device_that_falls_silent_says_what_was_written(device, board):
    answer = board.device.send

    def send(kind, seq, items=()) -> None:
        if len(board.device.ran) < 2 or kind != 0x50:
            answer(kind, seq, items)

    board.device.send = send
    with pytest.raises(CommandTimeout) as caught:
        device.update(neuron_count=5, synapse_count=7, fatigue_index=3, timeout_s=0.5)
    assert caught.value.written == {"neuron_count": 5} and caught.value.may_have_run
    assert len(board.device.ran) == 2


# ----------------------------------------------------------------------------------------------------- back-pressure


def test_what_was_not_sent_says_so(board):
    board.device.replies_wanted = False
    with connect(board.port) as device:
        errors: dict[str, LinkError] = {}

        def command(name: str, timeout_s: float) -> None:
            try:
                device.set("neuron_count", 1, timeout_s=timeout_s)
            except LinkError as error:
                errors[name] = error

        first = threading.Thread(target=command, args=("first", WAIT_S))
        first.start()
        until(lambda: board.device.ran)
        command("second", 0.2)
        assert isinstance(errors["second"], CommandTimeout) and not errors["second"].may_have_run
    first.join()
    assert isinstance(errors["first"], SessionLost) and errors["first"].may_have_run
    assert len(board.device.ran) == 1


def test_a_thousand_commands_wait_and_no_more(board):
    board.device.replies_wanted = False

    async def main() -> list[BaseException]:
        with connect(board.port) as device:
            asked = [asyncio.ensure_future(device.add_async("neuron_count", timeout_s=WAIT_S)) for _ in range(1100)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            refused = [one.exception() for one in asked if one.done()]
            assert refused and all("1000 commands wait" in str(error) and not error.may_have_run for error in refused)
            until(lambda: board.device.ran)
        return await asyncio.gather(*asked, return_exceptions=True)

    errors = asyncio.run(main())
    assert all(isinstance(error, LinkError) for error in errors)
    assert sum(error.may_have_run for error in errors) == 1 == len(board.device.ran)


def test_who_hears_texts_too_slowly_is_told_how_many_were_passed_over(device, board, caplog):
    go_on, heard = threading.Event(), []

    def slow(data: bytes) -> None:
        assert go_on.wait(WAIT_S)
        heard.append(data)

    device.text = slow
    said = [b"line %d\n" % n for n in range(1300)]
    for n, line in enumerate(said, 1):
        board.say(line)
        until(lambda n=n: device.link.text_bytes >= len(b"".join(said[:n])))  # so that each comes by itself
    assert device.set("neuron_count", 1) == 1, "the link goes on"
    go_on.set()
    until(lambda: "passed over" in caplog.text)
    assert heard == said[: len(heard)] and 1000 <= len(heard) < 1300


def test_log_lines_go_to_callbacks_besides_the_logger(device, board, caplog):
    heard: list[tuple[int, str]] = []

    def fail(level: int, message: str) -> None:
        raise RuntimeError("of the application")

    def say(level: int, message: str) -> None:
        with board.lock:
            board.device.send(Kind.LOG, 0, (level, message))
        until(lambda: heard and heard[-1] == (level, message))

    subscriptions = [device.on_log(fail), device.on_log(lambda *line: heard.append(line))]
    with caplog.at_level(logging.CRITICAL, "feagi_state.device"):
        say(10, "quiet")
    say(30, "caf\u00e9 %d")
    assert (logging.WARNING, f"{board.port}: caf\u00e9 %d") in [(one.levelno, one.getMessage()) for one in caplog.records]
    assert "quiet" not in caplog.text and "the log callback failed" in caplog.text
    assert device.set("neuron_count", 1) == 1, "the link goes on"

    subscriptions[1].close()
    last: list[str] = []
    device.on_log(lambda level, message: last.append(message))
    with board.lock:
        board.device.send(Kind.LOG, 0, (50, "the end"))
    until(lambda: last)
    assert last == ["the end"] and [level for level, _ in heard] == [10, 30]


# ---------------------------------------------------------------------------------------------------------- changes


def test_callbacks_get_changes_and_may_use_the_device(device, board, caplog):
    heard: list[Change] = []

    def follow(change: Change) -> None:
        heard.append(change)
        device.set("synapse_count", change.value + 1)
        raise RuntimeError("of the application")

    subscription = device.on_change(follow, "neuron_count")
    with caplog.at_level(logging.CRITICAL, "feagi_state.device"):
        device.set("neuron_count", 4)
        until(lambda: device.state.synapse_count == 5)
        device.set("neuron_count", 6)
        until(lambda: device.state.synapse_count == 7)
    assert [(change.old, change.value) for change in heard] == [(0, 4), (4, 6)]
    subscription.close()
    other = device.on_change(heard.append)
    device.set("neuron_count", 8)
    until(lambda: len(heard) == 3)
    other.close()
    with pytest.raises(InvalidField):
        device.on_change(follow, "neurons")


def test_a_slow_callback_gets_the_latest_value(device):
    go_on, heard = threading.Event(), []

    def slow(change: Change) -> None:
        heard.append(change)
        assert go_on.wait(WAIT_S)

    device.on_change(slow, "neuron_count")
    device.set("neuron_count", 1)
    until(lambda: heard)
    for n in range(2, 31):
        device.set("neuron_count", n)
    device.digest()
    go_on.set()
    until(lambda: len(heard) == 2)
    assert (heard[1].value, heard[1].old) == (30, 1) and heard[1].passed_over >= 1


def test_close_ends_streams_and_callbacks(board):
    device = connect(board.port)
    changes, ended = device.changes("neuron_count"), threading.Event()

    def read() -> None:
        assert list(changes) == []
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    device.on_change(lambda change: None)
    device.close()
    assert ended.wait(WAIT_S)
    thread.join()


# ---------------------------------------------------------------------------------------------------------- asyncio


def test_everything_from_asyncio(board):
    async def main() -> None:
        with connect(board.port) as device:
            await device.wait_live_async(WAIT_S)
            seen: list[int] = []

            async def listen() -> None:
                async for change in device.changes("neuron_count", timeout_s=WAIT_S):
                    seen.append(change.value)
                    if change.value == 20:
                        return

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0)
            assert await device.set_async("neuron_count", 10) == 10
            assert sorted(await asyncio.gather(*(device.add_async("neuron_count") for _ in range(5)))) == [11, 12, 13, 14, 15]
            assert await device.subtract_async("neuron_count", 5) == 10
            assert await device.update_async(synapse_count=3, neuron_count=20) == {"synapse_count": 3, "neuron_count": 20}
            await listening
            assert seen[-1] == 20 and all(one != other for one, other in zip(seen, seen[1:]))
            theirs, ours = await device.digest_async()
            assert theirs == ours
            with pytest.raises(InvalidValue, match="burst_engine_state"):
                await device.set_async("burst_engine_state", 99)
            board.device.quiet = True
            until(lambda: device.stale)
            with pytest.raises(StaleMirror):
                await device.wait_live_async(0)

    asyncio.run(main())


def test_a_task_that_is_cancelled_leaves_the_device_usable(board):
    async def main() -> None:
        with connect(board.port) as device:
            board.device.replies_wanted = False
            task = asyncio.create_task(device.add_async("neuron_count"))
            while not board.device.ran:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            board.device.replies_wanted = True
            assert await device.set_async("neuron_count", 3) == 3

    asyncio.run(main())


def test_threads_and_tasks_share_one_device(device, board):
    """Each command ran once, whoever asked."""

    def from_thread() -> None:
        for _ in range(20):
            device.add("neuron_count")

    async def from_tasks() -> None:
        await asyncio.gather(*(device.add_async("neuron_count") for _ in range(40)))

    threads = [threading.Thread(target=from_thread) for _ in range(4)]
    threads += [threading.Thread(target=lambda: asyncio.run(from_tasks())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert device.add("neuron_count", 0) == 160 == len(board.device.ran) - 1
