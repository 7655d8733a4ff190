"""The demo: USART2 carries the frames, PA2 is TX and PA3 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(2, 115200, rxbuf=1024), "WEACT_F411_BLACKPILL")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
