"""A board that does nothing but serve its link on standard input and output, and say in a file whether it is in a session."""

import os
import sys
import time

import feagi_state

link = feagi_state.Link(sys.stdin.buffer, feagi_state.StateManager("tiny"), "idle", sys.stdout.buffer)
up = None
while True:
    link.poll()
    if link.up != up:
        up = link.up
        with open(os.getenv("IDLE_BOARD_SAYS"), "w") as file:
            file.write("in a session" if up else "alone")
    time.sleep_ms(1)
