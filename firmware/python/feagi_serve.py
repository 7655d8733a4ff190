"""Serves the board's state on a serial line of its own from a timer, so that the REPL stays free and the program its own
master:

    state = feagi_serve.serve(UART(1, 115200, rxbuf=1024), "my board")
    feagi_serve.every(50, work)

or, where the prompt's line is the only one, on that line until Ctrl-C:

    feagi_serve.every(50, work)
    feagi_serve.share("my board")
"""

import sys
import time

from machine import Timer

import feagi_state

POLL_MS = 5  # a link takes 128 bytes a poll: 25 kB/s

# Kept here, since some ports stop a timer that nobody refers to.
_timers = []


def every(period_ms, work):
    """Calls work() every `period_ms` between two bytecodes of whatever runs; it may allocate, and should be done soon."""
    try:
        timer = Timer(-1)  # one of any number in software
    except ValueError:
        timer = Timer(len(_timers))  # the esp32 port has hardware timers alone: four, or two on a C3 and C6
    timer.init(period=period_ms, mode=Timer.PERIODIC, callback=lambda timer: work())
    _timers.append(timer)


def share(name):
    """Serves StateManager.instance() on the prompt's own line as the board `name`; ends with Ctrl-C's KeyboardInterrupt.

    Hosts send nothing there that could be taken for a Ctrl-C, and what the program prints reaches them as text.
    """
    link = feagi_state.Link(sys.stdin.buffer, None, name, sys.stdout.buffer)
    while True:
        link.poll()
        time.sleep_ms(POLL_MS)


def serve(stream, name):
    """Serves StateManager.instance() on `stream` as the board `name`, and returns it."""
    state = feagi_state.StateManager.instance()
    every(POLL_MS, feagi_state.Link(stream, state, name).poll)
    return state
