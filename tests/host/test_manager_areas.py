"""Locks, FCL windows and statistics of a StateManager."""

from __future__ import annotations

import _thread
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feagi_state import (
    AreaLocked,
    AreaNotFound,
    AreaStats,
    CapacityError,
    InvalidValue,
    NotLockOwner,
    StateManager,
    waiting,
)
from processes import in_fork, program

U32, U64 = 2**32 - 1, 2**64 - 1
NO_AREAS = [-1, U32 + 1, "7", None, 1.0]


# ------------------------------------------------------------------------------------------------------------ locks


def test_a_lock_from_locking_to_unlocking(state):
    assert not state.is_locked(7)
    assert state.try_lock(7)
    assert state.is_locked(7) and state.get_locked_areas() == [7]
    assert not state.try_lock(7), "the owner's own lock is no invitation either"
    state.unlock(7)
    assert not state.is_locked(7) and state.get_locked_areas() == []
    assert state.try_lock(7)


def test_owners_may_be_given(state):
    assert state.try_lock(7, owner=1) and state.try_lock(3, owner=U64 >> 1)
    assert not state.try_lock(7, owner=2)
    with pytest.raises(NotLockOwner, match="owner 1"):
        state.unlock(7, owner=2)
    with pytest.raises(NotLockOwner, match="owner 1"):
        state.unlock(7)
    with pytest.raises(NotLockOwner, match="not locked"):
        state.unlock(8)
    assert state.get_locked_areas() == [3, 7]
    state.unlock(7, owner=1)
    for wrong in (0, -1, U64 + 1, "me"):
        with pytest.raises(InvalidValue, match="owner"):
            state.try_lock(9, owner=wrong)
    assert state.get_locked_areas() == [3]


def test_two_objects_of_one_process_are_two_owners(shared):
    with StateManager.attach(shared.path) as other:
        assert shared.try_lock(7) and not other.try_lock(7) and other.is_locked(7)
        with pytest.raises(NotLockOwner, match="process"):
            other.unlock(7)
        shared.unlock(7)
        assert other.try_lock(7)


@pytest.mark.parametrize("area", [0, 1, U32])
def test_areas_are_any_u32(state, area):
    assert state.try_lock(area) and state.get_locked_areas() == [area]
    state.set_fcl_window(area, area)
    assert state.get_fcl_window(area) == area


@pytest.mark.parametrize("area", NO_AREAS)
def test_what_is_no_area_is_refused(state, area):
    calls = [state.try_lock, state.unlock, state.is_locked, state.get_fcl_window, state.remove_fcl_window]
    calls += [lambda a: state.lock(a).__enter__()]
    if area is not None:
        calls.append(lambda a: state.set_fcl_window(a, 1))
    for call in calls:
        with pytest.raises(InvalidValue, match="cortical area"):
            call(area)


def test_a_full_table_of_locks_says_so(state):
    for area in range(8):
        assert state.try_lock(area)
        state.unlock(area)
    with pytest.raises(CapacityError, match="locks of 8 areas"):
        state.try_lock(8)
    assert state.try_lock(3)


def test_the_lock_of_a_process_that_died_is_taken_over(shared):
    with program("state = StateManager.attach(sys.argv[1]); say(state.try_lock(7)); hear()", shared.path) as other:
        assert other.hear() == "True"
        assert shared.is_locked(7) and not shared.try_lock(7)
        with pytest.raises(AreaLocked, match=f"process {other.process.pid}"), shared.lock(7, timeout_s=0):
            pass
        other.kill()
        assert not shared.is_locked(7) and shared.get_locked_areas() == []
        assert shared.try_lock(7)
        assert shared.get_locked_areas() == [7]


def test_a_numbers_lock_is_nobodys_to_take(shared):
    with program("state = StateManager.attach(sys.argv[1]); say(state.try_lock(7, 5))", shared.path) as other:
        assert other.hear() == "True"
        other.end()
        assert shared.is_locked(7) and not shared.try_lock(7)
        shared.unlock(7, 5)


def test_a_fork_is_another_owner(shared):
    assert shared.try_lock(7)

    def in_child():
        assert not shared.try_lock(7)
        with pytest.raises(NotLockOwner):
            shared.unlock(7)
        return shared.try_lock(8)

    assert in_fork(in_child)
    assert shared.get_locked_areas() == [7], "the child has ended, and its lock with it"


def test_the_context_locks_and_unlocks(state):
    with state.lock(7):
        assert state.is_locked(7)
        with pytest.raises(NotLockOwner):
            state.unlock(7)
    assert not state.is_locked(7)
    with pytest.raises(ZeroDivisionError), state.lock(7):
        raise ZeroDivisionError
    assert not state.is_locked(7)


def test_the_context_waits_for_its_turn(state):
    inside = []
    gate = threading.Barrier(4)

    def work():
        gate.wait()
        for _ in range(20):
            with state.lock(7):
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not state.is_locked(7)


def test_the_context_gives_up_after_its_timeout(state):
    state.try_lock(7)
    for timeout_s in (0, -1, 0.01):
        with pytest.raises(AreaLocked, match="area 7"), state.lock(7, timeout_s):
            raise AssertionError("nobody holds it twice")
    assert state.is_locked(7)


def test_pauses_grow_and_end_with_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(waiting, "now_s", lambda: now[0])
    patience = waiting.Patience(0.1)
    pauses = []
    while (pause_s := patience.next_pause_s()) is not None:
        pauses.append(pause_s)
        now[0] += pause_s
    assert now[0] == pytest.approx(0.1)
    assert pauses[:-1] == sorted(pauses[:-1]) and max(pauses) == waiting.LONGEST_PAUSE_S
    assert waiting.Patience(None).next_pause_s() is not None


