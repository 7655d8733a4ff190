"""Both sides of a link in one process and in virtual time: the C device role as a library, the Python host role, and between
them a line that does to bytes what a seed says.

What is true whatever the line does is checked all the time: see Watcher, WatchedMirror and Simulation.step. What is wrong raises
Violation, which says what it is in one word of `COUNTED`.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import CORE, ROOT, compile_core
from faulty_line import Faults, Line
from feagi_state import spec
from feagi_state._core import Mirror
from feagi_state.session import Hello, HostSession, Observer
from feagi_state.spec import LinkState
from generator.model import Spec

STEP_MS = 5
PROFILE = "tiny"
UNIX_MS = 1_700_000_000_000  # when a simulation begins
PAGES = Spec(ROOT / "shared_spec").pages(PROFILE)
SECTIONS_AT = {s.name: s.offset for s in Spec(ROOT / "shared_spec").sections(PROFILE)}
HASHES_AT = SECTIONS_AT["hashes"]
CLOCK_PAGE = [at for at, _ in PAGES].index(spec.HEADER_LEN_BYTES + spec.CORE_FIELDS["version"].offset)  # version, last_modified
FIELDS = list(spec.CORE_FIELDS)
AREAS = 16  # more than the profile has room for
RW_U32 = [i for i, f in enumerate(spec.CORE_FIELDS.values()) if f.type == "u32" and f.writable]
FRAMES_A_STEP = 8  # that a device makes at most
LINE_ROOM_BYTES = FRAMES_A_STEP * (spec.FRAME_LEN_BYTES + 3)  # on their way: a UART's buffer takes no more
TRAILER = {name: f.offset for name, f in spec.MIRROR_FIELDS.items()}
# Without a runtime, since it is loaded into Python: what is undefined ends the process.
TRAPS = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]


class Violation(AssertionError):
    """What may never happen has happened. `what` is a word of COUNTED."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(f"{what}: {text}")
        self.what = what


COUNTED = ("torn", "stale_after_new", "wrong_accepted", "event", "command", "trailer", "not_equal", "slow")


def compile_device(folder: Path, *flags: str, core: Path = CORE) -> Path:
    """tests/core/device.c and the core as a library in `folder`. Raises CannotRun."""
    return compile_core(ROOT / "tests" / "core" / "device.c", folder, "-shared", "-fPIC", "-O2", *flags, core=core)


