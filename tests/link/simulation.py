"""Both sides of a link in virtual time: the C device role as a process under sanitizers, the Python host role in this one, and
between them a line that loses, flips and invents bytes as a seed says."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from common import ROOT
from feagi_state import spec
from feagi_state._core import Mirror
from feagi_state.session import HostSession, Observer
from generator.model import Spec

STEP_MS = 5
PROFILE = "tiny"
UNIX_MS = 1_700_000_000_000  # when a simulation begins
PAGES = Spec(ROOT / "shared_spec").pages(PROFILE)
HASHES_AT = next(s.offset for s in Spec(ROOT / "shared_spec").sections(PROFILE) if s.name == "hashes")
FIELDS = list(spec.CORE_FIELDS)
AREAS = 16  # more than the profile has room for
RW_U32 = [i for i, f in enumerate(spec.CORE_FIELDS.values()) if f.type == "u32" and f.writable]


class Device:
    """The C device role. Every call that can change the region adds its pages to their histories."""

    def __init__(self, program: Path, boot_id: int) -> None:
        self.process = subprocess.Popen(
            [program, str(spec.PROFILES[PROFILE].id), str(boot_id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.history: list[list[bytes]] = [[] for _ in PAGES]
        self.remember()

    def ask(self, *words: object) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer.endswith("\n"), f"the device died at {words}"
        return answer.strip()

    def region(self) -> bytes:
        return bytes.fromhex(self.ask("region"))

    def remember(self) -> None:
        region = self.region()
        for (at, length), versions in zip(PAGES, self.history):
            page = region[at : at + length]
            if not versions or versions[-1] != page:
                versions.append(page)

    def changed(self) -> set[int]:
        """Pages that had more than one version."""
        return {page for page, versions in enumerate(self.history) if len(versions) > 1}

    def change(self, *words: object) -> str:
        answer = self.ask(*words)
        self.remember()
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(10) == 0, "the sanitizers found something"
        assert self.process.stdout is not None
        self.process.stdout.close()


class Watcher(Observer):
    """Checks at every publication that the page is one that the device had, and not an older one than before."""

    def __init__(self) -> None:
        self.device: Device | None = None
        self.mirror: Mirror | None = None
        self.seen = [0] * len(PAGES)
        self.checked = 0
        self.events: list[tuple[int, int]] = []
        self.event_times: list[int] = []
        self.texts = bytearray()

    def look(self, page: int) -> None:
        assert self.mirror is not None and self.device is not None
        versions, bytes_now = self.device.history[page], self.mirror.read_page(page)
        later = [i for i in range(self.seen[page], len(versions)) if versions[i] == bytes_now]
        assert later, f"page {page} is one that the device never had, or older than the last one"
        self.seen[page] = later[0]
        self.checked += 1

    def live(self, mirror: Mirror) -> None:
        self.mirror = mirror
        for page in range(len(PAGES)):
            self.look(page)

    def published(self, pages: tuple[int, ...]) -> None:
        for page in pages:
            self.look(page)

    def event(self, kind: int, arg: int, time_ms: int) -> None:
        self.events.append((kind, arg))
        self.event_times.append(time_ms)

    def text(self, data: bytes) -> None:
        self.texts += data


class Line:
    """What a wire may do to bytes: lose them, flip a bit of them, put others between them."""

    def __init__(self, source: random.Random, rate: float) -> None:
        self.random = source
        self.rate = rate

    def carry(self, data: bytes) -> bytes:
        if self.rate == 0:
            return data
        out = bytearray()
        for byte in data:
            what = self.random.random()
            if what < self.rate / 2:
                continue
            out.append(byte ^ 1 << self.random.randrange(8) if what < self.rate else byte)
            if self.random.random() < self.rate / 8:
                out += self.random.choice([b">>> print(1)\r\n", b"\0", b"\xff\0\x01", bytes(self.random.randbytes(30))])
        return bytes(out)


class Simulation:
    """One device, one host, one line, and a clock that is a number."""

    def __init__(self, program: Path, seed: int, rate: float, knows_time: bool = True, takes_text: bool = False) -> None:
        """`knows_time`: whether the host tells the time of day, `unix_ms`. `takes_text`: whether the device takes text frames."""
        self.random = random.Random(seed)
        self.program = program
        self.takes_text = takes_text
        self.watcher = Watcher()
        self.unix_error_ms = 0  # of the host's clock
        unix_ms = (lambda: self.unix_ms) if knows_time else None
        self.session = HostSession(self.watcher, lambda: self.random.getrandbits(32), unix_ms)
        self.line = Line(self.random, rate)
        self.now_ms = 0
        self.sent = b""  # what the host sent in the last step
        self.changed: set[int] = set()  # pages that former devices changed
        self.device: Device
        self.boot()
        self.session.port_opened(0.0)

    @property
    def unix_ms(self) -> int:
        """What the host's clock says."""
        return UNIX_MS + self.now_ms + self.unix_error_ms

    def boot(self) -> None:
        """Starts the device, again if it runs: all that it had is gone."""
        if hasattr(self, "device"):
            self.changed |= self.device.changed()
            self.device.close()
        self.device = self.watcher.device = Device(self.program, self.random.getrandbits(32) | 1)
        if self.takes_text:
            self.device.ask("take_text")
        self.watcher.seen = [0] * len(PAGES)
        self.booted_ms = self.now_ms

    def act(self) -> None:
        """Something that an application does."""
        r = self.random
        name = f"agent_{r.randrange(6)}".encode().hex()
        what = r.randrange(18)
        if what >= 10:
            self.act_on_areas(what)
        elif what < 5:
            self.device.change("set", r.choice(RW_U32), r.choice([0, 1, 255, 256, 65536, 2**32 - 1, r.getrandbits(32)]))
        elif what == 5:
            self.device.change("set", FIELDS.index("burst_engine_state"), r.randrange(8))
        elif what <= 7:
            self.device.change("register", name)
        elif what == 8:
            self.device.change("deregister", name)
        else:
            self.device.change("heartbeat", name)

    def act_on_areas(self, what: int) -> None:
        """A change of the hashes, the locks, the windows or the statistics: `what` is 10..17."""
        r = self.random
        area, owner = r.randrange(AREAS), r.choice([1, 2**32, 2**64 - 1])
        name = f"area_{r.randrange(AREAS)}".encode().hex()
        if what == 10:
            self.device.change("hash", r.randrange(len(spec.HASHES_FIELDS)), r.getrandbits(64))
        elif what == 11:
            self.device.change("lock", area, owner)
        elif what == 12:
            self.device.change("unlock", area, owner)
        elif what == 13:
            self.device.change("stat", name)
        elif what > 14:
            self.device.change("window", area, r.choice([0, 1, 20, 2**32 - 1, "remove"]))
        else:
            self.device.change("count", name, r.randrange(3), r.choice([1, 5, 2**32 - 1, -1, -300]))

    def step(self) -> None:
        """STEP_MS of both sides and the line."""
        self.now_ms += STEP_MS
        now = self.now_ms / 1000
        self.device.ask("tick", self.now_ms - self.booted_ms)
        self.sent = self.session.take_output()
        to_device = self.line.carry(self.sent)
        if to_device:
            self.device.change("rx", to_device.hex())
        to_host = self.line.carry(bytes.fromhex(self.device.ask("out")))
        if to_host:
            self.session.receive(to_host, now)
        self.session.poll(now)

    def settle(self, most_steps: int = 1000) -> bool:
        """Runs a clean line until the mirror is the device's region. Returns whether it came to that."""
        self.line.rate = 0
        for _ in range(most_steps):
            self.step()
            if self.session.is_live and self.watcher.mirror is not None and self.equal():
                return True
        return False

    def equal(self) -> bool:
        assert self.watcher.mirror is not None
        region = self.device.region()
        return all(self.watcher.mirror.read_page(i) == region[at : at + n] for i, (at, n) in enumerate(PAGES))

    def next_segments(self) -> list[bytes]:
        """What the device sends next, without the host: the bytes between delimiters."""
        while True:
            self.now_ms += STEP_MS
            self.device.ask("tick", self.now_ms - self.booted_ms)
            out = bytes.fromhex(self.device.ask("out"))
            if out:
                return [segment for segment in out.split(b"\0") if segment]

    def device_is_quiet_for(self, ms: int) -> bool:
        """Runs both sides for so long. Returns whether the device said nothing."""
        frames = self.session.counters["frames"]
        for _ in range(ms // STEP_MS):
            self.step()
        return self.session.counters["frames"] == frames