def test_ctrl_c_while_waiting_leaves_nothing_locked(state, monkeypatch):
    state.try_lock(7)
    monkeypatch.setattr("feagi_state.manager_areas.time.sleep", lambda _s: _thread.interrupt_main())
    with pytest.raises(KeyboardInterrupt), state.lock(7):
        raise AssertionError
    state.unlock(7)
    assert state.get_locked_areas() == []


def test_ctrl_c_between_locking_and_the_answer_leaves_nothing_locked(state, monkeypatch):
    locked = StateManager._acquire

    def interrupted(self, area, owner):
        assert locked(self, area, owner)
        raise KeyboardInterrupt

    monkeypatch.setattr(StateManager, "_acquire", interrupted)
    with pytest.raises(KeyboardInterrupt), state.lock(7):
        raise AssertionError
    assert state.get_locked_areas() == []


def test_a_fork_in_the_context_unlocks_nothing(shared):
    def in_child():
        held.__exit__(None, None, None)
        return shared.is_locked(7)

    held = shared.lock(7)
    held.__enter__()
    assert in_fork(in_child)
    held.__exit__(None, None, None)
    assert not shared.is_locked(7)


# ---------------------------------------------------------------------------------------------------------- windows


def test_windows(state):
    assert state.get_fcl_window(7) == 20
    state.set_fcl_window(7, 0)
    state.set_fcl_window(8, U32)
    assert (state.get_fcl_window(7), state.get_fcl_window(8), state.get_fcl_windows()) == (0, U32, {7: 0, 8: U32})
    state.set_fcl_window(None, 30)
    assert (state.get_fcl_window(7), state.get_fcl_window(9)) == (0, 30)
    assert state.remove_fcl_window(7) and not state.remove_fcl_window(7) and not state.remove_fcl_window(9)
    assert (state.get_fcl_window(7), state.get_fcl_windows()) == (30, {8: U32})
    for wrong in (-1, U32 + 1, 1.0, None):
        with pytest.raises(InvalidValue, match="FCL window"):
            state.set_fcl_window(7, wrong)


def test_the_default_window_is_settable_at_creation(tmp_path):
    with StateManager("tiny", fcl_window_default=5) as state:
        assert state.get_fcl_window(1) == 5
    with StateManager.create(tmp_path / "region", fcl_window_default=6), StateManager.attach(tmp_path / "region") as state:
        assert state.get_fcl_window(1) == 6


def test_a_full_table_of_windows_says_so(state):
    for area in range(8):
        state.set_fcl_window(area, area)
    with pytest.raises(CapacityError, match="windows of 8 areas"):
        state.set_fcl_window(8, 1)
    state.set_fcl_window(3, 9)
    assert state.get_fcl_windows() == {**{area: area for area in range(8)}, 3: 9}


# ------------------------------------------------------------------------------------------------------- statistics


@given(st.lists(st.tuples(*[st.integers(-U32, U32)] * 3), max_size=6))
def test_counts_saturate(changes):
    with StateManager("tiny") as state:
        state.init_area_stats("v1")
        model = [0, 0, 0]
        for change in changes:
            state.change_area_stats("v1", *change)
            model = [min(U32, max(0, count + amount)) for count, amount in zip(model, change)]
            assert state.get_area_stats("v1") == AreaStats(*model)


def test_statistics(state):
    state.init_area_stats("v1")
    state.init_area_stats(b"\xc3\xbc")
    assert state.get_area_stats("v1") == AreaStats(0, 0, 0)
    state.set_area_stats("v1", incoming=5)
    state.change_area_stats("v1", 1, outgoing=-1)
    state.set_area_stats("ü", 1, 2, U32)
    assert state.get_all_area_stats() == {"v1": AreaStats(1, 5, 0), "ü": AreaStats(1, 2, U32)}
    state.init_area_stats("v1")
    assert state.get_area_stats(b"v1") == AreaStats(0, 0, 0)


def test_a_wrong_count_changes_none(state):
    state.init_area_stats("v1")
    for wrong in (-1, U32 + 1, 1.0, "1"):
        with pytest.raises(InvalidValue):
            state.set_area_stats("v1", 1, 2, wrong)
    for wrong in (U32 + 1, -U32 - 1, 1.0, "1", None):
        with pytest.raises(InvalidValue):
            state.change_area_stats("v1", 1, 2, wrong)
    assert state.get_area_stats("v1") == AreaStats(0, 0, 0)


def test_an_area_without_statistics_is_an_error_by_name(state):
    for call in (state.get_area_stats, state.set_area_stats, state.change_area_stats):
        with pytest.raises(AreaNotFound, match=r"'v2'.*init_area_stats"):
            call("v2")


@pytest.mark.parametrize(("wrong", "says"), [("", "empty"), ("x" * 17, "17 bytes of UTF-8, at most 16"), (b"\xff", "UTF-8"), (7, "text")])
def test_an_area_id_that_does_not_fit_is_refused(state, wrong, says):
    for call in (state.init_area_stats, state.get_area_stats, state.set_area_stats, state.change_area_stats):
        with pytest.raises(InvalidValue, match=says):
            call(wrong)


def test_full_statistics_say_so(state):
    for number in range(4):
        state.init_area_stats(f"v{number}")
    with pytest.raises(CapacityError, match="statistics of 4 areas"):
        state.init_area_stats("v4")
    state.init_area_stats("v2")
