"""One thread that serves any number of members: it waits on all their descriptors at once, and on nothing else.

What a member does in this thread must not wait for anything. What may (a port that is opened, a callback of the user's)
is for the runner's helpers, which are threads of their own, there once there is something to do.
"""

from __future__ import annotations

import logging
import os
import queue
import selectors
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from .clock import now_s

__all__ = ["Helper", "Member", "Runner"]

_log = logging.getLogger("feagi_state.device")

TICK_S: Final = 0.05  # how late a retry or a ping may be


class Member(Protocol):
    """What a runner serves. All methods are called in the runner's thread."""

    def ready(self, file: int, events: int) -> None:
        """A descriptor that the member watches can be read or written: selectors.EVENT_READ, EVENT_WRITE."""

    def tick(self, now: float) -> None:
        """The time is `now` (seconds of clock.py): called every `tick_s` of the runner."""

    def failed(self, error: BaseException) -> None:
        """A call of the member raised this: a fault of ours, after which it is not served any more."""


class Helper:
    """A thread that does one thing after the other, and is there only once there is something to do."""

    def __init__(self, name: str) -> None:
        """`name`: the thread's."""
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # of the two below
        self._thread: threading.Thread | None = None
        self._closed = False

    def do(self, job: Callable[[], None]) -> None:
        """Has it done, after what was to be done before. After `close` it is forgotten. Any thread."""
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends the thread once everything is done. Does not wait for itself. May be called more than once."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            try:
                job()
            except Exception:
                _log.exception("%s", self._name)


class Runner:
    """The thread, and what its members ask of it. Methods are for its own thread where they do not say otherwise."""

    def __init__(self, name: str) -> None:
        """Starts the thread. `name`: of what it serves, for people who look at threads."""
        self.name = name
        self.tick_s = TICK_S
        self.opener = Helper(f"feagi_state opens {name}")
        self.callbacks = Helper(f"feagi_state callbacks of {name}")
        self._selector = selectors.DefaultSelector()
        self._members: dict[Member, None] = {}  # in the order in which they came
        self._calls: deque[tuple[Callable[[], None], Member | None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._lock = threading.Lock()  # of what `call` adds, against the end
        self._ending = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feagi_state {name}", daemon=True)
        self._thread.start()

    # ---------------------------------------------------------------------------------------------- for any thread

    def call(self, function: Callable[[], None], member: Member | None = None) -> bool:
        """Has `function` called soon, after what was asked for before. Any thread. `member`: has failed if it raises.

        False: the thread has ended, and it will not be called.
        """
        with self._lock:
            if self._ended.is_set():
                return False
            self._calls.append((function, member))
            with suppress(BlockingIOError):  # full: it wakes anyway
                os.write(self._wake_write, b"x")
        return True

    def call_and_wait(self, function: Callable[[], None]) -> None:
        """Calls `function` in the runner's thread, and returns when it has been, or when the thread has ended. Any
        thread. What it raises is raised here.
        """
        if threading.current_thread() is self._thread:
            function()
            return
        done = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                function()
            except BaseException as error:
                errors.append(error)
            done.set()

        if self.call(run):
            while not done.wait(TICK_S) and not self._ended.is_set():
                pass
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Ends the threads. The members must have been removed. Any thread; may be called more than once."""
        self._ending = True
        self.call(lambda: None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self.opener.close()
        self.callbacks.close()

    # ------------------------------------------------------------------------------------------- for the members

    def add(self, member: Member) -> None:
        """Lets the member tick."""
        self._members[member] = None

    def remove(self, member: Member) -> None:
        """Forgets a member, which watches nothing any more."""
        self._members.pop(member, None)

    def watch(self, member: Member, file: int, events: int) -> None:
        """Tells the member when `file` is ready for `events`, from now on."""
        try:
            if self._selector.get_key(file).events != events:
                self._selector.modify(file, events, member)
        except KeyError:
            self._selector.register(file, events, member)

    def forget(self, file: int) -> None:
        """Watches a descriptor no more. To be called before it is closed."""
        with suppress(KeyError, ValueError, OSError):
            self._selector.unregister(file)

    # ------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            next_tick = now_s() + self.tick_s
            while not self._ending:
                for key, events in self._selector.select(max(0.0, next_tick - now_s())):
                    if key.data is None:
                        self._serve_calls()
                    else:
                        self._guarded(key.data, key.data.ready, key.fd, events)
                now = now_s()
                if now >= next_tick:
                    next_tick = now + self.tick_s
                    for member in tuple(self._members):
                        self._guarded(member, member.tick, now)
        finally:
            with self._lock:
                self._ended.set()
            self._serve_calls()
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _serve_calls(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        for _ in range(len(self._calls)):
            function, member = self._calls.popleft()
            self._guarded(member, function)

    def _guarded(self, member: Member | None, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:
            try:
                if member is None:
                    raise
                member.failed(error)
            except Exception:
                _log.exception("the thread that serves %s", self.name)
