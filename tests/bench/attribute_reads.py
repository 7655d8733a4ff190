"""Runs on a board: what reading the state costs from bytecode, beside MicroPython's own ways to memory. See attributes.py."""

import array
import time

import uctypes

import feagi_state

ROUNDS = 2000


def nothing(it):
    for _ in range(ROUNDS):
        pass


def attribute(it):
    for _ in range(ROUNDS):
        x = it.neuron_count
        x = it.neuron_count
        x = it.neuron_count
        x = it.neuron_count
    return x


def item(it):
    for _ in range(ROUNDS):
        x = it[3]
        x = it[3]
        x = it[3]
        x = it[3]
    return x


def core_block(it):
    state, buffer = it
    for _ in range(ROUNDS):
        state.readinto(buffer)
        state.readinto(buffer)
        state.readinto(buffer)
        state.readinto(buffer)


def measured(function, argument):
    """Microseconds of a call."""
    began = time.ticks_us()
    function(argument)
    return time.ticks_diff(time.ticks_us(), began)


def run():
    """Prints each way to read, and the time of so many reads."""
    state = feagi_state.StateManager("micro")
    state.neuron_count = 1000
    words = array.array("I", [1000] * 8)
    fields = {"neuron_count": 12 | uctypes.UINT32}
    struct = uctypes.struct(uctypes.addressof(words), fields, uctypes.LITTLE_ENDIAN)  # as the state's layout is
    native = uctypes.struct(uctypes.addressof(words), fields, uctypes.NATIVE)
    none = measured(nothing, state)
    for name, function, argument in (
        ("attribute", attribute, state),
        ("array_item", item, words),
        ("uctypes_field", attribute, struct),
        ("uctypes_native_field", attribute, native),
        ("core_block", core_block, (state, bytearray(128))),
    ):
        print(name, measured(function, argument) - none, "us of", ROUNDS * 4)
