"""Replaying a recording: a mirror that any process reads as it reads that of a device."""

from __future__ import annotations

import atexit
import math
import os
import threading
from typing import Any, Final

from . import spec
from ._core import Mirror, mirror_len, region_shape
from .clock import now_s
from .closing import Closing
from .errors import InvalidValue, PersistenceError, StateError
from .mirror import REPLAY_PORT, MirrorView, attach
from .mirror_files import OwnedMirror
from .recording import Recording, RecordingMessage, damaged, decoded
from .session import COUNTERS
from .spec import LinkState
from .waiting import LONGEST_PAUSE_S

__all__ = ["Replay"]

_BEAT_S: Final = 0.25  # a mirror that nothing is heard of for longer than STALE_AFTER_MS is stale
_TRAILER: Final = {name: field.offset for name, field in spec.MIRROR_FIELDS.items()}


class Replay(Closing):
    """A mirror that is what the recorded one was, page by page and event by event, at the same distances in time.

    It has a name of its own, and `link.replayed` says what it is; it is stale while the recorded one was. At the end it
    stays as it is, live if that was, until `close` (`with`). It takes no commands. Any thread.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        name: str | None = None,
        speed: float = 1.0,
        start_s: float = 0.0,
        loop: bool = False,
        mirror_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Begins. `name`: the mirror's, by default the recorded one's with `-replay` behind it; if a living process has
        it, `-2`, `-3`... is added. `speed`: how many times as fast, 0: as fast as possible. `start_s`: where to begin,
        in seconds of the recording; what was before is made up at once. `loop`: begins again at the end.

        Raises PersistenceError for what is no recording of this version, InvalidValue, MemoryMapError.
        """
        self._speed = _number(speed, "speed")
        self._start_s = _number(start_s, "start")
        self._loop = loop
        if loop and not self._speed:
            raise InvalidValue("a replay as fast as possible (speed 0) cannot be a loop")
        self._recording = recording
        self._owned = OwnedMirror(name or f"{recording.name}-replay", mirror_dir)
        self._region: Mirror | None = None
        self._recorded_live = False  # whether the recorded mirror was live
        self._begun = False  # whether `start_s` is reached
        self._stop = threading.Event()
        self._played = threading.Event()
        self._problem: StateError | None = None
        try:
            self._apply(next(iter(recording)))
            self._view = attach(self._owned.path)
        except BaseException:
            self._owned.close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"replay {self._owned.name}", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def name(self) -> str:
        """Name of the mirror: what `attach` takes, in every process."""
        return self._owned.name

    @property
    def mirror(self) -> MirrorView:
        """The mirror."""
        return self._view

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until all of it was replayed once, and says whether it was. Raises PersistenceError if the recording is
        damaged.
        """
        played = self._played.wait(timeout_s)
        if self._problem is not None:
            raise self._problem.with_traceback(None)
        return played

    def close(self) -> None:
        """Ends it. The mirror is closed, with the last values. May be called more than once."""
        self._stop.set()
        self._thread.join()
        self._view.close()
        self._owned.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        """Mirror and file."""
        return f"<Replay {self.name} of {self._recording.path}>"

    # ------------------------------------------------------------------------------------------------- the playing

    def _run(self) -> None:
        try:
            self._play()
            while self._loop and not self._stop.wait(LONGEST_PAUSE_S):
                self._played.set()
                self._play()
        except StateError as error:
            self._problem = error
        except Exception as error:
            self._problem = PersistenceError(f"the replay of {self._recording.path} failed: {error!r}")
        self._begun = True
        self._played.set()
        while not self._problem and not self._stop.wait(_BEAT_S):
            self._show()
        self._show(LinkState.CLOSED)

    def _play(self) -> None:
        """From the first message to the last, or until the stop."""
        self._begun = False
        began = now_s()
        for message in self._recording:
            at_s = (message.log_time_ns - self._recording.began_ns) / 1e9 - self._start_s
            if at_s > 0 and not self._begun:  # what was at the start itself is all there
                self._begun = True
                self._show()
            if at_s > 0 and self._speed:
                self._wait_until(began + at_s / self._speed)
            if self._stop.is_set():
                return
            self._apply(message)
        self._begun = True
        self._show()

    def _wait_until(self, when: float) -> None:
        while (left_s := when - now_s()) > 0 and not self._stop.wait(min(left_s, _BEAT_S)):
            self._show()

    def _apply(self, message: RecordingMessage) -> None:
        """Raises PersistenceError."""
        region = self._region
        try:
            if message.topic == "snapshot":
                self._begin_region(message)
            elif region is None:
                raise ValueError("it does not begin with a snapshot")
            elif message.topic == "page":
                region.publish_page(message.value["page"], decoded(self._recording.path, message, "data"))
            elif message.topic == "event":
                region.push_event(*_event(message.value))
            elif message.topic == "link":
                self._apply_link(region, message.value)
        except (ValueError, KeyError, TypeError, OverflowError, IndexError) as error:
            raise damaged(self._recording.path, error) from None

    def _begin_region(self, message: RecordingMessage) -> None:
        """The state of now, in a new mirror if it has another layout. Nobody takes it for live before it is whole."""
        image = decoded(self._recording.path, message, "region")
        whole = Mirror(bytearray(mirror_len(region_shape(image)[0])), image)
        self._recorded_live = False
        self._show()
        port = REPLAY_PORT + os.path.basename(self._recording.path)
        self._region = self._owned.open(image[: spec.HEADER_LEN_BYTES], str(message.value["device_name"]), port)
        for page in range(whole.pages):
            self._region.publish_page(page, whole.read_page(page))
        self._show()

    def _apply_link(self, region: Mirror, value: dict[str, Any]) -> None:
        region.set_trailer_u32(_TRAILER["session"], value["session"])
        region.set_trailer_u64(_TRAILER[COUNTERS[0]], *(value[name] for name in COUNTERS))
        self._recorded_live = value["state"] == LinkState.LIVE.name
        self._show()

    def _show(self, state: LinkState | None = None) -> None:
        """Says what the mirror is now, and that somebody is there. LIVE is written last."""
        region = self._region
        if region is None:
            return
        if state is None:
            recorded = LinkState.LIVE if self._recorded_live else LinkState.STALE
            state = recorded if self._begun else LinkState.CONNECTING
        if state == LinkState.LIVE:
            region.set_trailer_u64(_TRAILER["heard_ms"], int(now_s() * 1000))
        region.set_trailer_u32(_TRAILER["link_state"], state)


def _event(value: dict[str, Any]) -> tuple[int, int, int]:
    """Kind, argument and the low bits of the time. Raises ValueError, KeyError, TypeError."""
    kind = value["kind"]
    number = spec.EventKind[kind] if kind in spec.EventKind.__members__ else int(kind)
    return number, value["arg"], value["time_ms"] & 0xFFFFFFFF


def _number(value: float, what: str) -> float:
    """A number from 0 on. Raises InvalidValue."""
    try:
        if 0 <= value < math.inf:
            return float(value)
    except TypeError:
        pass
    raise InvalidValue(f"{value!r} is no {what} of a replay: it should be a number from 0 on")