def load_device(path: Path) -> ctypes.CDLL:
    """The library, with the types of its functions."""
    library = ctypes.CDLL(str(path))
    device, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("device_new", device, (ctypes.c_uint, ctypes.c_uint32)),
        ("device_free", None, (device,)),
        ("device_base", ctypes.c_void_p, (device,)),
        ("device_len", ctypes.c_uint32, (device,)),
        ("device_session", ctypes.c_uint32, (device,)),
        ("device_is_up", ctypes.c_bool, (device,)),
        ("device_rejected", ctypes.c_uint32, (device,)),
        ("device_head", ctypes.c_uint32, (device,)),
        ("device_tail", ctypes.c_uint32, (device,)),
        ("device_events_rejected", ctypes.c_uint32, (device,)),
        ("device_event", ctypes.c_uint64, (device, ctypes.c_uint32)),
        ("device_keep_clock", None, (device,)),
        ("device_take_text", None, (device,)),
        ("device_tick", None, (device, ctypes.c_uint64)),
        ("device_receive", None, (device, text, ctypes.c_size_t)),
        ("device_output", ctypes.c_size_t, (device, ctypes.c_uint, ctypes.c_size_t, text)),
        ("frame_again", ctypes.c_int, (text, ctypes.c_size_t, ctypes.c_uint32, text)),
        ("device_do", ctypes.c_longlong, (device, text, text, text, text)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class PageOrder:
    """What a mirror has shown of one device: each page one that the device had, and never an older one than before."""

    def __init__(self, history: list[list[bytes]]) -> None:
        """`history`: every version of every page, to which versions may be added."""
        self._history = history
        self._seen = [0] * len(history)

    def look(self, page: int, shown: bytes) -> None:
        """The mirror shows this page now. Raises Violation."""
        versions = self._history[page]
        try:
            self._seen[page] = versions.index(shown, self._seen[page])
        except ValueError:
            what = "stale_after_new" if shown in versions else "torn"
            raise Violation(what, f"page {page} as the device never had it, or not since it was seen last") from None


class Device:
    """The C device role, from one start to its end."""

    def __init__(self, library: ctypes.CDLL, boot_id: int) -> None:
        self._library = library
        self._device = library.device_new(spec.PROFILES[PROFILE].id, boot_id)
        assert self._device
        self._base, self._len_bytes = library.device_base(self._device), library.device_len(self._device)
        self._out = ctypes.create_string_buffer(LINE_ROOM_BYTES)
        self.events: list[tuple[int, int]] = []  # (kind, arg) of all that found a place, by position
        self.sessions: dict[int, int] = {}  # id -> position of the event that it begins with
        self.lost_counted = 0  # events that hosts were told of as lost
        self.history: list[list[bytes]] = [[] for _ in PAGES]  # every version of every page
        self._seen = b""
        self.look()

    @property
    def session(self) -> int:
        """Id of the session that it offers or is in."""
        return int(self._library.device_session(self._device))

    @property
    def is_up(self) -> bool:
        """Whether it is in a session."""
        return bool(self._library.device_is_up(self._device))

    @property
    def rejected(self) -> int:
        """Segments that it took for no frame of its session."""
        return int(self._library.device_rejected(self._device))

    @property
    def oldest_event(self) -> int:
        """Position of the oldest event that was not acknowledged."""
        return int(self._library.device_tail(self._device))

    @property
    def events_rejected(self) -> int:
        """Events that found the ring full."""
        return int(self._library.device_events_rejected(self._device))

    def region(self) -> bytes:
        """A copy."""
        return ctypes.string_at(self._base, self._len_bytes)

    def field(self, name: str) -> int:
        """A field of the core block."""
        at = spec.HEADER_LEN_BYTES + spec.CORE_FIELDS[name].offset
        return int.from_bytes(self.region()[at : at + spec.CORE_FIELDS[name].size], "little")

    def keep_clock(self) -> None:
        """As a program that keeps the region's clock itself."""
        self._library.device_keep_clock(self._device)

    def take_text(self) -> None:
        """As one whose line a prompt reads too."""
        self._library.device_take_text(self._device)

    def tick(self, ms: int) -> None:
        """Tells it the time since its start."""
        self._library.device_tick(self._device, ms)

    def receive(self, data: bytes) -> None:
        """What the line brings."""
        self._library.device_receive(self._device, data, len(data))
        if self.is_up and self.session not in self.sessions:
            self.sessions[self.session] = self.oldest_event
        self.look()

    def output(self, room_bytes: int = LINE_ROOM_BYTES) -> bytes:
        """What it sends, if the line takes so much."""
        len_bytes = self._library.device_output(self._device, FRAMES_A_STEP, room_bytes, self._out)
        return self._out[:len_bytes]

    def do(self, *words: object) -> int:
        """Something that its application does: see device.c."""
        command, first, second, third = (str(word).encode() for word in (*words, "", "", "")[:4])
        answer = int(self._library.device_do(self._device, command, first, second, third))
        self.look()
        return answer

    def look(self) -> None:
        """Adds what is new to the histories. Every call that may change the region ends with it."""
        for position in range(len(self.events), self._library.device_head(self._device)):
            event = self._library.device_event(self._device, position)
            self.events.append((event >> 32, event & 0xFFFFFFFF))
        region = self.region()[: SECTIONS_AT["events"]]
        if region == self._seen:
            return
        self._seen = region
        for (at, len_bytes), versions in zip(PAGES, self.history):
            page = region[at : at + len_bytes]
            if not versions or versions[-1] != page:
                versions.append(page)

    def changed(self) -> set[int]:
        """Pages that had more than one version."""
        return {page for page, versions in enumerate(self.history) if len(versions) > 1}

    def close(self) -> None:
        """Its end: all that it had is gone."""
        self._library.device_free(self._device)


class WatchedMirror:
    """A mirror that looks at its trailer whenever it is written: what says LIVE is of the present session and fresh."""

    def __init__(self, mirror: Mirror, simulation: Simulation) -> None:
        self._mirror = mirror
        self._simulation = simulation
        for name in ("publish", "publish_page", "push_event", "read_page", "trailer_u32", "trailer_u64"):  # the busy ones
            setattr(self, name, getattr(mirror, name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mirror, name)

    def set_trailer_u32(self, offset: int, value: int) -> None:
        self._mirror.set_trailer_u32(offset, value)
        self._look()

    def set_trailer_u64(self, offset: int, *values: int) -> None:
        self._mirror.set_trailer_u64(offset, *values)
        self._look()

    def _look(self) -> None:
        if self._mirror.trailer_u32(TRAILER["link_state"]) != LinkState.LIVE:
            return
        now_ms, heard_ms = self._simulation.now_ms, self._mirror.trailer_u64(TRAILER["heard_ms"])
        if now_ms - heard_ms > spec.STALE_AFTER_MS + 1:  # whole milliseconds, of a float
            raise Violation("trailer", f"LIVE at {now_ms} ms, heard at {heard_ms} ms")
        if self._mirror.trailer_u32(TRAILER["session"]) != self._simulation.session.session:
            raise Violation("trailer", "LIVE, and not of the present session")


class Watcher(Observer):
    """Checks at every publication that the page is one that the device had, and not an older one than before; and of every event
    that it is the next one.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.mirror: WatchedMirror | None = None
        self.memory = bytearray()  # of the mirror
        self.device: Device | None = None  # that the present session is with
        self.order = PageOrder([])
        self.checked = 0  # pages
        self.events: list[tuple[int, int]] = []
        self.event_times: list[int] = []
        self.texts = bytearray()
        self.logs: list[tuple[int, str]] = []
        self._event_at = 0  # position of the next event

    def open_mirror(self, header: bytes, hello: Hello) -> Any:
        if self.mirror is None:
            if self.memory:  # of a host that was killed
                mirror = Mirror(self.memory)
                mirror.set_trailer_u32(TRAILER["link_state"], LinkState.CONNECTING)  # as mirror_files.py does
                mirror.take_over()
                # The session goes on counting where the last owner was.
                self.simulation.frames_before += mirror.trailer_u64(TRAILER["frames"])
                self.simulation.lost_before += mirror.trailer_u64(TRAILER["events_lost"])
            else:
                self.memory = bytearray(spec.MIRROR_LEN_BYTES + 4 * 256 + 2 * hello_region_len(header))
                mirror = Mirror(self.memory, header)
            self.mirror = WatchedMirror(mirror, self.simulation)
        return self.mirror

    def session_started(self, hello: Hello) -> None:
        device = self.simulation.device_of_session.get(hello.boot)
        if device is None:
            raise Violation("wrong_accepted", f"no device has offered the session {hello.boot:#x}")
        if device is not self.device:
            self.device, self.order = device, PageOrder(device.history)
        self._event_at = -1

    def session_ended(self, reason: str) -> None:
        self.count_lost()

    def count_lost(self) -> None:
        """Tells the device's record how many lost events the host has heard of since the last call."""
        if self.device is not None:
            lost = self.simulation.session.counters["events_lost"]
            self.device.lost_counted += lost - self.simulation.lost_before
            self.simulation.lost_before = lost

    def look(self, page: int) -> None:
        assert self.mirror is not None
        self.order.look(page, self.mirror.read_page(page))
        self.checked += 1

    def live(self, mirror: Mirror) -> None:
        for page in range(len(PAGES)):
            self.look(page)

    def published(self, pages: tuple[int, ...]) -> None:
        for page in pages:
            self.look(page)

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        self.events.append((kind, arg))
        self.event_times.append(time_ms)
        assert self.device is not None
        if self._event_at < 0:
            self._event_at = self.device.sessions[self.simulation.session.session]
        if self._event_at >= len(self.device.events) or self.device.events[self._event_at] != (kind, arg):
            raise Violation("event", f"({kind}, {arg}) is not the event at {self._event_at}")
        self._event_at += 1

    def log(self, level: int, message: str) -> None:
        self.logs.append((level, message))

    def text(self, data: bytes) -> None:
        self.texts += data


def hello_region_len(header: bytes) -> int:
    """Length of the region that begins with this header."""
    at = spec.HEADER_FIELDS["region_len"].offset
    return int.from_bytes(header[at : at + 4], "little")


@dataclass
class Direction:
    """A line, what was sent into it, and what of it has arrived whole."""

    line: Line
    sent: set[bytes] = field(default_factory=set)  # frames, without their zeros
    saying: bytes = b""  # a frame of which more is to be put
    begun: bytes = b""  # a segment of which more is to come
    as_text: bool = False  # text frames

    def put(self, data: bytes, now: float) -> None:
        frames, self.saying = self._cut(self.saying + data)
        self.sent.update(frames)
        self.line.put(data, now)

    def _cut(self, data: bytes) -> tuple[list[bytes], bytes]:
        """(whole frames, the rest)."""
        *pieces, rest = data.split(b"\x15" if self.as_text else b"\0")
        return [piece.rpartition(b"\x1e")[2] for piece in pieces if b"\x1e" in piece] if self.as_text else pieces, rest

    def arrived(self, data: bytes) -> tuple[int, int]:
        """(segments that end with these bytes, those of them that are as they were sent)."""
        segments, self.begun = self._cut(self.begun + data)
        whole = [segment for segment in segments if segment not in (b"", b"\x01")]  # nothing, and nothing in COBS
        return len(whole), sum(segment in self.sent for segment in whole)


class Simulation:
    """One device at a time, one host at a time, a line each way, and a clock that is a number."""

    def __init__(
        self, library: ctypes.CDLL, seed: int, rate: float = 0, knows_time: bool = True, takes_text: bool = False
    ) -> None:
        """`knows_time`: whether the host tells the time of day, `unix_ms`. `takes_text`: whether devices take text frames."""
        self.random = random.Random(seed)
        self.library = library
        self.knows_time = knows_time
        self.unix_error_ms = 0  # of the host's clock
        self.now_ms = 0
        self.takes_text = takes_text
        self.to_device, self.to_host = Direction(Line(self.random), as_text=takes_text), Direction(Line(self.random))
        self.said = b""  # by the host in the last step
        self.spoil(rate)
        self.device_of_session: dict[int, Device] = {}
        self.devices: list[Device] = []
        self.boot()
        self.start_host()

    @property
    def device(self) -> Device:
        """The present one."""
        return self.devices[-1]

    @property
    def now(self) -> float:
        """Seconds."""
        return self.now_ms / 1000

    @property
    def unix_ms(self) -> int:
        """What the host's clock says."""
        return UNIX_MS + self.now_ms + self.unix_error_ms

    def spoil(self, rate: float) -> None:
        """Sets the rate of errors a byte."""
        self.to_device.line.faults = self.to_host.line.faults = Faults.at(rate)

    def boot(self) -> None:
        """Starts the device, again if it runs: all that it had is gone."""
        if self.devices:
            self.device.close()
        self.devices.append(Device(self.library, self.random.getrandbits(32) | 1))
        if self.takes_text:
            self.device.take_text()
        self.booted_ms = self.now_ms
        self.to_device.begun = self.to_host.saying = b""

    def start_host(self) -> None:
        """Starts the host's process, in place of one that was killed: all that it had is gone but the mirror's memory."""
        watcher = Watcher(self)
        if hasattr(self, "watcher"):
            self.watcher.count_lost()
            # What readers saw is not undone by another owner.
            watcher.memory, watcher.device, watcher.order = self.watcher.memory, self.watcher.device, self.watcher.order
            watcher.checked = self.watcher.checked
        self.watcher = watcher
        self.frames_before = self.lost_before = 0  # of the session's counters, what was looked at
        unix_ms = (lambda: self.unix_ms) if self.knows_time else None
        self.session = HostSession(self.watcher, lambda: self.random.getrandbits(32), unix_ms)
        self.open_port()

    def open_port(self) -> None:
        """The host opens the port, again if it has it open: what was on its way to it is gone."""
        self.to_host.line.clear()
        self.to_host.begun = b""
        self.session.port_opened(self.now)

    def act(self) -> None:
        """Something that an application does."""
        r = self.random
        name = f"agent_{r.randrange(6)}"
        what = r.randrange(18)
        if what >= 10:
            self.act_on_areas(what)
        elif what < 5:
            self.device.do("set", r.choice(RW_U32), r.choice([0, 1, 255, 256, 65536, 2**32 - 1, r.getrandbits(32)]))
        elif what == 5:
            self.device.do("set", FIELDS.index("burst_engine_state"), r.randrange(8))
        elif what <= 7:
            self.device.do("register", name)
        elif what == 8:
            self.device.do("deregister", name)
        else:
            self.device.do("heartbeat", name)

    def act_on_areas(self, what: int) -> None:
        """A change of the hashes, the locks, the windows or the statistics: `what` is 10..17."""
        r = self.random
        area, owner = r.randrange(AREAS), r.choice([1, 2**32, 2**64 - 1])
        name = f"area_{r.randrange(AREAS)}"
        if what == 10:
            self.device.do("hash", r.randrange(len(spec.HASHES_FIELDS)), r.getrandbits(64))
        elif what == 11:
            self.device.do("lock", area, owner)
        elif what == 12:
            self.device.do("unlock", area, owner)
        elif what == 13:
            self.device.do("stat", name)
        elif what == 14:
            self.device.do("no_window", area)
        elif what == 15:
            self.device.do("window", area, r.choice([0, 1, 20, 2**32 - 1]))
        else:
            self.device.do("count", name, r.randrange(3), r.choice([1, 5, 2**32 - 1, -1, -300]))

    def step(self, ms: int = STEP_MS) -> None:
        """So long of both sides and the line."""
        self.now_ms += ms
        self.device_step()
        self.host_step()

    def device_step(self) -> None:
        """What the device does at one time."""
        device, now = self.device, self.now
        device.tick(self.now_ms - self.booted_ms)
        self.said = self.session.take_output()
        self.to_device.put(self.said, now)
        data = self.to_device.line.take(now)
        if data:
            rejected = device.rejected
            segments, intact = self.to_device.arrived(data)
            device.receive(data)
            if segments - (device.rejected - rejected) > intact:
                raise Violation("wrong_accepted", "by the device")
        self.to_host.put(self.device_output(max(0, LINE_ROOM_BYTES - self.to_host.line.waiting_bytes)), now)

    def device_output(self, room_bytes: int = LINE_ROOM_BYTES) -> bytes:
        """What the device sends."""
        out = self.device.output(room_bytes)
        self.device_of_session[self.device.session] = self.device
        return out

    def host_step(self) -> None:
        """What the host does at one time."""
        data = self.to_host.line.take(self.now)
        if data:
            self.frames_before = self.session.counters["frames"]
            _, intact = self.to_host.arrived(data)
            self.session.receive(data, self.now)
            if self.session.counters["frames"] - self.frames_before > intact:
                raise Violation("wrong_accepted", f"by the host: it took more frames than {intact}")
        self.session.poll(self.now)

    def settle(self, most_steps: int = 1000) -> bool:
        """Runs a clean line until the mirror is the device's region. Returns whether it came to that."""
        self.spoil(0)
        for _ in range(most_steps):
            self.step()
            if self.is_equal():
                return True
        return False

    def is_equal(self, *, but: Sequence[int] = ()) -> bool:
        """Whether the mirror is live and shows the device's region, `but` these pages."""
        mirror = self.watcher.mirror
        if mirror is None or not self.session.is_live or self.watcher.device is not self.device:
            return False
        versions = enumerate(self.device.history)
        return all(mirror.read_page(page) == history[-1] for page, history in versions if page not in but)

    def next_segments(self) -> list[bytes]:
        """What the device sends next, without the host: the bytes between delimiters."""
        while True:
            self.now_ms += STEP_MS
            self.device.tick(self.now_ms - self.booted_ms)
            out = self.device_output()
            if out:
                self.to_host.sent.update(out.split(b"\0"))
                return [segment for segment in out.split(b"\0") if segment]

    def device_is_quiet_for(self, ms: int) -> bool:
        """Runs both sides for so long. Returns whether the device said nothing."""
        frames = self.session.counters["frames"]
        for _ in range(ms // STEP_MS):
            self.step()
        return self.session.counters["frames"] == frames

    def close(self) -> None:
        """The end."""
        self.device.close()
