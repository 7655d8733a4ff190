"""Stands for a real board's `machine` on the unix port: says which UART is made, and lets a test run the timers."""

import io

POLL, POLL_WRITE = 3, 4  # of py/stream.h

made = []
timers = []


class UART(io.IOBase):
    """Takes what is written, and has nothing to read."""

    def __init__(self, number, baudrate, **options):
        self.written = bytearray()
        made.append((number, baudrate, options, self))

    def readinto(self, buffer):
        return None

    def write(self, data):
        self.written.extend(data)
        return len(data)

    def ioctl(self, request, argument):
        return argument & POLL_WRITE if request == POLL else 0


class Timer:
    """In software, of which there is any number, all with the number -1; or from 0 on the hardware's."""

    PERIODIC = 1
    hardware = False

    def __init__(self, number):
        if (number == -1) == self.hardware or any(self.hardware and other[0] == number for other in timers):
            raise ValueError("Timer doesn't exist")
        self.number = number

    def init(self, *, period, mode, callback):
        timers.append((self.number, period, callback))
