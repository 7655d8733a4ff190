"""What can go wrong: one tree, rooted at StateError. A message says what was wrong and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from . import spec

__all__ = [
    "STATUS",
    "AgentAlreadyRegistered",
    "AgentNotFound",
    "AreaLocked",
    "AreaNotFound",
    "CapacityError",
    "CommandRejected",
    "CommandTimeout",
    "InvalidField",
    "InvalidOperation",
    "InvalidValue",
    "LinkError",
    "MemoryMapError",
    "NotADevice",
    "NotLockOwner",
    "PersistenceError",
    "PortError",
    "RegionBusy",
    "RegionClosed",
    "SchemaMismatch",
    "SerializationError",
    "SessionLost",
    "StaleMirror",
    "StateError",
    "error_from_status",
]


class StateError(Exception):
    """Root of everything that this package raises on purpose.

    `written`: of what stopped Device.update, the values by name of the fields that were written before.
    """

    written: Mapping[str, Any] = MappingProxyType({})


class AgentNotFound(StateError):
    """No agent has this id."""


class AgentAlreadyRegistered(StateError):
    """An agent with this id is registered already."""


class AreaNotFound(StateError):
    """No statistics are kept of this cortical area."""


class AreaLocked(StateError):
    """Somebody else has locked this cortical area."""


class NotLockOwner(StateError):
    """A cortical area is not locked, or by another owner."""


class RegionBusy(StateError):
    """Another process stopped while it was changing the region, or writes without a pause. Nothing was changed."""


class RegionClosed(StateError, ValueError):
    """The StateManager, or the view of a mirror, was closed: make another one."""


class CapacityError(StateError):
    """A table of the region is full, or an update has as many writes as it takes."""


class MemoryMapError(StateError):
    """A file or block of memory holds no region or mirror of this layout, or there is none."""


class SerializationError(StateError, ValueError):
    """Bytes are no valid frame, or values do not fit one."""


class PersistenceError(StateError):
    """A state could not be saved or loaded. Nothing was changed."""


class CommandRejected(StateError):
    """The device knows no such command, or answered with a status that this version does not know."""


class InvalidValue(StateError, ValueError):
    """A value is out of the range of its field."""


class InvalidField(StateError, AttributeError):
    """A state has no such field, or it is not the application's to write."""


class InvalidOperation(StateError, TypeError):
    """The field or the object takes no such operation: it is no counter, or mapped read-only."""


class LinkError(StateError):
    """The link to a device does not work.

    `may_have_run`: of a command that failed so, whether the device may have run it, once. False: it was not sent, and
    will not be.
    """

    may_have_run: bool = False


class PortError(LinkError):
    """A serial port cannot be used.

    `reason` is "absent", "busy", "permission", "gone" (it was there and went away) or "failed".
    """

    def __init__(self, message: str, reason: str = "failed") -> None:
        """`message`: one line for people, with the port's name."""
        super().__init__(message)
        self.reason = reason


class SchemaMismatch(LinkError):
    """Device and host have different ideas of the state's layout or of the frames.

    `device` and `host` are pairs (protocol version, schema hash).
    """

    def __init__(self, device: tuple[int, int], host: tuple[int, int], where: str = "the device") -> None:
        """`where`: the device, as a message names it."""
        self.device = device
        self.host = host
        newer = (
            "update feagi_state on the PC" if device[0] > host[0] else "install this version's feagi_state on the board"
        )
        super().__init__(
            f"{where} speaks protocol {device[0]} with schema 0x{device[1]:08x}, this host protocol {host[0]} with "
            f"schema 0x{host[1]:08x}: both must come from the same version; {newer}"
        )


class NotADevice(LinkError):
    """Something may be on the port, but it does not speak the link's protocol. `heard` is what it said."""

    def __init__(self, message: str, heard: bytes = b"") -> None:
        """`heard`: the bytes that came, shortened."""
        super().__init__(message)
        self.heard = heard


class CommandTimeout(LinkError):
    """A command was not answered in time. If it was sent, the device may have run it once, or not at all."""

    def __init__(self, message: str, may_have_run: bool = True) -> None:
        """`may_have_run`: whether it was sent."""
        super().__init__(message)
        self.may_have_run = may_have_run


class SessionLost(LinkError):
    """The session ended before a command was answered: the device may have run it once, or not at all."""

    may_have_run = True


class StaleMirror(LinkError):
    """The values are old: the link of this mirror is not live."""


# Statuses of the core and of replies by name.
STATUS: Final = {name: -number for number, (name, _, _) in spec.ERRORS.items()}

# What spec.toml calls the exceptions, and our classes of these kinds.
_CLASSES: Final[dict[str, type[StateError]]] = {
    "AgentNotFound": AgentNotFound,
    "AgentAlreadyRegistered": AgentAlreadyRegistered,
    "CapacityError": CapacityError,
    "ValueError": InvalidValue,
    "AttributeError": InvalidField,
    "MemoryMapError": MemoryMapError,
    "SerializationError": SerializationError,
    "CommandRejected": CommandRejected,
    "TypeError": InvalidOperation,
    "AreaLocked": AreaLocked,
    "NotLockOwner": NotLockOwner,
    "RegionBusy": RegionBusy,
}


def error_from_status(status: int, what: str = "") -> StateError:
    """The exception for a negative status of a reply or of the core, as spec.toml says. Any thread.

    `what` was attempted, and goes in front of the message. An unknown status becomes CommandRejected.
    """
    _, kind, text = spec.ERRORS.get(
        -status, ("", "CommandRejected", f"the device answered with the unknown status {status}")
    )
    return _CLASSES[kind](f"{what}: {text}" if what else text)
