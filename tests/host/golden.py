"""The golden vectors, which the C core and MicroPython run as well, on the host's StateManager and frames.

Three things of a region are the host's own and are taken out before bytes and checksums are compared: times are Unix times (a flag
in the header), the boot id is random, and the ring, which is on no page, keeps the newest events where a board's keeps the oldest.

    golden.py FOLDER

prints the lines of frames.txt and regions.txt that fail and a closing count.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cbor2

from feagi_state import StateError, StateManager, frames, spec
from feagi_state.errors import (
    AgentAlreadyRegistered,
    AgentNotFound,
    AreaNotFound,
    CapacityError,
    InvalidField,
    InvalidOperation,
    InvalidValue,
    NotLockOwner,
    SerializationError,
)
from feagi_state.frames import Deframer, Frame, Text

ERRORS: dict[str, type[StateError]] = {
    "NOT_FOUND": AgentNotFound,
    "EXISTS": AgentAlreadyRegistered,
    "FULL": CapacityError,
    "RANGE": InvalidValue,
    "LENGTH": InvalidValue,
    "ENCODING": InvalidValue,
    "READ_ONLY": InvalidField,
    "OPERATION": InvalidOperation,
    "NOT_OWNER": NotLockOwner,
}
COUNTS = ("neurons", "incoming", "outgoing")
FLAGS, BOOT_ID = (spec.HEADER_FIELDS[name].offset for name in ("flags", "boot_id"))


def from_hex(word: str) -> bytes:
    return b"" if word == "-" else bytes.fromhex(word)


def float_bits(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def decoded(seed: str, wire: str) -> Frame:
    [segment] = Deframer().feed(bytes.fromhex(wire))
    return frames.decode(segment, int(seed, 16))


def frame_decodes(_name: str, seed: str, wire: str, kind: str, seq: str, payload: str) -> None:
    frame = decoded(seed, wire)
    assert (frame.kind, frame.seq) == (int(kind, 16), int(seq))
    assert b"".join(map(cbor2.dumps, frame.items)) == from_hex(payload)


def frame_encodes(_name: str, seed: str, wire: str, *_contents: str) -> None:
    frame = decoded(seed, wire)
    assert frames.encode(frame.kind, frame.seq, frame.items, int(seed, 16)).hex() == wire


def frame_is_refused(_name: str, seed: str, wire: str) -> None:
    for segment in Deframer().feed(bytes.fromhex(wire)):
        if type(segment) is not Text:
            try:
                frame = frames.decode(segment, int(seed, 16))
            except SerializationError:
                continue
            raise AssertionError(f"was taken for {frame}")


# First word of a line of frames.txt -> what holds for the others.
FRAME_CHECKS: dict[str, tuple[Callable[..., None], ...]] = {"ok": (frame_decodes, frame_encodes), "bad": (frame_is_refused,)}


class Scenario:
    """One region of the file, built by a StateManager."""

    def __init__(self, profile: str, boot_id: int) -> None:
        self.state = StateManager(profile, cached_clock=True)
        self.state.tick(0)
        self.boot_id = boot_id
        self.events = self.state.subscribe_events(from_start=True, timeout_s=0)
        self.overflowed = False
        self.expected = bytearray(self.state._region_len)

    def image(self) -> bytes:
        """The pages' bytes as a board's region of this boot id has them."""
        image = bytearray(self.state._snapshot(0, self.state._image_len))
        struct.pack_into("<I", image, BOOT_ID, self.boot_id)
        assert struct.unpack_from("<I", image, FLAGS)[0] == spec.FLAG_UNIX_TIME
        struct.pack_into("<I", image, FLAGS, 0)
        return bytes(image)

    def digest(self) -> int:
        image = self.image()
        places = [(0, spec.HEADER_LEN_BYTES)]
        places += [self.state._section(number) for name, number in spec.SECTIONS.items() if name != "events"]
        return zlib.crc32(b"".join(image[at : at + size] for at, size in places))

    def line(self, words: list[str]) -> int:
        """How many checks the line made, all of which passed. Raises AssertionError."""
        op = words[0]
        if op == "time":
            self.state.tick(int(words[1]))
            return 0
        if op == "bytes":
            data = from_hex(words[2])
            self.expected[int(words[1]) : int(words[1]) + len(data)] = data
            return 0
        if op == "rest":
            assert self.image() == self.expected[: self.state._image_len], "the region's bytes differ"
            return 1
        if op == "repeat":
            numbers = range(int(words[1]), int(words[1]) + int(words[2]))
            return sum(
                self.check([str(n) if w == "@" else str(n).encode().hex() if w == "~" else w for w in words[3:]]) for n in numbers
            )
        return self.check(words)

    def check(self, words: list[str]) -> int:
        split = words.index("=")
        op, args, expect = words[0], words[1:split], words[split + 1]
        if op == "event" and expect == "FULL":
            self.overflowed = True  # here the newest stay
        if self.overflowed and op in ("event", "pop"):
            self.state.emit(int(args[0]), int(args[1])) if op == "event" else self.events.get(0)
            return 0
        try:
            got = str(self.operation(op, args, expect))
        except StateError as error:
            assert type(error) is ERRORS.get(expect), f"{words}: {error!r}"
        else:
            assert got == expect, f"{words}: gave {got}"
        return 1

    def operation(self, op: str, args: list[str], expect: str) -> object:
        s = self.state
        if op in ("get", "set"):
            name = args[0]
            is_float = spec.CORE_FIELDS[name].type == "f32"
            if op == "set":
                number = int(args[1])
                if is_float and expect == "RANGE":
                    raise InvalidValue("every float has its bits")
                setattr(s, name, struct.unpack("<f", struct.pack("<I", number))[0] if is_float else number)
            return float_bits(getattr(s, name)) if is_float else int(getattr(s, name))
        if op in ("add", "subtract"):
            return getattr(s, op)(args[0], int(args[1]))
        if op == "register":
            return s.register_agent(from_hex(args[0]), int(args[1]), from_hex(args[2]))
        if op == "deregister":
            return s.deregister_agent(from_hex(args[0])) or 0
        if op == "heartbeat":
            return s.heartbeat(from_hex(args[0])) or 0
        if op == "heartbeat_handle":
            return s.heartbeat(int(args[0])) or 0
        if op == "evict":
            return s.evict_stale(int(args[0]) / 1000)
        if op == "event":
            return 0 if s.emit(int(args[0]), int(args[1])) else "FULL"
        if op == "pop":
            event = self.events.get(0)
            return "none" if event is None else f"{event.kind}:{event.arg}:{event.time_ms % 2**32}"
        if op == "digest":
            return self.digest()
        return self.area_operation(op, args)

    def area_operation(self, op: str, args: list[str]) -> object:
        s = self.state
        numbers = [int(word) for word in args if word.lstrip("-").isdecimal()]
        if op == "get_hash":
            return getattr(s, f"{args[0]}_hash")
        if op == "set_hash":
            setattr(s, f"{args[0]}_hash", int(args[1]))
            return getattr(s, f"{args[0]}_hash")
        if op == "try_lock":
            return 0 if s.try_lock(*numbers) else "LOCKED"
        if op == "unlock":
            return s.unlock(*numbers) or 0
        if op == "take_over":
            return s.take_over(*numbers) or 0
        if op == "owner":
            return s.lock_owner(*numbers)
        if op == "get_window":
            return s.get_fcl_window(*numbers)
        if op == "set_window":
            return s.set_fcl_window(*numbers) or 0
        if op == "default_window":
            return s.set_fcl_window(None, *numbers) or 0
        if op == "remove_window":
            return int(s.remove_fcl_window(*numbers))
        if op == "init_stats":
            return s.init_area_stats(from_hex(args[0])) or 0
        assert op == "stat", op
        return self.stat(args[0], from_hex(args[1]), list(COUNTS)[("neuron", "incomi", "outgoi").index(args[2][:6])], int(args[3]))

    def stat(self, op: str, area_id: bytes, count: str, amount: int) -> object:
        s = self.state
        try:
            if op == "set":
                s.set_area_stats(area_id, **{count: amount})
            elif op != "get":
                s.change_area_stats(area_id, **{count: amount if op == "add" else -amount})
            values = s.get_area_stats(area_id)
        except AreaNotFound:
            return "NOT_FOUND"
        return (values.neuron_count, values.incoming_synapse_count, values.outgoing_synapse_count)[COUNTS.index(count)]


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(number, words) of each line that is no comment."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            yield number, line.split()


def scenarios(folder: Path) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """(name, lines) of each region, the line that starts it first."""
    lines: list[tuple[int, list[str]]] = []
    for number, words in lines_of(folder / "regions.txt"):
        if words[0] == "region" and lines:
            yield f"line {lines[0][0]}: {' '.join(lines[0][1])}", lines
            lines = []
        lines.append((number, words))
    yield f"line {lines[0][0]}: {' '.join(lines[0][1])}", lines


def steps(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """(line, what runs it and returns how many checks it made) of all lines, in their order."""
    for number, (kind, *words) in lines_of(folder / "frames.txt"):
        for check in FRAME_CHECKS[kind]:
            yield f"frames.txt {number}", lambda check=check, words=words: check(*words) or 1
    for _name, ((_number, first), *rest) in scenarios(folder):
        scenario = Scenario(first[1], int(first[2]))
        for number, words in rest:
            yield f"regions.txt {number}", lambda scenario=scenario, words=words: scenario.line(words)


def main(folder: str) -> None:
    checks = failed = 0
    for line, step in steps(Path(folder)):
        try:
            checks += step()
        except Exception as error:  # whatever it is, the line is not as it should be
            checks += 1
            failed += 1
            print(line, "failed:", str(error)[:200] or repr(error))
    print(checks, "checks,", failed, "failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
