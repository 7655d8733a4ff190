"""Runs on a board whose firmware has the module and driver.c inside: C and Python share the one state. Prints what it saw."""

import gc
import io
import time

import driver

import feagi_state as f

state = f.StateManager.instance()
LOW_HALF = 0xFFFFFFFF


class Snapshots:
    """Snapshots of the state while the interrupt writes, and how many of them no moment had."""

    def __init__(self, stamp_at, twins_at):
        """Offsets in a region: of genome_timestamp, and of the two counters that the interrupt moves together."""
        self.stamp_at, self.twins_at = stamp_at, twins_at
        self.taken = self.wrong = self.stamp = 0

    def take(self):
        image = state.save()
        region = image.find(b"FGST")

        def u32(at):
            return int.from_bytes(image[region + at : region + at + 4], "little")

        low, high = u32(self.stamp_at), u32(self.stamp_at + 4)
        one, other = [u32(at) for at in self.twins_at]
        self.taken += 1
        self.wrong += low != high or low < self.stamp or one != other
        self.stamp = low


def read_while_the_interrupt_writes(rounds, period_us, stamp_at, twins_at):
    """Takes every event, reads what the interrupt writes, and adds to what it adds to, until its last round is over and the ring is empty.

    Half of the time it takes fewer events than come, so that some are lost: all of those must be counted.
    """
    snapshots = Snapshots(stamp_at, twins_at)
    torn = back = gaps = disorder = added = turns = 0
    stamp = 0
    expected = driver.rounds() + 1
    last = driver.rounds() + rounds
    neurons, version, rejected = state.neuron_count, state.version, state.events_rejected()
    began = time.ticks_ms()
    driver.start(rounds, period_us)
    while True:
        over = driver.rounds() == last
        before, stamp = stamp, state.genome_timestamp
        torn += stamp >> 32 != stamp & LOW_HALF
        back += stamp < before
        state.add("neuron_count", 1)
        added += 1
        for _ in range(1 if turns & 1024 else 8):
            event = state.pop_event()
            if event is None:
                break
            disorder += event[1] < expected
            gaps += event[1] - expected
            expected = event[1] + 1
        if over and event is None:
            break
        turns += 1
        if turns % 16 == 0:
            snapshots.take()
    print("ms", time.ticks_diff(time.ticks_ms(), began), "turns", turns)
    print("torn", torn, "back", back, "disorder", disorder)
    print("snapshots", snapshots.taken, "wrong", snapshots.wrong)
    print("uncounted", rounds + added - (state.neuron_count - neurons))
    print("unversioned", rounds * driver.WRITES + added - (state.version - version))
    lost = state.events_rejected() - rejected
    print("lost", lost, "missing", gaps + last + 1 - expected - lost)


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
    while driver.rounds() != state.regular_neuron_count:  # until the last round is over
        pass
    print("ahead", state.regular_neuron_count - driver.rounds())
    print("agents", len(state.get_agents()))
