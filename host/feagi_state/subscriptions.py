"""Callbacks for changes: called in a thread of their own, with the latest value of each field that changed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .changes import Change, ChangeStream
from .errors import RegionClosed

__all__ = ["Subscription", "Subscriptions"]

_log = logging.getLogger("feagi_state.device")


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


class Subscriptions:
    """Those of one link. `look_soon` is for the link's thread, the rest for any."""

    def __init__(self, do: Callable[[Callable[[], None]], None]) -> None:
        """`do` has something done in the thread of the callbacks."""
        self._do = do
        self._all: tuple[Subscription, ...] = ()
        self._looking = False  # somebody is going to look

    def add(self, subscription: Subscription) -> None:
        """Has it look now and whenever something has changed."""
        self._do(lambda: self._add(subscription))

    def look_soon(self) -> None:
        """Something has changed: once, however often it is said before somebody looks."""
        if self._all and not self._looking:
            self._looking = True
            self._do(self._look)

    def __len__(self) -> int:
        return len(self._all)

    def _add(self, subscription: Subscription) -> None:
        self._all += (subscription,)
        self._look()

    def _look(self) -> None:
        self._looking = False  # first: what is published from here on is looked at again
        for subscription in self._all:
            subscription.look()
        if any(subscription.closed for subscription in self._all):
            self._all = tuple(subscription for subscription in self._all if not subscription.closed)
