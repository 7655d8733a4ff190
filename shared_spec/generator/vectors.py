"""Golden vectors: bytes of every kind of frame, valid and invalid, and of regions after lists of operations.

Both files are lines of words, so that C, CPython and MicroPython read them alike; `#` starts a comment, `-`
stands for an empty word. The region's semantics are modelled here a second time, from feagi_spec's text and
not from the core, so that the core has something to disagree with.
"""

from __future__ import annotations

import struct
import zlib

from .codec import cbor, cobs, frame
from .model import Spec

SESSION = 0xC0FFEE01


def _hex(data: bytes) -> str:
    return data.hex() or "-"


# ------------------------------------------------------------------------------------------------- frames


def _payload(*items: int | bytes | str) -> bytes:
    return b"".join(map(cbor, items))


def frames(spec: Spec, banner: list[str]) -> str:
    out = [f"# {line}" for line in banner]
    out += ["# ok  NAME SEED WIRE KIND SEQ PAYLOAD    decodes to these and encodes to WIRE", "# bad NAME SEED WIRE                     is refused"]
    kinds = {name: f["kind"] for name, f in spec.frames.items()}

    def ok(label: str, name: str, seq: int, *items: int | bytes | str) -> None:
        seed = 0 if name in ("hello", "hello_ack") else SESSION
        payload = _payload(*items)
        wire = frame(kinds[name], seq, payload, seed)
        out.append(f"ok {label} {seed:08x} {wire.hex()} {kinds[name]:02x} {seq} {_hex(payload)}")

    def bad(label: str, wire: bytes, seed: int = SESSION) -> None:
        out.append(f"bad {label} {seed:08x} {_hex(wire)}")

    def shape(label: str, name: str, payload: bytes) -> None:
        """Framing and checksum right, payload wrong."""
        bad(label, frame(kinds[name], 1, payload, SESSION))

    boot = 0x1234ABCD
    ok("hello-device", "hello", 0, spec.protocol_version, spec.schema_hash, boot, 200, 20, 128, 86_400_000, "qemu_m3")
    ok("hello-without-name", "hello", 0, 1, 0, 1, 23, 24, 255, 256)
    ok("hello-largest", "hello", 0, 255, 2**32 - 1, 2**32 - 1, 65535, 255, 65535, 2**64 - 1, "x" * 24)
    ok("hello-utf8-name", "hello", 0, 1, 2, 3, 4, 5, 6, 7, "caf\u00e9 \U0001f916")
    ok("hello-ack", "hello_ack", 0, boot)
    ok("hello-ack-with-time", "hello_ack", 0, boot, 1_700_000_000_000)
    ok("keepalive", "keepalive", 200)
    ok("delta-one-u32", "delta", 1, 4, struct.pack("<I", 0x01020304))
    ok("delta-trimmed", "delta", 2, 4, b"\x07")
    ok("delta-zero", "delta", 3, 5, b"\0")
    ok("delta-page", "delta", 255, 0, bytes(range(48)))
    ok("delta-header", "delta", 0, -32, b"FGST" + bytes(123) + b"\1")
    ok("delta-many-runs", "delta", 9, -28, b"\1", 2, b"\2", 23, b"\3", 24, b"\4", 255, b"\5", 256, b"\6\0\7")
    ok("delta-all-zero-bytes", "delta", 0, 0, bytes(128))
    ok("delta-longest", "delta", 77, 0, b"\xff" * 128, 300, b"\xaa" * 111)
    ok("repair", "repair", 12, 10, 4, b"\1\2\3\4")
    ok("event", "event", 1, 1, 3, 123456)
    ok("event-user-lost", "event", 255, 65535, 2**32 - 1, 2**32 - 1, 65535)
    ok("event-ack", "event_ack", 1)
    ok("command-set", "command", 1, 1, 16, 1_000_000)
    ok("command-digest", "command", 2, 4)
    ok("command-values", "command", 3, 200, 0, 23, 24, 255, 256, 65535, 65536, 2**64 - 1)
    ok("command-negative-and-bytes", "command", 4, 200, -1, -24, -25, -(2**64), b"", b"\0" * 64)
    ok("reply-value", "reply", 1, 0, 1_000_000)
    ok("reply-error", "reply", 2, -4)
    ok("ack", "ack", 7, 4)
    ok("nak", "nak", 7, 8, 1)
    ok("ping", "ping", 0, 2**63)
    ok("ping-with-time", "ping", 0, 23, 1_700_000_000_000)
    ok("ping-with-largest-time", "ping", 0, 0, 2**64 - 1)
    ok("pong", "pong", 0, 1, 2**32, 2**64 - 1)
    ok("log", "log", 0, 20, "gr\u00fc\u00df dich")
    ok("log-empty", "log", 0, 0, "")

    good = frame(kinds["ping"], 0, _payload(5), SESSION)
    bad("empty", b"\0\0")
    bad("too-short", frame(kinds["keepalive"], 0, b"", SESSION)[:-2] + b"\0")
    bad("crc-bit", good[:-2] + bytes([good[-2] ^ 1]) + b"\0")
    bad("kind-bit", good[:2] + bytes([good[2] ^ 1]) + good[3:])
    bad("old-session", frame(kinds["ping"], 0, _payload(5), SESSION + 1))
    bad("hello-ack-extra", frame(kinds["hello_ack"], 0, _payload(boot, 1_700_000_000_000, 1), 0), 0)
    bad("hello-ack-time-negative", frame(kinds["hello_ack"], 0, _payload(boot, -1), 0), 0)
    bad("session-frame-with-hello-seed", frame(kinds["ping"], 0, _payload(5), 0))
    bad("text", b"\0>>> print(1)\r\n1\r\n>>> \0")
    bad("cobs-code-beyond-end", b"\0" + bytes([good[1] + 90]) + good[2:])
    long_body = bytes([kinds["log"], 0]) + _payload(20, "y" * 200) + bytes(50)
    long_frame = long_body + zlib.crc32(long_body, SESSION).to_bytes(4, "little")
    bad("too-long", b"\0" + cobs(long_frame) + b"\0")
    bad("cobs-code-255", b"\0\xff" + b"\1" * 254 + b"\1\0")
    bad("kind-unknown", frame(0x7F, 1, b"", SESSION))
    bad("kind-zero", frame(0, 1, b"", SESSION))
    shape("keepalive-with-payload", "keepalive", b"\1")
    shape("ping-missing", "ping", b"")
    shape("ping-extra", "ping", _payload(5, 6, 7))
    shape("ping-time-text", "ping", _payload(5, "6"))
    shape("ping-negative", "ping", _payload(-1))
    shape("ping-bytes", "ping", _payload(b"\5"))
    shape("ping-text", "ping", _payload("5"))
    shape("ping-array", "ping", b"\x81\5")
    shape("ping-tag", "ping", b"\xc1\5")
    shape("ping-float", "ping", b"\xf9\x3c\x00")
    shape("ping-true", "ping", b"\xf5")
    shape("ping-break", "ping", b"\xff")
    shape("ping-head-reserved", "ping", b"\x1c")
    shape("ping-head-cut", "ping", b"\x19\x01")
    shape("ping-not-shortest-1", "ping", b"\x18\x05")
    shape("ping-not-shortest-2", "ping", b"\x19\x00\xff")
    shape("ping-not-shortest-4", "ping", b"\x1a\x00\x00\xff\xff")
    shape("ping-not-shortest-8", "ping", b"\x1b\0\0\0\0\xff\xff\xff\xff")
    shape("ack-too-large", "ack", _payload(256))
    shape("event-kind-too-large", "event", _payload(65536, 0, 0))
    shape("event-time-too-large", "event", _payload(1, 0, 2**32))
    shape("event-too-many", "event", _payload(1, 0, 0, 1, 1))
    shape("delta-empty", "delta", b"")
    shape("delta-half", "delta", _payload(4))
    shape("delta-odd", "delta", _payload(4, b"\1", 5))
    shape("delta-swapped", "delta", _payload(b"\1", 4))
    shape("delta-no-bytes", "delta", _payload(4, b""))
    shape("delta-too-long", "delta", _payload(4, bytes(129)))
    shape("delta-bytes-cut", "delta", _payload(4) + b"\x44\1\2\3")
    shape("delta-indefinite", "delta", _payload(4) + b"\x5f\x41\1\xff")
    shape("delta-length-not-shortest", "delta", _payload(4) + b"\x58\1\1")
    shape("delta-length-of-2-to-the-64", "delta", _payload(4) + b"\x5b" + b"\xff" * 8)
    shape("repair-without-words", "repair", _payload(3))
    shape("command-empty", "command", b"")
    shape("command-nine-values", "command", _payload(1, *range(9)))
    shape("command-text-value", "command", _payload(1, "a"))
    shape("command-bytes-too-long", "command", _payload(1, bytes(65)))
    shape("reply-status-bytes", "reply", _payload(b""))
    shape("log-too-long", "log", _payload(1, "z" * 201))
    shape("log-not-utf8", "log", _payload(1) + b"\x62\xc3\x28")
    shape("log-utf8-overlong", "log", _payload(1) + b"\x62\xc0\x80")
    shape("log-utf8-surrogate", "log", _payload(1) + b"\x63\xed\xa0\x80")
    shape("log-utf8-beyond-unicode", "log", _payload(1) + b"\x64\xf4\x90\x80\x80")
    shape("log-utf8-cut", "log", _payload(1) + b"\x61\xc3")
    return "\n".join([*out, ""])


