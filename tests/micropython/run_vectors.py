"""Runs on a board: the golden vectors against the module feagi_state. Prints the lines that fail and a closing count.

`FOLDER` holds frames.txt and regions.txt.
"""

import gc
import struct

import feagi_state

ERRORS = {
    "NOT_FOUND": feagi_state.AgentNotFound,
    "EXISTS": feagi_state.AgentAlreadyRegistered,
    "FULL": feagi_state.CapacityError,
    "RANGE": ValueError,
    "LENGTH": ValueError,
    "ENCODING": ValueError,
    "READ_ONLY": AttributeError,
    "OPERATION": TypeError,
    "NOT_OWNER": feagi_state.NotLockOwner,
}


def from_hex(word):
    return b"" if word == "-" else bytes.fromhex(word)


def frame(words):
    """(checks, failed) of one line of frames.txt."""
    seed, wire = int(words[2], 16), from_hex(words[3])
    got = feagi_state.frame_decode(wire, seed)
    if words[0] == "bad":
        return 1, got is not None
    kind, seq, payload = int(words[4], 16), int(words[5]), from_hex(words[6])
    return 2, (got != (kind, seq, payload)) + (feagi_state.frame_encode(kind, seq, payload, seed) != wire)


def to_program(field, number):
    """A vector's number as a program writes it: floats as floats."""
    if field == "burst_frequency" and number < 2**32:
        return struct.unpack("<f", struct.pack("<I", number))[0]
    return number


def from_program(field, value):
    if field == "burst_frequency":
        return struct.unpack("<I", struct.pack("<f", value))[0]
    return int(value)


class Regions:
    """The state that regions.txt builds."""

    def __init__(self):
        self.state = None
        self.expected = None

    def start(self, profile, boot_id):
        self.state = self.expected = None
        gc.collect()
        try:
            state = feagi_state.StateManager(profile, boot_id)
            self.expected = bytearray(len(memoryview(state)))
            self.state = state
        except MemoryError:
            # Two of the host's profile take 400 kB.
            print("skipped: no room for a region of profile", profile, "and its copy, with", gc.mem_free(), "bytes of heap free")

    def line(self, words):
        """(checks, failed) of one line."""
        op = words[0]
        if op == "region":
            self.start(words[1], int(words[2]))
            return 0, 0
        if self.state is None:
            return 0, 0
        if op == "time":
            self.state.tick(int(words[1]))
            return 0, 0
        if op == "bytes":
            at, data = int(words[1]), from_hex(words[2])
            self.expected[at : at + len(data)] = data
            return 0, 0
        if op == "rest":
            return 1, memoryview(self.state) != memoryview(self.expected)
        if op == "repeat":
            done = [self.check(self.filled(words[3:], n)) for n in range(int(words[1]), int(words[1]) + int(words[2]))]
            return sum(count for count, _ in done), sum(wrong for _, wrong in done)
        return self.check(words)

    def filled(self, words, n):
        """The words of a repeated operation with its number in them."""
        return [str(n) if w == "@" else str(n).encode().hex() if w == "~" else w for w in words]

    def check(self, words):
        op = words[0]
        split = words.index("=")
        expect = words[split + 1]
        try:
            got = str(self.operation(op, words[1:split], expect))
        except Exception as error:
            if expect in ERRORS and type(error) is ERRORS[expect]:
                return 1, 0
            got = repr(error)
        if got != expect:
            print("gave", got)
        return 1, got != expect

    def operation(self, op, words, expect):
        s = self.state
        if op == "get":
            return from_program(words[0], getattr(s, words[0]))
        if op == "set":
            if words[0] == "burst_frequency" and expect == "RANGE":
                raise ValueError  # every float has its bits
            setattr(s, words[0], to_program(words[0], int(words[1])))
            return from_program(words[0], getattr(s, words[0]))
        if op == "add":
            return s.add(words[0], int(words[1]))
        if op == "subtract":
            return s.subtract(words[0], int(words[1]))
        if op == "register":
            return s.register_agent(from_hex(words[0]), int(words[1]), from_hex(words[2]))
        if op == "deregister":
            return s.deregister_agent(from_hex(words[0])) or 0
        if op == "heartbeat":
            return s.heartbeat(from_hex(words[0])) or 0
        if op == "heartbeat_handle":
            return s.heartbeat(int(words[0])) or 0
        if op == "evict":
            return s.evict_stale(int(words[0]))
        if op == "event":
            if not s.emit(int(words[0]), int(words[1])):
                return "FULL"
            return 0
        if op == "pop":
            event = s.pop_event()
            return "none" if event is None else "%d:%d:%d" % event
        if op == "digest":
            return s.digest()
        return self.area_operation(op, words)

    def area_operation(self, op, words):
        s = self.state
        if op in ("set_hash", "get_hash"):
            if op == "set_hash":
                setattr(s, words[0] + "_hash", int(words[1]))
            return getattr(s, words[0] + "_hash")
        if op == "try_lock":
            return 0 if s.try_lock(int(words[0]), int(words[1])) else "LOCKED"
        if op == "unlock":
            return s.unlock(int(words[0]), int(words[1])) or 0
        if op == "take_over":
            return s.take_over(int(words[0]), int(words[1]), int(words[2])) or 0
        if op == "owner":
            return s.lock_owner(int(words[0]))
        if op == "get_window":
            return s.get_fcl_window(int(words[0]))
        if op == "set_window":
            return s.set_fcl_window(int(words[0]), int(words[1])) or 0
        if op == "default_window":
            return s.set_fcl_window(None, int(words[0])) or 0
        if op == "remove_window":
            return int(s.remove_fcl_window(int(words[0])))
        if op == "init_stats":
            return s.init_area_stats(from_hex(words[0])) or 0
        if op == "stat":
            return self.stat(words[0], from_hex(words[1]), COUNTS.index(words[2]), int(words[3]))
        raise ValueError(op)

    def stat(self, op, area_id, count, amount):
        s = self.state
        try:
            values = list(s.get_area_stats(area_id))
        except feagi_state.AreaNotFound:
            return "NOT_FOUND"
        if op == "set":
            values[count] = amount
            s.set_area_stats(area_id, *values)
        elif op != "get":
            change = amount if op == "add" else -amount
            s.change_area_stats(area_id, *[change if i == count else 0 for i in range(3)])
        return s.get_area_stats(area_id)[count]


COUNTS = ("neuron_count", "incoming_synapse_count", "outgoing_synapse_count")


def run(folder):
    checks = failed = 0
    regions = Regions()
    for name, check in (("frames.txt", frame), ("regions.txt", regions.line)):
        with open(folder + "/" + name) as file:
            for number, line in enumerate(file, 1):
                words = line.split()
                if not words or words[0] == "#" or words[0].startswith("#"):
                    continue
                done, wrong = check(words)
                checks += done
                failed += wrong
                if wrong:
                    print(name, number, "failed:", line.strip()[:100])
    print(checks, "checks,", failed, "failed")
