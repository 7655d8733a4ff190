"""Runs on a board whose firmware has the module and driver.c inside: C and Python share the one state. Prints what it saw."""

import gc
import io

import driver

import feagi_state as f

state = f.StateManager.instance()


def read_while_the_interrupt_writes(rounds, period_us):
    """Takes every event and reads what the interrupt writes, until it has made its rounds and the ring is empty."""
    first = driver.rounds() + 1
    expected = first
    torn = gaps = back = 0
    seen = count = state.neuron_count
    driver.start(rounds, period_us)
    while True:
        over = driver.rounds() == first - 1 + rounds
        stamp = state.genome_timestamp
        torn += stamp >> 32 != stamp & 0xFFFFFFFF
        back += state.neuron_count < seen
        seen = state.neuron_count
        state.add("synapse_count", 1)
        event = state.pop_event()
        if event is None:
            if over:
                break
        else:
            gaps += event[1] - expected
            expected = event[1] + 1
    gaps += first + rounds - expected
    print("torn", torn, "back", back, "counted", state.neuron_count - count)
    print("missing", gaps - state.events_rejected())


def start_for_ever():
    """The program before a soft reset: all that could leave a pointer behind."""
    f.Link(io.BytesIO(), state, "before").poll()
    state.register_agent("before")
    state.get_agents()
    driver.start(10**9, 1000)


def go_on():
    """The program after it: the interrupt never stopped, and what it marks as changed is no memory of this program."""
    rounds = driver.rounds()
    gc.collect()
    blocks = []
    while gc.mem_free() > 50000:
        blocks.append(bytes(256))
    while driver.rounds() < rounds + 100:
        pass
    print("damaged", sum(1 for block in blocks if block != bytes(256)))
    driver.start(0, 1000)
    while driver.rounds() != state.neuron_count:  # until the last round is over
        pass
    print("ahead", state.neuron_count - driver.rounds())
    print("agents", len(state.get_agents()))