# ------------------------------------------------------------------------------------------------ regions


class Model:
    """A region and its operations, as slow and plain as can be."""

    def __init__(self, spec: Spec, profile: str, boot_id: int) -> None:
        self.spec = spec
        self.sections = {s.name: s for s in spec.sections(profile)}
        self.pages = spec.pages(profile)
        self.data = bytearray(spec.region_len(profile))
        self.now = 0
        self.used = dict.fromkeys(("cortical_locks", "fcl_windows", "area_stats"), 0)  # slots; none is ever given back
        self.core_at = self.sections["core"].offset
        self.slot_state: dict[str, int] = spec.enums["AgentSlotState"]["values"]
        h = {
            "magic": spec.magic["region"],
            "layout_version": spec.layout_version,
            "profile": spec.profiles[profile]["id"],
            "section_count": max(s.number for s in self.sections.values()) + 1,
            "schema_hash": spec.schema_hash,
            "region_len": len(self.data),
            "boot_id": boot_id,
        }
        for name, value in h.items():
            self._put("header", 0, name, value)
        for s in self.sections.values():
            at = self._field("header", "sections").offset + 8 * s.number
            struct.pack_into("<IHH", self.data, at, s.offset, s.capacity, s.entry_len)
        self._put("windows", self.sections["fcl_windows"].offset, "default_window", spec.limits["fcl_window_default"])

    def _field(self, struct_name: str, name: str):  # type: ignore[no-untyped-def]
        return next(f for f in self.spec.structs[struct_name].fields if f.name == name)

    def _put(self, struct_name: str, base: int, name: str, value: int) -> None:
        f = self._field(struct_name, name)
        at = base + f.offset
        self.data[at : at + f.size] = value.to_bytes(f.size, "little")

    def _get(self, struct_name: str, base: int, name: str) -> int:
        f = self._field(struct_name, name)
        at = base + f.offset
        return int.from_bytes(self.data[at : at + f.size], "little")

    def get(self, name: str) -> int:
        return self._get("core", self.core_at, name)

    def write(self, name: str, value: int) -> None:
        self._put("core", self.core_at, name, value)
        self._put("core", self.core_at, "version", self.get("version") + 1)
        self._put("core", self.core_at, "last_modified", self.now)

    def set(self, name: str, value: int) -> int | str:
        f = self._field("core", name)
        if f.access != "rw":
            return "READ_ONLY"
        limit = self.spec.maximum(f)
        if f.clamp:
            value = min(value, f.clamp) if 0 <= value < 2**64 else -1
        if not 0 <= value <= limit:
            return "RANGE"
        changed = value != self.get(name)
        self.write(name, value)
        if f.event and changed:
            self.event(self.spec.enums["EventKind"]["values"][f.event], value)
        return value

    def add(self, name: str, amount: int) -> int | str:
        return self._arith(name, amount, 1)

    def subtract(self, name: str, amount: int) -> int | str:
        return self._arith(name, amount, -1)

    def _arith(self, name: str, amount: int, sign: int) -> int | str:
        f = self._field("core", name)
        if f.access != "rw":
            return "READ_ONLY"
        if f.type not in ("u32", "u64"):
            return "OPERATION"
        if not 0 <= amount <= self.spec.maximum(f):
            return "RANGE"
        value = max(0, min(self.spec.maximum(f), self.get(name) + sign * amount))
        self.write(name, value)
        return value

    def _limit(self, section: str) -> int:
        """Entries that a table takes: a large one is at most half full."""
        slots = self.sections[section].capacity
        return slots // 2 if slots > self.spec.limits["small_table_slots"] else slots

    # Agents: open addressing from the id's hash; an unused slot ends the search.
    def _slots(self, id_hash: int) -> list[int]:
        s = self.sections["agents"]
        return [s.offset + (id_hash + i) % s.capacity * s.entry_len for i in range(s.capacity)]

    def _find(self, agent_id: bytes) -> tuple[int | None, int | None]:
        """(slot of the id, first slot that a registration may use)."""
        free = None
        for at in self._slots(text_hash(agent_id)):
            state = self._get("agent", at, "state")
            if state != self.slot_state["REGISTERED"] and free is None:
                free = at
            if state == self.slot_state["UNUSED"]:
                break
            id_at = at + self._field("agent", "id").offset
            if state == self.slot_state["REGISTERED"] and self.data[id_at : id_at + self._get("agent", at, "id_len")] == agent_id:
                return at, free
        return None, free

    def _handle(self, at: int) -> int:
        s = self.sections["agents"]
        return self._get("agent", at, "generation") << 16 | (at - s.offset) // s.entry_len

    def register(self, agent_id: bytes, agent_type: int, metadata: bytes) -> int | str:
        s = self.sections["agents"]
        if not 1 <= len(agent_id) <= self.spec.limits["agent_id_len_bytes"]:
            return "LENGTH"
        if len(metadata) > s.entry_len - self.spec.structs["agent"].size:
            return "LENGTH"
        try:
            agent_id.decode(), metadata.decode()
        except UnicodeDecodeError:
            return "ENCODING"
        if agent_type > max(self.spec.enums["AgentType"]["values"].values()):
            return "RANGE"
        found, at = self._find(agent_id)
        if found is not None:
            return "EXISTS"
        if at is None or self.get("agent_count") == self._limit("agents"):
            return "FULL"
        generation = self._get("agent", at, "generation") % 65535 + 1
        sequence = self._get("agent", at, "sequence")
        self.data[at : at + s.entry_len] = bytes(s.entry_len)
        values = {
            "state": self.slot_state["REGISTERED"], "agent_type": agent_type, "id_len": len(agent_id), "metadata_len": len(metadata), "generation": generation,
            "registered_at": self.now, "last_seen": self.now, "sequence": sequence + 2, "id_hash": text_hash(agent_id),
        }  # fmt: skip
        for name, value in values.items():
            self._put("agent", at, name, value)
        id_at = at + self._field("agent", "id").offset
        self.data[id_at : id_at + len(agent_id)] = agent_id
        text_at = at + self.spec.structs["agent"].size
        self.data[text_at : text_at + len(metadata)] = metadata
        self.write("agent_count", self.get("agent_count") + 1)
        self.event(self.spec.enums["EventKind"]["values"]["AGENT_REGISTERED"], self._handle(at))
        return self._handle(at)

    def _remove(self, at: int) -> None:
        self._put("agent", at, "state", self.slot_state["DEREGISTERED"])
        self._put("agent", at, "sequence", self._get("agent", at, "sequence") + 2)
        self.write("agent_count", self.get("agent_count") - 1)
        self.event(self.spec.enums["EventKind"]["values"]["AGENT_DEREGISTERED"], self._handle(at))
        s = self.sections["agents"]
        if self._limit("agents") < s.capacity:
            # Deregistered slots in front of an unused one are of no use to a search.
            slot = (at - s.offset) // s.entry_len
            while self._get("agent", s.offset + (slot + 1) % s.capacity * s.entry_len, "state") == self.slot_state["UNUSED"]:
                at = s.offset + slot * s.entry_len
                if self._get("agent", at, "state") != self.slot_state["DEREGISTERED"]:
                    break
                self._put("agent", at, "state", self.slot_state["UNUSED"])
                slot = (slot - 1) % s.capacity

    def deregister(self, agent_id: bytes) -> int | str:
        at, _ = self._find(agent_id)
        if at is None:
            return "NOT_FOUND"
        self._remove(at)
        return 0

    def heartbeat(self, agent_id: bytes) -> int | str:
        at, _ = self._find(agent_id)
        if at is None:
            return "NOT_FOUND"
        self._put("agent", at, "last_seen", self.now)
        return 0

    def heartbeat_handle(self, handle: int) -> int | str:
        s = self.sections["agents"]
        at = s.offset + handle % 65536 * s.entry_len
        if handle % 65536 >= s.capacity or self._get("agent", at, "state") != self.slot_state["REGISTERED"] or self._handle(at) != handle:
            return "NOT_FOUND"
        self._put("agent", at, "last_seen", self.now)
        return 0

    def evict(self, older_than_ms: int) -> int:
        s = self.sections["agents"]
        evicted = 0
        for at in range(s.offset, s.offset + s.capacity * s.entry_len, s.entry_len):
            if self._get("agent", at, "state") == self.slot_state["REGISTERED"] and self.now - self._get("agent", at, "last_seen") > older_than_ms:
                self._remove(at)
                evicted += 1
        return evicted

    def get_hash(self, name: str) -> int:
        return self._get("hashes", self.sections["hashes"].offset, name)

    def set_hash(self, name: str, value: int) -> int:
        self._put("hashes", self.sections["hashes"].offset, name, value)
        return value

    # Tables by area: a slot belongs to the area that took it, for good.
    def _area(self, section: str, entry: str, area: int, claim: bool) -> int | None:
        s = self.sections[section]
        for i in range(s.capacity):
            at = s.offset + s.head_len + (area * 0x9E3779B9 % 2**32 + i) % s.capacity * s.entry_len
            if not self._get(entry, at, "used"):
                if claim:
                    if self.used[section] == self._limit(section):
                        return None
                    self.used[section] += 1
                    self._put(entry, at, "area", area)
                    self._put(entry, at, "used", 1)
                    return at
                return None
            if self._get(entry, at, "area") == area:
                return at
        return None

    def try_lock(self, area: int, owner: int) -> int | str:
        if owner == 0:
            return "RANGE"
        at = self._area("cortical_locks", "lock", area, True)
        if at is None:
            return "FULL"
        if self._get("lock", at, "owner"):
            return "LOCKED"
        self._put("lock", at, "owner", owner)
        return 0

    def unlock(self, area: int, owner: int) -> int | str:
        return self.take_over(area, owner, 0)

    def take_over(self, area: int, old: int, new: int) -> int | str:
        at = self._area("cortical_locks", "lock", area, False)
        if at is None or old == 0 or self._get("lock", at, "owner") != old:
            return "NOT_OWNER"
        self._put("lock", at, "owner", new)
        return 0

    def owner(self, area: int) -> int:
        at = self._area("cortical_locks", "lock", area, False)
        return 0 if at is None else self._get("lock", at, "owner")

    def get_window(self, area: int) -> int:
        at = self._area("fcl_windows", "window", area, False)
        if at is None or not self._get("window", at, "present"):
            return self._get("windows", self.sections["fcl_windows"].offset, "default_window")
        return self._get("window", at, "window")

    def set_window(self, area: int, window: int) -> int | str:
        at = self._area("fcl_windows", "window", area, True)
        if at is None:
            return "FULL"
        self._put("window", at, "window", window)
        self._put("window", at, "present", 1)
        return 0

    def remove_window(self, area: int) -> int:
        at = self._area("fcl_windows", "window", area, False)
        if at is None or not self._get("window", at, "present"):
            return 0
        self._put("window", at, "window", 0)
        self._put("window", at, "present", 0)
        return 1

    def default_window(self, window: int) -> int:
        self._put("windows", self.sections["fcl_windows"].offset, "default_window", window)
        return 0

    def _stat(self, area_id: bytes) -> tuple[int | None, bool]:
        """(slot of the id or where it would go, whether it is there)."""
        s = self.sections["area_stats"]
        id_at = self._field("stat", "id").offset
        first = text_hash(area_id)
        for i in range(s.capacity):
            at = s.offset + (first + i) % s.capacity * s.entry_len
            if not self._get("stat", at, "state"):
                return at, False
            if self.data[at + id_at : at + id_at + self._get("stat", at, "id_len")] == area_id:
                return at, True
        return None, False

    def init_stats(self, area_id: bytes) -> int | str:
        if not 1 <= len(area_id) <= self.spec.limits["area_id_len_bytes"]:
            return "LENGTH"
        try:
            area_id.decode()
        except UnicodeDecodeError:
            return "ENCODING"
        at, there = self._stat(area_id)
        s = self.sections["area_stats"]
        if at is None or (not there and self.used["area_stats"] == self._limit("area_stats")):
            return "FULL"
        self.used["area_stats"] += not there
        self.data[at : at + s.entry_len] = bytes(s.entry_len)
        self._put("stat", at, "state", 1)
        self._put("stat", at, "id_len", len(area_id))
        id_at = at + self._field("stat", "id").offset
        self.data[id_at : id_at + len(area_id)] = area_id
        return 0

    def stat(self, op: str, area_id: bytes, count: str, amount: int) -> int | str:
        at, there = self._stat(area_id)
        if at is None or not there:
            return "NOT_FOUND"
        value = self._get("stat", at, count)
        value = {"set": amount, "get": value, "add": min(value + amount, 2**32 - 1), "subtract": max(value - amount, 0)}[op]
        self._put("stat", at, count, value)
        return value

    def event(self, kind: int, arg: int) -> int | str:
        s = self.sections["events"]
        head, tail = self._get("ring", s.offset, "head"), self._get("ring", s.offset, "tail")
        if (head - tail) % 2**32 == s.capacity:
            self._put("ring", s.offset, "rejected", self._get("ring", s.offset, "rejected") + 1)
            return "FULL"
        at = s.offset + s.head_len + head % s.capacity * s.entry_len
        struct.pack_into("<IHHII", self.data, at, head + 1, kind, 0, arg, self.now % 2**32)
        self._put("ring", s.offset, "head", head + 1)
        return 0

    def pop(self) -> int | str:
        s = self.sections["events"]
        head, tail = self._get("ring", s.offset, "head"), self._get("ring", s.offset, "tail")
        if head == tail:
            return "none"
        at = s.offset + s.head_len + tail % s.capacity * s.entry_len
        _, kind, _, arg, time_ms = struct.unpack_from("<IHHII", self.data, at)
        self._put("ring", s.offset, "tail", tail + 1)
        return f"{kind}:{arg}:{time_ms}"

    def digest(self) -> int:
        crc = 0
        for at, length in self.pages:
            crc = zlib.crc32(self.data[at : at + length], crc)
        return crc


