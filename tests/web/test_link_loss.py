"""The browser's host role on the lines that the Python one is tested with: the same tests, the same faults, the same C device, which it
does not overrun either."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
import test_flow
from browser_session import BrowserSession
from test_flow import (  # noqa: F401
    test_a_device_that_stood_still_finds_all_that_was_said,
    test_a_host_does_not_answer_a_device_that_would_send_more_than_it_takes,
    test_a_host_never_has_more_under_way_than_the_device_can_hold,
    test_a_host_that_stood_still_takes_nothing_old_for_a_sign_of_room,
    test_room_comes_back_when_every_answer_was_lost,
)
from test_loss import (  # noqa: F401
    test_a_command_runs_at_most_once_whatever_the_line_does,
    test_a_command_that_the_line_says_again_after_the_next_one_does_not_run_again,
    test_a_digest_that_is_given_is_of_equal_states_however_busy_the_device,
    test_a_host_that_comes_to_a_device_in_another_hosts_session_says_hello_in_its_form,
    test_a_host_that_stood_still_is_stale_until_it_has_caught_up,
    test_an_old_session_that_the_line_says_again_is_not_taken_up,
    test_events_that_found_the_ring_full_are_counted_to_the_host,
    test_every_event_arrives_once_and_in_order_over_a_lossy_line,
    test_lost_events_are_counted_when_their_count_meets_events_that_the_host_has_already,
    test_mirror_converges_and_is_never_torn_nor_stale_after_new,
    test_mirror_converges_with_a_device_that_takes_text,
    test_more_changes_in_flight_than_sequence_numbers_still_converge,
    test_nothing_that_a_prompt_obeys_goes_to_a_device_that_takes_text,
    test_text_between_polls_costs_no_frame,
    test_what_is_typed_at_a_device_that_takes_text_does_no_harm,
)

import simulation
from feagi_state.spec import CommandOp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C device role, loaded, for `Simulation`."""
    return simulation.load_device(simulation.compile_device(tmp_path_factory.mktemp("device"), *simulation.TRAPS))


@pytest.fixture(scope="module", autouse=True)
def node() -> Iterator[None]:
    """One process for all tests."""
    yield
    BrowserSession.end_process()


@pytest.fixture(autouse=True)
def in_the_browsers_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulations have the browser's host role."""
    monkeypatch.setattr(simulation, "HostSession", BrowserSession)
    monkeypatch.setattr(test_flow, "HostSession", BrowserSession)
    yield
    while BrowserSession.running:
        BrowserSession.running.pop().end()


def test_text_between_frames_is_handed_on_whole(device: ctypes.CDLL) -> None:
    """Its zeros included, at once where it cannot be a frame, and after a pause where it could have gone on as one."""
    bench = simulation.Simulation(device, 12, takes_text=True)
    assert bench.settle()
    heard = bench.watcher.texts
    for said in (b"a\0b\0\0", b"\0" + b"x" * 1000 + b"\0", b"burst 5\r\n"):
        heard.clear()
        bench.session.receive(said, bench.now)
        for _ in range(40):  # the device's frames come behind it
            bench.step()
        assert heard.strip(b"\0") == said.strip(b"\0")
    heard.clear()
    bench.session.receive(b"\x09\x01", bench.now)  # as a hello begins
    assert heard == b""
    bench.session.poll(bench.now + 0.5)
    assert heard == b"\x09\x01"
    bench.close()


def test_no_hello_of_a_browser_has_a_ctrl_c() -> None:
    """It may come to a program at a prompt's line, which that would end, before the device has said what form it takes."""
    session = BrowserSession()
    for opened in range(300):
        session.port_opened(float(opened))
        session.receive(b"\0\x05\x10abc\0", opened + 0.2)  # of a session with another host
        said = session.take_output()
        assert said.startswith(b"\x1e") and said.endswith(b"\0") and b"\x03" not in said


def test_a_command_longer_than_the_devices_buffer_is_refused(device: ctypes.CDLL) -> None:
    bench = simulation.Simulation(device, 3)
    assert bench.settle()
    bench.session.take_output()
    long = bench.session.command(CommandOp.SET, tuple([2**64 - 1] * 14), bench.now, 1.0)
    assert (long.error, long.sent) == ("SerializationError", False)
    bench.close()
