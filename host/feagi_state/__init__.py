"""FEAGI's runtime state of a microcontroller, live on the PC.

`connect(port)` serves a device on a serial port and keeps a mirror of its state; `attach(name)` reads that mirror
from any other process, without locks and at memory speed. `StateManager` is a state of the PC's own, private or shared
between processes.
"""

from __future__ import annotations

from . import spec
from ._core import SCHEMA_HASH
from .changes import Change, ChangeStream
from .connecting import connect
from .device import Device
from .errors import (
    AgentAlreadyRegistered,
    AgentNotFound,
    AreaLocked,
    AreaNotFound,
    CapacityError,
    CommandRejected,
    CommandTimeout,
    InvalidField,
    InvalidOperation,
    InvalidValue,
    LinkError,
    MemoryMapError,
    NotADevice,
    NotLockOwner,
    PersistenceError,
    PortError,
    RegionBusy,
    RegionClosed,
    SchemaMismatch,
    SerializationError,
    SessionLost,
    StaleMirror,
    StateError,
)
from .events import Event, EventStream
from .fleet import Fleet
from .manager import StateManager
from .mirror import LinkInfo, MirrorView, StateView, attach, mirrors
from .recorder import Recorder, RecorderSummary
from .recording import Recording, RecordingMessage
from .replay import Replay
from .sections import AgentInfo, AreaStats
from .snapshot import Snapshot
from .spec import (
    AgentType,
    BurstEngineState,
    ConnectomeState,
    EventKind,
    GenomeState,
    LinkState,
    ServiceState,
)

if SCHEMA_HASH != spec.SCHEMA_HASH:
    raise ImportError(
        f"the compiled core has schema 0x{SCHEMA_HASH:08x}, spec.py 0x{spec.SCHEMA_HASH:08x}: "
        "build the package again (pip install)"
    )

__version__ = "0.1.0"

__all__ = [
    "AgentAlreadyRegistered",
    "AgentInfo",
    "AgentNotFound",
    "AgentType",
    "AreaLocked",
    "AreaNotFound",
    "AreaStats",
    "BurstEngineState",
    "CapacityError",
    "Change",
    "ChangeStream",
    "CommandRejected",
    "CommandTimeout",
    "ConnectomeState",
    "Device",
    "Event",
    "EventKind",
    "EventStream",
    "Fleet",
    "GenomeState",
    "InvalidField",
    "InvalidOperation",
    "InvalidValue",
    "LinkError",
    "LinkInfo",
    "LinkState",
    "MemoryMapError",
    "MirrorView",
    "NotADevice",
    "NotLockOwner",
    "PersistenceError",
    "PortError",
    "Recorder",
    "RecorderSummary",
    "Recording",
    "RecordingMessage",
    "RegionBusy",
    "RegionClosed",
    "Replay",
    "SchemaMismatch",
    "SerializationError",
    "ServiceState",
    "SessionLost",
    "Snapshot",
    "StaleMirror",
    "StateError",
    "StateManager",
    "StateView",
    "__version__",
    "attach",
    "connect",
    "mirrors",
]
