"""The demo: USART2 carries the frames, PD5 is TX and PD6 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(2, 115200, rxbuf=1024), "NUCLEO_H743ZI")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