def text_hash(data: bytes) -> int:
    h = 0x811C9DC5
    for (word,) in struct.iter_unpack("<I", data + bytes(-len(data) % 4)):
        h = (h ^ word) * 0x9E3779B1 % 2**32
        h ^= h >> 15
    return h


def regions(spec: Spec, banner: list[str]) -> str:
    out = [f"# {line}" for line in banner]
    out += [
        "# region PROFILE BOOT_ID starts a region; time MS sets its clock; other lines are OPERATION ARGUMENTS = RESULT, where the",
        "# result is a number, an error's name, or none; texts are hex. digest is the CRC-32 of all pages. bytes OFFSET HEX and",
        "# rest (all bytes not named by bytes are zero) end a region; one with more than fits here ends with its digest.",
        "# repeat FIRST COUNT OPERATION ARGUMENTS = RESULT does it for COUNT numbers from FIRST on: @ stands for the number, ~ for its",
        "# decimal digits as a text.",
    ]

    def start(profile: str, boot_id: int) -> Model:
        out.append(f"region {profile} {boot_id}")
        return Model(spec, profile, boot_id)

    def do(m: Model, op: str, *args: int | str | bytes) -> int:
        if op == "time":
            m.now = int(args[0])  # type: ignore[arg-type]
            out.append(f"time {m.now}")
            return 0
        result = getattr(m, op)(*args)
        words = [_hex(a) if isinstance(a, bytes) else str(a) for a in args]
        out.append(" ".join([op, *words, "=", str(result)]))
        return result if isinstance(result, int) else -1

    def repeat(m: Model, first: int, count: int, op: str, *args: int | str) -> None:
        results = {getattr(m, op)(*({"@": n, "~": str(n).encode()}.get(str(a), a) for a in args)) for n in range(first, first + count)}
        (result,) = results  # the same for all
        out.append(" ".join(["repeat", str(first), str(count), op, *map(str, args), "=", str(result)]))

    def end(m: Model, whole: bool = True) -> None:
        do(m, "digest")
        if not whole:
            return
        for at in range(0, len(m.data), 32):
            chunk = bytes(m.data[at : at + 32])
            if any(chunk):
                out.append(f"bytes {at} {chunk.hex()}")
        out.append("rest")

    for name in spec.profiles:
        end(start(name, 0x1234ABCD))

    m = start("micro", 1)
    do(m, "time", 1000)
    for f in spec.core_fields:
        # A number that every float library keeps: what becomes of a NaN's bits is its own affair.
        top = 0x42F6E979 if f.type == "f32" else spec.maximum(f)
        do(m, "set", f.name, top)
        do(m, "get", f.name)
        if f.clamp:
            do(m, "set", f.name, top + 1)
            do(m, "set", f.name, 255)
        if f.type != "u64":
            do(m, "set", f.name, 256**f.size)
        if f.size == 1 and not f.clamp and top < 255:
            do(m, "set", f.name, top + 1)
        do(m, "time", m.now + 7)
    for name in ("neuron_count", "genome_timestamp"):
        for op, amount in (("add", 1), ("subtract", 5), ("add", 3), ("set", 9), ("subtract", 10), ("subtract", 1), ("add", 0)):
            do(m, op, name, amount)
    for op in ("add", "subtract"):
        for name, amount in (("neuron_count", 2**32), ("agent_count", 1), ("version", 1), ("fatigue_index", 1), ("burst_frequency", 1)):
            do(m, op, name, amount)
    end(m)

    for profile in ("tiny", "micro"):
        m = start(profile, 77)
        capacity = m.sections["agents"].capacity
        spare = m.sections["agents"].entry_len - spec.structs["agent"].size
        do(m, "time", 2**33 + 5)
        do(m, "register", b"", 0, b"")
        do(m, "register", b"x" * 32, 0, b"")
        do(m, "register", b"\xff", 0, b"")
        do(m, "register", b"a", 5, b"")
        do(m, "register", b"a", 0, b"m" * (spare + 1))
        do(m, "register", "caf\u00e9".encode(), 1, b"m" * spare)
        do(m, "register", "caf\u00e9".encode(), 2, b"")
        do(m, "deregister", b"nobody")
        do(m, "heartbeat", b"nobody")
        for i in range(capacity - 1):
            do(m, "time", m.now + 1)
            do(m, "register", f"agent_{i:02d}".encode().ljust(9 + i, b"-"), i % 5, str(i).encode()[:spare])
        do(m, "register", b"one_too_many", 0, b"")
        do(m, "time", m.now + 100)
        do(m, "heartbeat", b"agent_01".ljust(10, b"-"))
        for i in range(0, capacity - 1, 2):
            do(m, "deregister", f"agent_{i:02d}".encode().ljust(9 + i, b"-"))
        do(m, "deregister", b"agent_00-")
        do(m, "register", b"agent_00-", 4, b"")
        do(m, "register", b"late", 3, b"")
        do(m, "heartbeat", b"late")
        do(m, "get", "agent_count")
        do(m, "get", "version")
        end(m)

    for profile in ("tiny", "micro"):
        m = start(profile, 21)
        do(m, "time", 10_000)
        first, second = do(m, "register", b"first", 0, b""), do(m, "register", b"second", 1, b"")
        do(m, "time", m.now + 50)
        do(m, "heartbeat_handle", second)
        do(m, "evict", 2**64 - 1)
        do(m, "evict", 50)
        do(m, "evict", 49)
        do(m, "heartbeat_handle", first)
        again = do(m, "register", b"first", 2, b"")
        do(m, "time", m.now + 5)
        for handle in (first, again, again + 1, again + 2**16, again % 2**16, 0, m.sections["agents"].capacity, 65535, 2**32 - 1):
            do(m, "heartbeat_handle", handle)
        do(m, "evict", 4)
        do(m, "evict", 4)
        do(m, "time", m.now + 1)
        do(m, "evict", 0)
        do(m, "evict", 0)
        do(m, "get", "agent_count")
        do(m, "get", "version")
        for _ in range(7):
            do(m, "pop")
        end(m)

    # A large table takes half as many agents as it has slots.
    m = start("host", 31)
    do(m, "time", 1000)
    handles = [do(m, "register", f"a{i:03d}".encode(), i % 5, b"") for i in range(255)]
    do(m, "register", b"long", 0, b"m" * 256)
    do(m, "register", b"longer", 0, b"m" * 257)
    do(m, "register", b"late", 0, b"")
    do(m, "register", b"a000", 0, b"")
    do(m, "deregister", b"a100")
    do(m, "heartbeat_handle", handles[100])
    do(m, "register", b"late", 0, b"")
    do(m, "register", b"a100", 0, b"")
    do(m, "time", 2000)
    for i in (0, 100, 101, 254):
        do(m, "heartbeat_handle", handles[i])
    do(m, "heartbeat", b"long")
    do(m, "heartbeat", b"a002")
    do(m, "evict", 999)
    do(m, "get", "agent_count")
    do(m, "register", b"a100", 0, b"")
    end(m, whole=False)

    # In a large table what no search needs is cleaned up. These ids begin their search at the last slot, the last one at the first.
    m = start("host", 32)
    last = m.sections["agents"].capacity - 1
    ids = [i for n in range(100000) if text_hash(i := b"c%d" % n) % (last + 1) == last][:3]
    ids += [i for n in range(100000) if text_hash(i := b"d%d" % n) % (last + 1) == 0][:1]
    for i in ids:
        do(m, "register", i, 0, b"")
    do(m, "deregister", ids[1])
    do(m, "deregister", ids[2])
    do(m, "heartbeat", ids[3])
    do(m, "deregister", ids[3])
    do(m, "heartbeat", ids[0])
    do(m, "register", ids[2], 1, b"")
    do(m, "deregister", ids[0])
    do(m, "time", 10)
    do(m, "heartbeat", ids[2])
    do(m, "register", ids[3], 1, b"x")
    do(m, "time", 20)
    do(m, "evict", 9)
    do(m, "register", ids[0], 3, b"")
    end(m)

    m = start("host", 33)
    half = m.sections["fcl_windows"].capacity // 2
    repeat(m, 0, half, "set_window", "@", 7)
    for area in (half, 5):
        do(m, "set_window", area, 9)
    do(m, "remove_window", 5)
    do(m, "set_window", half, 9)
    repeat(m, 1000, 5, "get_window", "@")
    repeat(m, half, 5, "get_window", "@")
    half = m.sections["cortical_locks"].capacity // 2
    repeat(m, 7, half, "try_lock", "@", 2**63 - 1)
    repeat(m, 7, half, "try_lock", "@", 1)
    for area in (0, 7 + half):
        do(m, "try_lock", area, 1)
    do(m, "unlock", 7, 2**63 - 1)
    do(m, "try_lock", 0, 1)
    do(m, "try_lock", 7, 1)
    half = m.sections["area_stats"].capacity // 2
    repeat(m, 0, half, "init_stats", "~")
    do(m, "init_stats", str(half).encode())
    do(m, "stat", "add", b"77", "neuron_count", 5)
    do(m, "init_stats", b"77")
    do(m, "stat", "get", b"77", "neuron_count", 0)
    do(m, "stat", "get", str(half).encode(), "neuron_count", 0)
    end(m, whole=False)

    for profile in ("tiny", "micro"):
        m = start(profile, 5)
        hashes = [f.name for f in spec.structs["hashes"].fields if f.name != "reserved"]
        for i, name in enumerate(hashes):
            do(m, "set_hash", name, 2**64 - 1 - i)
            do(m, "get_hash", name)
        capacity = m.sections["cortical_locks"].capacity
        areas = [0, 1, 2**32 - 1, 7, 7 + capacity, *range(100, 100 + capacity)]
        do(m, "unlock", 7, 1)
        do(m, "try_lock", 7, 0)
        for area in areas:
            do(m, "try_lock", area, area + 1)
        do(m, "try_lock", 7, 9)
        do(m, "try_lock", 7, 8)
        do(m, "unlock", 7, 9)
        do(m, "unlock", 7, 8)
        do(m, "unlock", 7, 8)
        do(m, "try_lock", 7, 2**63 - 1)
        do(m, "take_over", 7, 8, 9)
        do(m, "take_over", 7, 2**63 - 1, 9)
        do(m, "take_over", 12345, 1, 2)
        for area in (7, 0, 12345):
            do(m, "owner", area)
        for area in areas:
            do(m, "get_window", area)
            do(m, "set_window", area, area)
        do(m, "default_window", 33)
        do(m, "remove_window", 1)
        do(m, "remove_window", 1)
        do(m, "remove_window", 999)
        do(m, "set_window", 0, 2**32 - 1)
        for area in (0, 1, 7, 999):
            do(m, "get_window", area)
        do(m, "init_stats", b"")
        do(m, "init_stats", b"a" * 17)
        do(m, "init_stats", b"\xff")
        do(m, "stat", "get", b"nothing", "neuron_count", 0)
        for i in range(m.sections["area_stats"].capacity + 1):
            do(m, "init_stats", f"area_{i}".encode())
        counts = ("neuron_count", "incoming_synapse_count", "outgoing_synapse_count")
        for i, count in enumerate(counts):
            do(m, "stat", "set", b"area_1", count, 10 * i)
            do(m, "stat", "add", b"area_1", count, 5)
            do(m, "stat", "subtract", b"area_1", count, 3 + i)
            do(m, "stat", "add", b"area_2", count, 2**32 - 1)
            do(m, "stat", "add", b"area_2", count, 1)
            do(m, "stat", "subtract", b"area_3", count, 1)
            do(m, "stat", "get", b"area_1", count, 0)
        do(m, "init_stats", b"area_2")
        do(m, "stat", "get", b"area_2", "neuron_count", 0)
        end(m)

    m = start("tiny", 9)
    do(m, "pop")
    do(m, "set", "burst_engine_state", 3)
    do(m, "set", "burst_engine_state", 3)
    do(m, "set", "genome_state", 2)
    do(m, "set", "connectome_state", 3)
    do(m, "register", b"cam", 0, b"")
    do(m, "deregister", b"cam")
    for _ in range(5):
        do(m, "pop")
    for i in range(34):
        do(m, "time", m.now + i)
        do(m, "event", 256 + i, 0xFFFFFFFF - i)
    do(m, "set", "burst_engine_state", 4)
    do(m, "get", "burst_engine_state")
    for _ in range(33):
        do(m, "pop")
    for i in range(3):
        do(m, "event", 65535, i)
    end(m)
    return "\n".join([*out, ""])
