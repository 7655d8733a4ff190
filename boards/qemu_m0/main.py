"""The demo of a board with one port: the link and the prompt take turns on it, and Ctrl-C changes over."""

import feagi_demo
import feagi_serve
import feagi_state

state = feagi_state.StateManager.instance()
feagi_serve.every(feagi_demo.STEP_MS, feagi_demo.Demo(state).step)
feagi_serve.share("qemu_m0")
