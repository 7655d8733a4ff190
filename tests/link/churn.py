"""Changes of a state, the same ones in the same order every time: a board makes them, and a test knows by them what the board's
pages were. For MicroPython and CPython.
"""

STATS_AREA = "area_1"
FIELDS = ("neuron_count", "synapse_count", "cortical_area_count", "neuron_capacity")
OWNER = 7
EVENT = 256


def change(number):
    """The change with this number, from 0 on: words as tests/core/device.c has them, but the field by its name."""
    turn, row = number % 7, number // 7
    value = (number * 2654435761) & 0xFFFFFFFF
    if number == 0:
        return ("stat", STATS_AREA)
    if turn < 3:
        return ("set", FIELDS[row % 4], value)
    if turn == 3:
        return ("window", row % 8, value)
    if turn == 4:
        return ("unlock" if row // 8 % 2 else "lock", row % 8, OWNER)
    if turn == 5:
        return ("count", STATS_AREA, 0, 1)
    return ("event", EVENT, number)
