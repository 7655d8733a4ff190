"""The demo: UART0 carries the frames, GP0 is TX and GP1 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(0, 115200, tx=0, rx=1, rxbuf=1024), "RPI_PICO")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
