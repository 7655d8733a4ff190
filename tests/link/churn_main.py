"""A board that changes its state all the time, as churn.py says, but while `fatigue_active` is set."""

import sys
import time

import churn
import feagi_state

STEP_MS = 3
state = feagi_state.StateManager("tiny")


class Work:
    """Makes one change after the other."""

    def __init__(self):
        self.number = 0

    def step(self):
        """The next change."""
        if state.fatigue_active:
            return
        what, first, *rest = churn.change(self.number)
        self.number += 1
        if what == "set":
            setattr(state, first, rest[0])
        elif what == "window":
            state.set_fcl_window(first, rest[0])
        elif what == "lock":
            state.try_lock(first, rest[0])
        elif what == "unlock":
            state.unlock(first, rest[0])
        elif what == "stat":
            state.init_area_stats(first)
        elif what == "count":
            state.change_area_stats(first, rest[1])
        else:
            state.emit(first, rest[0])


work = Work()
if sys.platform == "linux":
    import micropython

    micropython.kbd_intr(-1)  # a line's noise has a Ctrl-C now and then
    link = feagi_state.Link(sys.stdin.buffer, state, "churn", sys.stdout.buffer)
    while True:
        link.poll()
        work.step()
        time.sleep_ms(STEP_MS)
else:
    import feagi_serve
    from machine import UART

    feagi_serve.every(feagi_serve.POLL_MS, feagi_state.Link(UART(1, 115200), state, "churn").poll)
    feagi_serve.every(STEP_MS, work.step)
