"""The demo: UART2 carries the frames, GPIO17 is TX and GPIO16 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(2, 115200, tx=17, rx=16, rxbuf=1024), "ESP32_GENERIC")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
