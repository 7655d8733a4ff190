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

import machine

import feagi_state

POLL_MS = 5  # a link takes 128 bytes a poll: 25 kB/s
_RESETS = (("PWRON_RESET", "power-on"), ("HARD_RESET", "hard"), ("WDT_RESET", "watchdog"), ("DEEPSLEEP_RESET", "deep sleep"), ("SOFT_RESET", "soft"))

# Kept here, since some ports stop a timer that nobody refers to.
_timers = []


def every(period_ms, work):
    """Calls work() every `period_ms` between two bytecodes of whatever runs; it may allocate, and should be done soon."""
    try:
        timer = machine.Timer(-1)  # one of any number in software
    except ValueError:
        timer = machine.Timer(len(_timers))  # the esp32 port has hardware timers alone: four, or two on a C3 and C6
    timer.init(period=period_ms, mode=machine.Timer.PERIODIC, callback=lambda timer: work())
    _timers.append(timer)


def about():
    """What runs here, and after which reset, if this port knows: "MicroPython v1.25.0; PYBv1.1 with STM32F405RG; soft reset"."""
    here = sys.implementation
    text = "MicroPython v%d.%d.%d; %s" % (here.version[0], here.version[1], here.version[2], getattr(here, "_machine", sys.platform))
    for name, words in _RESETS:
        if hasattr(machine, name) and machine.reset_cause() == getattr(machine, name):
            return "%s; %s reset" % (text, words)
    return text


class _Introduced:
    """A link that says `about()` in the host's log at the beginning of each session. poll() allocates nothing: a timer may call
    it inside of the interrupt.
    """

    def __init__(self, stream, state, name, out=None):
        self._link = feagi_state.Link(stream, state, name, out)
        self._about = about()
        self._was_said = False

    def poll(self):
        link = self._link
        link.poll()
        # A stream that has not taken all it was given takes no line: then after the next poll.
        self._was_said = link.up and (self._was_said or link.log(20, self._about))


def share(name):
    """Serves StateManager.instance() on the prompt's own line as the board `name`; ends with Ctrl-C's KeyboardInterrupt.

    Hosts send nothing there that could be taken for a Ctrl-C, and what the program prints reaches them as text.
    """
    link = _Introduced(sys.stdin.buffer, None, name, sys.stdout.buffer)
    while True:
        link.poll()
        time.sleep_ms(POLL_MS)


def serve(stream, name):
    """Serves StateManager.instance() on `stream` as the board `name`, and returns it."""
    state = feagi_state.StateManager.instance()
    every(POLL_MS, _Introduced(stream, state, name).poll)
    return state
