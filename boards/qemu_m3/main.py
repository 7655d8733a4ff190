"""The emulated board's demo: frames on the second UART, served by a timer, so that the REPL stays free."""

import feagi_demo
import feagi_state
from machine import UART, Timer

state = feagi_state.StateManager.instance()
link = feagi_state.Link(UART(1, 115200), state, "qemu_m3")
demo = feagi_demo.Demo(state)

Timer(-1, period=5, mode=Timer.PERIODIC, callback=lambda timer: link.poll())
Timer(-1, period=feagi_demo.STEP_MS, mode=Timer.PERIODIC, callback=lambda timer: demo.step())
