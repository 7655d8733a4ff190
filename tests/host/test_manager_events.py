"""Events: every subscriber reads all, in every process, and knows what it lost."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time

import pytest

from feagi_state import AgentType, BurstEngineState, Event, EventKind, GenomeState, InvalidValue, StateManager
from processes import program

KEPT = 32  # by a `tiny` region


def test_every_kind_is_emitted_with_its_value(state):
    events = state.subscribe_events(timeout_s=0)
    state.burst_engine_state = BurstEngineState.RUNNING
    state.genome_state = GenomeState.LOADING
    handle = state.register_agent("cam", AgentType.MOTOR)
    state.deregister_agent("cam")
    state.emit(256, 42)
    state.emit(65535)
    got = list(events)
    assert [(event.kind, event.value) for event in got] == [
        (EventKind.BURST_ENGINE_STATE_CHANGED, BurstEngineState.RUNNING),
        (EventKind.GENOME_STATE_CHANGED, GenomeState.LOADING),
        (EventKind.AGENT_REGISTERED, "cam"),
        (EventKind.AGENT_DEREGISTERED, "cam"),
        (256, 42),
        (65535, 0),
    ]
    assert [event.arg for event in got] == [3, 1, handle, handle, 42, 0]
    assert [event.position for event in got] == list(range(6))
    assert got[0].value is BurstEngineState.RUNNING


def test_what_changes_nothing_is_no_event(state):
    state.burst_engine_state = BurstEngineState.RUNNING
    events = state.subscribe_events(timeout_s=0)
    state.burst_engine_state = BurstEngineState.RUNNING
    state.neuron_count = 5
    assert list(events) == []
    state.burst_engine_state = BurstEngineState.READY
    assert [event.value for event in events] == [BurstEngineState.READY], "a stream goes on after it ended"


def test_only_the_kinds_that_are_wanted(state):
    both = state.subscribe_events([EventKind.AGENT_REGISTERED, 300], timeout_s=0)
    one = state.subscribe_events(300, timeout_s=0)
    none = state.subscribe_events([], timeout_s=0)
    state.burst_engine_state = BurstEngineState.READY
    state.register_agent("cam")
    state.emit(300, 7)
    state.emit(301)
    assert [event.value for event in both] == ["cam", 7]
    assert [event.value for event in one] == [7]
    assert list(none) == []
    for wrong in (0, -1, 65536, "AGENT_REGISTERED", [None]):
        with pytest.raises(InvalidValue, match="kind of event"):
            state.subscribe_events(wrong)


@pytest.mark.parametrize(("kind", "arg"), [(255, 0), (0, 0), (EventKind.AGENT_REGISTERED, 0), (65536, 0), (300, -1), (300, 2**32), (None, 0), (300, "x")])
def test_what_is_no_event_of_the_application_is_refused(state, kind, arg):
    with pytest.raises(InvalidValue):
        state.emit(kind, arg)
    assert state.subscribe_events(from_start=True).get() is None


def test_from_the_start_or_from_now(state):
    state.emit(300, 1)
    now, start = state.subscribe_events(timeout_s=0), state.subscribe_events(from_start=True, timeout_s=0)
    state.emit(300, 2)
    assert [event.value for event in now] == [2] and [event.value for event in start] == [1, 2]


def test_a_slow_reader_learns_exactly_how_many_it_lost(state):
    slow, fast = state.subscribe_events(timeout_s=0), state.subscribe_events(timeout_s=0)
    seen = []
    for number in range(KEPT + 10):
        assert state.emit(300, number) is True
        seen.append(fast.get().value)
    assert [event.value for event in slow] == list(range(10, KEPT + 10)) and slow.lost == 10
    assert seen == list(range(KEPT + 10)) and fast.lost == 0
    late = state.subscribe_events(from_start=True, timeout_s=0)
    assert next(late).value == 10 and late.lost == 0


def test_get_waits_no_longer_than_it_is_told(state):
    stream = state.subscribe_events()
    assert stream.get() is None and stream.get(0) is None and stream.get(-1) is None and stream.get(0.01) is None
    state.emit(300, 5)
    assert stream.get(None).value == 5


def test_an_agent_is_named_also_when_it_has_gone(state):
    late = state.subscribe_events(timeout_s=0)
    state.register_agent("first")
    state.deregister_agent("first")
    assert [event.value for event in late] == ["first", "first"]
    behind = state.subscribe_events(timeout_s=0)
    prompt = state.subscribe_events(timeout_s=0)
    state.register_agent("gone")
    kept = prompt.get()
    state.deregister_agent("gone")
    slots = [f"{i}" for i in range(4)]  # every slot has another one now
    for name in slots:
        state.register_agent(name)
    names = [event.value for event in behind]
    assert names == [None, None, *slots]
    assert kept.value == "gone", "it was named when it was read"
    assert Event(EventKind.AGENT_REGISTERED, 0xFFFF_FFFF, 0, 0).value is None


def test_an_event_has_the_whole_time_of_what_caused_it(state):
    state.emit(300)
    assert abs(state.subscribe_events(from_start=True).get().time_ms - time.time() * 1000) < 60_000, "nothing is modified yet"
    events = state.subscribe_events(timeout_s=0)
    state.register_agent("cam")
    assert [event.time_ms for event in events] == [state.get_agent("cam").registered_at]


@pytest.mark.parametrize("now_ms", [5, 2**32 - 1, 2**32, 2**40 + 7, 2**63])
def test_the_time_of_an_event_is_the_next_one_to_the_last_write(now_ms):
    day_ms = 86_400_000
    with StateManager("tiny", cached_clock=True) as state:
        times = [max(0, now_ms + away) for away in (-20 * day_ms, 0, 20 * day_ms)]
        for time_ms in times:
            state.tick(time_ms)
            state.emit(300)
        state.tick(now_ms)
        state.neuron_count = 1
        assert [event.time_ms for event in state.subscribe_events(from_start=True, timeout_s=0)] == times


def test_events_are_plain_values(state):
    state.register_agent("cam")
    event = state.subscribe_events(from_start=True).get()
    assert pickle.loads(pickle.dumps(event)) == event
    assert pickle.loads(pickle.dumps(event)).value == "cam"
    assert "cam" not in repr(event) and hash(event) == hash(Event(event.kind, event.arg, event.time_ms, event.position))
    assert Event(EventKind.BURST_ENGINE_STATE_CHANGED, 200, 0, 0).value is BurstEngineState.UNAVAILABLE


def test_every_subscriber_in_every_process_reads_all(shared):
    code = """
