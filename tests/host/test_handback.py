"""What is typed at a board's prompt after somebody has used it, by bytes and times alone."""

from __future__ import annotations

import pytest

from feagi_state.handback import Handback

BANNER = b'MicroPython v1.25.0; a board\r\nType "help()" for more information.\r\n>>> '
RAW = b"\r\n>>> \r\nraw REPL; CTRL-B to exit\r\n>"
LATER_S = 100.0


def used(*said: bytes, typed: bytes = b"\r\x02") -> Handback:
    """A board whose program was interrupted at 0 s by somebody who has gone now, and what it said since."""
    handback = Handback()
    handback.runs()
    handback.opened()
    handback.interrupted()
    handback.typed(b"\r\x03")
    for text in said:
        handback.said(text)
    handback.typed(typed)
    handback.closed(0.0)
    return handback


def all_typed(handback: Handback, until_s: float = LATER_S, step_s: float = 0.05) -> list[bytes]:
    """What is typed from 0 s on, when the board answers nothing."""
    return [data for n in range(int(until_s / step_s)) if (data := handback.next(n * step_s))]


def test_main_is_started_again_by_a_soft_reset_and_once():
    handback = used(BANNER, RAW, b"OK1\r\n\x04\x04>", BANNER)
    assert all_typed(handback) == [b"\x04"]
    handback.runs()
    assert all_typed(handback) == []


def test_not_at_once_since_the_next_command_may_come():
    handback = used(BANNER)
    assert handback.next(0.1) == b""
    handback.opened()
    assert all_typed(handback) == []
    handback.closed(LATER_S)
    assert handback.next(LATER_S + 0.1) == b""
    assert handback.next(LATER_S + 1) == b"\x04"


def test_not_where_no_program_was_interrupted_or_it_runs_again():
    handback = Handback()
    handback.opened()
    handback.typed(b"\r\x03")
    handback.said(BANNER)
    handback.closed(0.0)
    assert all_typed(handback) == []
    handback = used(BANNER)
    handback.runs()
    assert all_typed(handback) == []


def test_not_where_the_user_does_not_want_it():
    handback = Handback(restarts=False)
    handback.interrupted()
    handback.said(BANNER)
    handback.closed(0.0)
    assert all_typed(handback) == []
    assert not handback.passes


def test_what_was_left_running_is_asked_for_its_prompt_without_harm_and_waited_for():
    handback = used(BANNER, RAW, b"OK")  # and Ctrl-B, which waits behind what runs
    assert all_typed(handback) == [b"\x15\x02"]
    handback.said(b"\x04\x04>" + BANNER)
    assert all_typed(handback, 2 * LATER_S)[-1:] == [b"\x04"]


@pytest.mark.parametrize("said", [b"... ", b"=== "])
def test_an_unfinished_statement_is_given_up(said):
    handback = used(BANNER, b"if 1:\r\n" + said, typed=b"\r")
    assert all_typed(handback) == [b"\x03"]


def test_who_vanished_in_the_raw_repl_left_nothing_worth_waiting_for():
    handback = used(BANNER, RAW, b"R\x01\x80\x00\x01", typed=b"x = '")
    assert all_typed(handback, 1.5) == [b"\x03", b"\x15\x02"]
    handback.said(BANNER)
    assert all_typed(handback)[-1:] == [b"\x04"]
    assert all_typed(used(BANNER, RAW, typed=b"x"), 10)[:4] == 2 * [b"\x03", b"\x15\x02"], "asked until it answers"


def test_a_program_in_the_raw_repl_is_not_the_main_that_is_owed():
    handback = used(BANNER, RAW, b"OK")
    handback.runs()
    handback.said(b"\x04\x04>")
    handback.said(BANNER)
    assert all_typed(handback) == [b"\x04"]


def test_it_says_why_no_program_serves_the_link():
    handback = used(BANNER)
    assert handback.at_prompt and handback.passes and "started again" in handback.why
    handback.opened()
    assert handback.passes and "in use" in handback.why
    handback.closed(0.0)
    assert all_typed(handback) == [b"\x04"]
    assert not handback.at_prompt and handback.passes
    handback.said(b"\r\nMPY: soft reboot\r\nTraceback\r\n" + BANNER)
    assert handback.at_prompt and not handback.passes and "main.py has ended" in handback.why
    assert all_typed(handback) == []


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_prompt_that_comes_in_pieces(size):
    text = BANNER + RAW + b"OK\x04\x04>" + BANNER
    handback = used(*(text[at : at + size] for at in range(0, len(text), size)))
    assert all_typed(handback) == [b"\x04"]
