"""The demo: UART1 carries the frames, GPIO17 is TX and GPIO18 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(1, 115200, tx=17, rx=18, rxbuf=1024), "ESP32_GENERIC_S3")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
