"""The demo: UART(1) carries the frames; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(1, 115200), "qemu_m7")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
