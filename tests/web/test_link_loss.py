"""The browser's host role on the lines that the Python one is tested with: the same tests, the same faults, the same C device."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
from browser_session import BrowserSession
from test_loss import (  # noqa: F401
    test_a_command_runs_at_most_once_whatever_the_line_does,
    test_a_command_that_the_line_says_again_after_the_next_one_does_not_run_again,
    test_a_digest_that_is_given_is_of_equal_states_however_busy_the_device,
    test_an_old_session_that_the_line_says_again_is_not_taken_up,
    test_events_that_found_the_ring_full_are_counted_to_the_host,
    test_every_event_arrives_once_and_in_order_over_a_lossy_line,
    test_lost_events_are_counted_when_their_count_meets_events_that_the_host_has_already,
    test_mirror_converges_and_is_never_torn_nor_stale_after_new,
    test_more_changes_in_flight_than_sequence_numbers_still_converge,
    test_text_between_polls_costs_no_frame,
)

import simulation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C device role, loaded, for `Simulation`."""
    return simulation.load_device(simulation.compile_device(tmp_path_factory.mktemp("device"), *simulation.TRAPS))


@pytest.fixture(autouse=True)
def in_the_browsers_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulations have the browser's host role."""
    monkeypatch.setattr(simulation, "HostSession", BrowserSession)
    yield
    while BrowserSession.running:
        BrowserSession.running.pop().end()