state = StateManager.attach(sys.argv[1], readonly=True)
events = state.subscribe_events(kinds=[EventKind.AGENT_REGISTERED, EventKind.BURST_ENGINE_STATE_CHANGED, 300])
say("ready")
got = [events.get(None).value for _ in range(3)]
say(got[0].name, got[1], got[2], events.lost)
"""
    with program(code, shared.path) as one, program(code, shared.path) as two:
        assert one.hear() == two.hear() == "ready"
        shared.burst_engine_state = BurstEngineState.RUNNING
        shared.emit(301)
        shared.register_agent("cam")
        shared.emit(300, 9)
        assert one.hear() == two.hear() == "RUNNING cam 9 0"


def test_writers_in_several_processes_and_threads_lose_nothing(tmp_path):
    code = """
state = StateManager.attach(sys.argv[1])
hear()
for number in range(1000): state.emit(300 + int(sys.argv[2]), number)
"""
    with StateManager.create(tmp_path / "region", "host") as state:
        events = state.subscribe_events()
        with program(code, state.path, 0) as one, program(code, state.path, 1) as two:
            thread = threading.Thread(target=lambda: [state.emit(302, number) for number in range(1000)])
            one.say("go")
            two.say("go")
            thread.start()
            got = [events.get(None) for _ in range(3000)]
            thread.join()
    assert events.lost == 0
    for kind in (300, 301, 302):
        assert [event.value for event in got if event.kind == kind] == list(range(1000))


# ------------------------------------------------------------------------------------------------------------ async


def test_async_for_holds_up_no_other_task(state):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        async def read():
            got = []
            async for event in state.subscribe_events(300, timeout_s=30):
                got.append(event.value)
                if len(got) == 3:
                    break
            return got

        ticking, reading = asyncio.create_task(tick()), asyncio.create_task(read())
        for number in range(3):
            before = ticks
            while ticks < before + 100:  # the reader is waiting meanwhile
                await asyncio.sleep(0)
            state.emit(300, number)
        got = await reading
        ticking.cancel()
        return got

    assert asyncio.run(main()) == [0, 1, 2]


def test_async_for_ends_after_its_timeout(state):
    async def main():
        state.emit(300, 1)
        return [event.value async for event in state.subscribe_events(from_start=True, timeout_s=0.01)]

    assert asyncio.run(main()) == [1]


def test_a_flood_of_events_lets_other_tasks_run(state):
    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        stream = state.subscribe_events()
        for number in range(640):
            state.emit(300, number)
            assert (await stream.get_async()).value == number
        task.cancel()
        return turns

    assert asyncio.run(main()) >= 9


def test_a_cancelled_reader_has_taken_nothing(state):
    async def main():
        stream = state.subscribe_events()
        waiting = asyncio.create_task(stream.get_async(None))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        state.emit(300, 7)
        return (await stream.get_async()).value

    assert asyncio.run(main()) == 7
