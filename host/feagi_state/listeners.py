"""What users hear of a link: changes, texts and log lines. They hear it in a thread of its own, since callbacks and
handlers may take their time, and use the device.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .changes import Change, ChangeStream
from .errors import RegionClosed

__all__ = ["Listeners", "Subscription", "TextSubscription"]

_log = logging.getLogger("feagi_state.device")
_text_log = logging.getLogger("feagi_state.text")

_UNTOLD_MOST: Final = 1000  # texts and log lines that wait to be heard
_ABOUT: Final = "MicroPython "  # begins the line in which a board says what it is


class Subscription:
    """A callback and what it has heard, from `on_change` to `close`."""

    def __init__(self, changes: ChangeStream, callback: Callable[[Change], None]) -> None:
        """Made by Device.on_change and Fleet.on_change."""
        self._changes = changes
        self._callback = callback
        self._closed = False

    def close(self) -> None:
        """No further call is begun. Any thread, the callback's too."""
        self._closed = True

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def look(self) -> None:
        """Calls back for all that has changed."""
        try:
            while not self._closed and (change := self._changes.get()) is not None:
                try:
                    self._callback(change)
                except Exception:  # the user's: it must not end the others' calls
                    _log.exception("the callback for changes of %s failed", change.field)
        except RegionClosed:
            self._closed = True


class TextSubscription:
    """A callback that hears text or log lines, from `on_text` or `on_log` to `close`."""

    def __init__(self, callback: Callable[..., None]) -> None:
        """Made by Device.on_text and Device.on_log."""
        self.callback = callback
        self.closed = False

    def close(self) -> None:
        """No further call is begun. Any thread, the callback's too."""
        self.closed = True


class _Hearers:
    """Those who hear text, or those who hear log lines."""

    def __init__(self, what: str) -> None:
        """`what` they hear, for people."""
        self._what = what
        self._subscriptions: list[TextSubscription] = []  # any thread adds, that of the callbacks alone takes away

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    def add(self, subscription: TextSubscription) -> None:
        """It hears what comes from now on. Any thread."""
        self._subscriptions.append(subscription)

    def tell(self, *said: Any) -> None:
        """Calls back all that were not closed. In the thread of the callbacks."""
        for subscription in tuple(self._subscriptions):
            if subscription.closed:
                self._subscriptions.remove(subscription)
            else:
                self.call(subscription.callback, *said)

    def call(self, callback: Callable[..., None], *said: Any) -> None:
        """Calls one. In the thread of the callbacks."""
        try:
            callback(*said)
        except Exception:  # the user's: it must not end the link
            _log.exception("the %s callback failed", self._what)


class Listeners:
    """Those of one link. Its thread says what happens, and waits for nobody."""

    def __init__(self, do: Callable[[Callable[[], None]], None]) -> None:
        """`do` has something done in the thread of the callbacks."""
        self.on_text: Callable[[bytes], None] | None = None  # hears text; None: the logger "feagi_state.text" does
        self.about: str | None = None  # what the board has said that it is
        self._do = do
        self._subscriptions: tuple[Subscription, ...] = ()
        self._text_hearers = _Hearers("text")
        self._log_hearers = _Hearers("log")
        self._looking = False  # somebody is going to look
        self._untold: deque[Callable[[], None]] = deque()
        self._telling = False  # somebody is going to tell them
        self._passed_over = 0  # texts and lines that found too many of them waiting

    def subscribe(self, subscription: Subscription) -> None:
        """Has a subscription look now, and whenever something has changed. Any thread."""
        self._do(partial(self._subscribe, subscription))

    def subscribe_text(self, hearer: TextSubscription) -> None:
        """Has a subscription hear text, besides `on_text`. Any thread."""
        self._text_hearers.add(hearer)

    def subscribe_log(self, hearer: TextSubscription) -> None:
        """Has a subscription hear the board's log lines, besides the logger. Any thread."""
        self._log_hearers.add(hearer)

    @property
    def wants_changes(self) -> bool:
        """Whether anybody has subscribed."""
        return bool(self._subscriptions)

    @property
    def wants_text(self) -> bool:
        """Whether anybody hears text."""
        return bool(self._text_hearers) or self.on_text is not None or _text_log.isEnabledFor(logging.INFO)

    def changed(self) -> None:
        """Something has: who has subscribed looks once, however often this is said before."""
        if self._subscriptions and not self._looking:
            self._looking = True
            self._do(self._look)

    def text(self, data: bytes) -> None:
        """The board printed something."""
        if self.wants_text:
            self._tell(partial(self._give_text, data))

    def board_log(self, port: str, level: int, message: str) -> None:
        """A line of the log of the board at this port: for the logger "feagi_state.device", and who has subscribed."""
        if message.startswith(_ABOUT):
            self.about = message
        if self._log_hearers or _log.isEnabledFor(level):
            self._tell(partial(self._give_line, port, level, message))

    def log(self, level: int, form: str, *arguments: Any) -> None:
        """A line of the link's own for the logger "feagi_state.device"."""
        if _log.isEnabledFor(level):
            self._tell(partial(_log.log, level, form, *arguments))

    # -------------------------------------------------------------------------------- in the thread of the callbacks

    def _subscribe(self, subscription: Subscription) -> None:
        self._subscriptions += (subscription,)
        self._look()

    def _look(self) -> None:
        self._looking = False  # first: what is published from here on is looked at again
        for subscription in self._subscriptions:
            subscription.look()
        if any(subscription.closed for subscription in self._subscriptions):
            self._subscriptions = tuple(one for one in self._subscriptions if not one.closed)

    def _tell(self, tell: Callable[[], None]) -> None:
        if len(self._untold) < _UNTOLD_MOST:
            self._untold.append(tell)
        else:
            self._passed_over += 1
        if not self._telling:
            self._telling = True
            self._do(self._tell_all)

    def _tell_all(self) -> None:
        self._telling = False  # first: what comes from here on is told again
        passed_over, self._passed_over = self._passed_over, 0
        while self._untold:
            self._untold.popleft()()
        if passed_over:
            _log.warning("%d texts or log lines were passed over: who hears them is too slow", passed_over)

    def _give_text(self, text: bytes) -> None:
        if self.on_text is None:
            _text_log.info("%s", text.decode("utf-8", "replace").rstrip("\r\n"))
        else:
            self._text_hearers.call(self.on_text, text)
        self._text_hearers.tell(text)

    def _give_line(self, port: str, level: int, message: str) -> None:
        _log.log(level, "%s: %s", port, message)
        self._log_hearers.tell(level, message)
