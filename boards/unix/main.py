"""The unix port's demo: one serial line, standard input and output, served by asyncio."""

import asyncio
import sys

import feagi_demo
import feagi_state

state = feagi_state.StateManager.instance()
link = feagi_state.Link(sys.stdin.buffer, state, "unix", sys.stdout.buffer)


async def serve():
    while True:
        link.poll()
        await asyncio.sleep_ms(2)


async def work():
    demo = feagi_demo.Demo(state)
    while True:
        demo.step()
        await asyncio.sleep_ms(feagi_demo.STEP_MS)


async def main():
    await asyncio.gather(serve(), work())


asyncio.run(main())
