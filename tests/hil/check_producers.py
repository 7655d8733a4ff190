"""Runs on a board: a timer's function writes the state and pushes events while the program does the same. Prints what it saw."""

from machine import Timer

import feagi_state as f

PERIOD_MS = 1


class Producer:
    """What the timer calls. It allocates nothing, so that it may be called inside of the interrupt."""

    def __init__(self, state):
        self.state = state
        self.rounds = self.refused = 0
        self.call = self.work  # bound here, since that allocates

    def work(self, timer):
        state = self.state
        self.rounds += 1
        state.add("neuron_count", 1)
        state.add("regular_neuron_count", 1)
        state.memory_neuron_count = self.rounds
        if not state.emit(300, self.rounds):
            self.refused += 1


def start_timer(call):
    """(the timer, whether it calls inside of the interrupt), which not every MicroPython can."""
    try:
        return Timer(-1, mode=Timer.PERIODIC, period=PERIOD_MS, callback=call, hard=True), True
    except (TypeError, ValueError):
        timer = Timer(-1)
        timer.init(mode=Timer.PERIODIC, period=PERIOD_MS, callback=call)
        return timer, False


def run(rounds):
    state = f.StateManager("micro")
    producer = Producer(state)
    gaps = disorder = added = 0
    expected = 1
    timer, hard = start_timer(producer.call)
    over = False
    while True:
        if producer.rounds >= rounds and not over:
            timer.deinit()
            over = True
        state.add("neuron_count", 1)
        added += 1
        # Half of the time events are left where they are, until the ring has no room.
        event = state.pop_event() if over or producer.rounds & 512 else None
        if event is not None:
            disorder += event[1] < expected
            gaps += event[1] - expected
            expected = event[1] + 1
        elif over:
            break
    rounds = producer.rounds
    gaps += rounds + 1 - expected
    torn = state.regular_neuron_count != rounds or state.memory_neuron_count != rounds
    print("hard", int(hard), "rounds", rounds, "lost", producer.refused, "disorder", disorder, "torn", int(torn))
    print("missing", gaps - producer.refused, "uncounted", producer.refused - state.events_rejected())
    print("unadded", rounds + added - state.neuron_count, "unversioned", 3 * rounds + added - state.version)
