"""The demo: USART1 carries the frames, PB6 is TX and PB7 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(1, 115200, rxbuf=1024), "NUCLEO_F446RE")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
