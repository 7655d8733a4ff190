"""The demo of a board with one port: the program keeps it for its frames, and so there is no REPL while it runs."""

from micropython import kbd_intr

kbd_intr(-1)  # before all else: a host may be sending already, and a 3 in its frames is no Ctrl-C

import sys
import time

import feagi_demo
import feagi_serve
import feagi_state

state = feagi_state.StateManager.instance()
link = feagi_state.Link(sys.stdin.buffer, state, "qemu_m0", sys.stdout.buffer)
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)

while True:
    link.poll()
    time.sleep_ms(2)
