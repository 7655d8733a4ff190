"""The demo: USART6 carries the frames, PC6 is TX and PC7 RX; the REPL stays free."""

import feagi_demo
import feagi_serve
from machine import UART

state = feagi_serve.serve(UART(6, 115200, rxbuf=1024), "NUCLEO_F411RE")
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
