"""Many boards in one process, served by one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from .changes import Change, ChangeStream, FieldWatch
from .closing import Closing
from .device import Device
from .errors import LinkError, PortError, StaleMirror
from .listeners import Subscription
from .mirror import same_port
from .port_finder import PortFinder
from .port_link import PortLink
from .runner import Runner
from .waiting import Patience

__all__ = ["Fleet", "FleetSubscription"]


class Fleet(Closing):
    """Devices on any number of ports, and one thread that serves all of them.

    Boards come and go: a port need not be there when it is added, and is opened whenever it is. Each board has a Device
    and a mirror of its own, which other processes find by its name. All methods may be called from any thread.
    """

    def __init__(
        self,
        ports: Iterable[str] = (),
        *,
        baudrate: int = 115200,
        mirror_dir: str | os.PathLike[str] | None = None,
        mirror_mode: int = 0o600,
        serve: bool = False,
        restart: bool = True,
    ) -> None:
        """Begins to serve these ports; see `add`, and `connect` for what they and the settings may be.

        Raises PortError if two of them are one.
        """
        self._baudrate = baudrate
        self._mirror_dir = mirror_dir
        self._mirror_mode = mirror_mode
        self._serve = serve
        self._restart = restart
        self._lock = threading.Lock()  # of the two below, when they are changed
        self._devices: dict[str, Device] = {}  # by the port as it was added
        self._callbacks: tuple[FleetSubscription, ...] = ()
        self._closed = False
        self._runner = Runner("fleet")
        try:
            for port in ports:
                self.add(port)
        except BaseException:
            self.close()
            raise

    def add(self, port: str, *, name: str | None = None, baudrate: int | None = None) -> Device:
        """Begins to serve a port, and waits for nothing: see the Device's `wait_live`, and `problem` for why it is not.

        `port` and `name`: as for `connect`; a name is best chosen where two boards call themselves the same, since the
        second to come has -2 behind it. `baudrate` in Bd, by default the fleet's. A device leaves the fleet when it is
        closed. Raises PortError if the fleet serves the port already, LinkError if it was closed.
        """
        with self._lock:
            if self._closed:
                raise LinkError(f"the fleet was closed: {port} cannot be added")
            here = {asked: device for asked, device in self._devices.items() if not device.closed}
            if port in here or any(same_port(port, device.port) for device in here.values()):
                raise PortError(f"{port} is served by this fleet already", "busy")
            finder = PortFinder(port, baudrate or self._baudrate, self._mirror_dir)
            link = PortLink(
                self._runner,
                port,
                finder.open,
                name=name,
                mirror_dir=self._mirror_dir,
                mirror_mode=self._mirror_mode,
                serve=self._serve,
                restart=self._restart,
            )
            device = Device(link)
            self._devices = {**here, port: device}
            for callback in self._callbacks:
                callback.add(device)
        return device

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those that were not closed, in the order in which they were added, live or not."""
        return tuple(device for device in self._devices.values() if not device.closed)

    def __iter__(self) -> Iterator[Device]:
        """The devices."""
        return iter(self.devices)

    def __len__(self) -> int:
        """How many devices there are, live or not."""
        return len(self.devices)

    def __getitem__(self, name: str) -> Device:
        """The device whose mirror has this name, or that was added as this port or is at it now. Raises KeyError."""
        devices = self.devices
        for device in devices:
            with suppress(StaleMirror):
                if device.name == name:
                    return device
        added = self._devices.get(name)
        if added in devices:
            return self._devices[name]
        for device in devices:
            if same_port(device.port, name):
                return device
        raise KeyError(name)

    def wait_live(self, timeout_s: float | None = None) -> None:
        """Waits until the mirrors of all devices are live.

        Raises what keeps one of them from it, if they are not within `timeout_s`.
        """
        patience = Patience(timeout_s)
        for device in self.devices:
            device.wait_live(patience.left_s())

    async def wait_live_async(self, timeout_s: float | None = None) -> None:
        """As `wait_live`."""
        patience = Patience(timeout_s)
        for device in self.devices:
            await device.wait_live_async(patience.left_s())

    def changes(self, *fields: str, timeout_s: float | None = None, from_start: bool = False) -> ChangeStream:
        """Changes of these fields of all devices from now on, or of all fields; Change.mirror says whose. See
        MirrorView.changes. Of a device that has no mirror yet, or is added later, the first values come too, as
        changes from None. Ends with `close`.
        """
        watches: dict[Device, FieldWatch] = {}

        def present(is_new: bool = True) -> list[FieldWatch]:
            for device in self.devices:
                if device not in watches:
                    watches[device] = device.watch_fields(fields, is_new)
            for device in [device for device in watches if device.closed]:
                del watches[device]
            return list(watches.values())

        present(from_start)
        return ChangeStream(present, timeout_s, lambda: self._closed)

    def on_change(self, callback: Callable[[Change], None], *fields: str) -> FleetSubscription:
        """Calls `callback` with every change of these fields of any device, or of all fields, until the subscription's
        `close`; see Device.on_change. Devices that are added later are included, with their first values.
        """
        subscription = FleetSubscription(callback, fields)
        with self._lock:
            self._callbacks = (*(old for old in self._callbacks if not old.closed), subscription)
            for device in self.devices:
                subscription.add(device)
        return subscription

    def close(self) -> None:
        """Closes all devices, and ends the threads. May be called more than once."""
        with self._lock:
            self._closed = True
        for device in self.devices:
            device.close()
        self._runner.close()

    def __repr__(self) -> str:
        """How many devices it has."""
        return f"<Fleet of {len(self)} devices>"


class FleetSubscription:
    """A callback of a Fleet, from `on_change` to `close`."""

    def __init__(self, callback: Callable[[Change], None], fields: tuple[str, ...]) -> None:
        """Made by Fleet.on_change."""
        self._callback = callback
        self._fields = fields
        self._subscriptions: list[Subscription] = []
        self.closed = False

    def add(self, device: Device) -> None:
        """Hears another device. Raises InvalidField."""
        self._subscriptions = [one for one in self._subscriptions if not one.closed]
        self._subscriptions.append(device.on_change(self._callback, *self._fields))

    def close(self) -> None:
        """No further call is begun. Any thread, the callback's too."""
        self.closed = True
        for subscription in self._subscriptions:
            subscription.close()
