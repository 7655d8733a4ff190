"""The demo: YA carries the frames, Y1 is TX and Y2 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(6, 115200, rxbuf=1024), "PYBV11")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
