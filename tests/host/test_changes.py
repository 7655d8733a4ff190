"""Changes of fields as their readers get them: each by itself, the latest value, and what a slow reader missed."""

from __future__ import annotations

import asyncio
import struct
import threading

import pytest

from feagi_state import BurstEngineState, Change, InvalidField, InvalidValue, MemoryMapError, RegionClosed, attach, spec
from feagi_state._core import Mirror
from feagi_state.mirror_files import OwnedMirror
from places import HEADER_LEN, layout

WAIT_S = 20.0


class Owner:
    """Who writes a mirror."""

    def __init__(self) -> None:
        self.owned = OwnedMirror("board")
        self.mirror = self.open("tiny")

    def open(self, profile: str) -> Mirror:
        """A mirror of another layout replaces the one that is there."""
        self.mirror = self.owned.open(bytes(layout(profile)[0][:HEADER_LEN]), "board", "/dev/ttyX")
        return self.mirror

    def publish(self, **values: int | float) -> None:
        """One version of each page that holds these fields."""
        pages: dict[int, bytearray] = {}
        for name, value in values.items():
            field = spec.CORE_FIELDS[name]
            page = self.mirror.page_of(HEADER_LEN + field.offset)
            start = next(n for n in range(HEADER_LEN + field.offset, -1, -1) if n == 0 or self.mirror.page_of(n - 1) != page)
            struct.pack_into(
                {"u8": "<B", "f32": "<f", "u32": "<I", "u64": "<Q"}[field.type],
                pages.setdefault(page, bytearray(self.mirror.read_page(page))),
                HEADER_LEN + field.offset - start,
                value,
            )
        for page, data in pages.items():
            self.mirror.publish_page(page, data)


@pytest.fixture
def owner(tmp_path, monkeypatch):
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    made = Owner()
    yield made
    made.owned.close()


@pytest.fixture
def view(owner):
    with attach("board") as made:
        yield made


def test_a_change_says_what_was_and_what_is(owner, view):
    changes = view.changes("neuron_count")
    assert changes.get() is None
    owner.publish(neuron_count=5)
    assert changes.get() == Change("neuron_count", 5, 0, 0, "board")
    assert changes.get() is None
    owner.publish(synapse_count=7)
    owner.publish(neuron_count=5)
    assert changes.get() is None, "of another field, and of none"


def test_a_slow_reader_gets_the_latest_value_and_how_many_versions_it_missed(owner, view):
    changes, prompt = view.changes("neuron_count"), view.changes("neuron_count")
    for n in range(1, 101):
        owner.publish(neuron_count=n)
        change = prompt.get()
        assert (change.value, change.old, change.passed_over) == (n, n - 1, 0), "a prompt reader misses none"
    assert changes.get() == Change("neuron_count", 100, 0, 99, "board")
    owner.publish(neuron_count=101)
    assert changes.get() == Change("neuron_count", 101, 100, 0, "board"), "what was missed is said once"


def test_fields_of_one_version_come_together_in_the_order_of_the_spec(owner, view):
    changes = view.changes("synapse_count", "neuron_count", "burst_frequency", timeout_s=0)
    owner.publish(neuron_count=1, synapse_count=2, burst_frequency=0.5)
    assert [(c.field, c.value) for c in changes] == [("synapse_count", 2), ("neuron_count", 1), ("burst_frequency", 0.5)]


def test_what_waits_for_its_reader_stays_up_to_date(owner, view):
    changes = view.changes("neuron_count", "synapse_count")
    owner.publish(neuron_count=1, synapse_count=1)
    assert changes.get().field == "neuron_count"
    owner.publish(synapse_count=2)
    owner.publish(synapse_count=3)
    change = changes.get()
    assert (change.value, change.old) == (3, 0) and change.passed_over == 2
    owner.publish(neuron_count=2, synapse_count=4)
    assert changes.get().field == "neuron_count"
    owner.publish(synapse_count=3)
    assert changes.get() is None, "it is again what the reader has"


def test_without_names_all_fields_but_those_that_change_with_everything(owner, view):
    changes = view.changes(timeout_s=0, from_start=True)
    names = [change.field for change in changes]
    assert sorted(names) == sorted(set(spec.CORE_FIELDS) - {"version", "last_modified"})
    owner.publish(neuron_count=1, last_modified=1)
    assert [change.field for change in changes] == ["neuron_count"]
    assert view.changes("version", from_start=True).get().old is None


def test_states_come_as_members_and_no_number_is_equal_to_itself(owner, view):
    changes = view.changes("burst_engine_state", "burst_frequency", timeout_s=0)
    owner.publish(burst_engine_state=BurstEngineState.RUNNING)
    [change] = changes
    assert change.value is BurstEngineState.RUNNING and change.old is BurstEngineState.UNAVAILABLE
    owner.publish(burst_frequency=float("nan"))
    assert len(list(changes)) == 1
    owner.publish(burst_frequency=float("nan"))
    assert list(changes) == []


def test_a_stream_follows_a_mirror_that_is_replaced(owner, view):
    changes = view.changes("neuron_count")
    owner.publish(neuron_count=7)
    assert changes.get().value == 7
    owner.open("micro")
    owner.publish(neuron_count=7)
    assert changes.get() is None, "the other mirror has the same value"
    owner.publish(neuron_count=8)
    assert changes.get() == Change("neuron_count", 8, 7, 0, "board")


def test_wrong_names_and_timeouts_are_refused(view):
    with pytest.raises(InvalidField, match="did you mean neuron_count"):
        view.changes("neuron_counts")
    with pytest.raises(InvalidValue, match="timeout"):
        view.changes("neuron_count", timeout_s="soon")


def test_a_closed_mirror_ends_in_an_error(owner):
    view = attach("board")
    changes = view.changes("neuron_count", timeout_s=0)
    view.close()
    with pytest.raises(RegionClosed):
        next(changes)


def test_reading_from_a_thread_while_the_owner_publishes(owner, view):
    """Every value that the reader gets is later than the one before, and it ends with the last."""
    got: list[Change] = []

    def read() -> None:
        for change in view.changes("neuron_count", timeout_s=WAIT_S):
            got.append(change)
            if change.value == 5000:
                return

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(1, 5001):
        owner.publish(neuron_count=n)
    thread.join()
    values = [change.value for change in got]
    assert values == sorted(set(values)) and values[-1] == 5000
    assert all(change.passed_over == change.value - change.old - 1 for change in got), "nothing else was published"


def test_async_for_leaves_the_loop_to_others(owner, view):
    async def main() -> list[int]:
        async def write() -> None:
            for n in range(1, 6):
                owner.publish(neuron_count=n)
                while seen[-1:] != [n]:
                    await asyncio.sleep(0)

        seen: list[int] = []
        writer = asyncio.create_task(write())
        async for change in view.changes("neuron_count", timeout_s=WAIT_S):
            seen.append(change.value)
            if change.value == 5:
                break
        await writer
        return seen

    assert asyncio.run(main()) == [1, 2, 3, 4, 5]


def test_a_mirror_that_is_not_there_has_no_changes():
    with pytest.raises(MemoryMapError):
        attach("nobody").changes("neuron_count")
