"""The module `feagi_state` on a board: the state that this board owns, and the link that carries it to a PC.

    import feagi_state
    from machine import UART

    state = feagi_state.StateManager.instance()
    state.burst_engine_state = feagi_state.BurstEngineState.RUNNING
    state.add("neuron_count", 5)

    link = feagi_state.Link(UART(1, 115200), state, "my board")
    while True:
        link.poll()

All arguments are positional. One context uses a StateManager and its Link: the main program, with callbacks that the scheduler runs
between its bytecodes (soft timers, asyncio tasks). Hard interrupts use the C API, feagi_micropython.h, in a firmware that has the
module inside.
"""

from typing import Any, NamedTuple, Optional, Union

from _feagi_fields import (
    AgentType as AgentType,
    BurstEngineState as BurstEngineState,
    ConnectomeState as ConnectomeState,
    CoreFields,
    EventKind as EventKind,
    GenomeState as GenomeState,
    ServiceState as ServiceState,
)

Text = Union[str, bytes]

class StateError(Exception):
    """Root of this module's own errors. A wrong value is a ValueError, a wrong type a TypeError, a field that is not there or
    may not be written an AttributeError."""

class AgentNotFound(StateError):
    """No agent has this id."""

class AgentAlreadyRegistered(StateError):
    """An agent with this id is registered already."""

class CapacityError(StateError):
    """The table is full."""

class AreaNotFound(StateError):
    """No statistics are kept of this area."""

class NotLockOwner(StateError):
    """The area is not locked, or by another owner."""

class PersistenceError(StateError):
    """The state cannot be saved there, or what is there cannot be restored. Says why."""

class AgentInfo(NamedTuple):
    """One registered agent, as it was when it was asked for. The module makes the class when it is first wanted, and has no name for it."""

    agent_id: str
    agent_type: int  # AgentType
    registered_at: int  # ms, of the state's clock: see unix_time
    last_seen: int  # ms, of the state's clock
    metadata: str
    handle: int  # generation of the slot << 16 | number of the slot

class StateManager(CoreFields):
    """A region with all its state. memoryview(state) is the region itself, read-only.

    Writing burst_engine_state or genome_state emits an event when the value changes. A write out of range is a ValueError and
    changes nothing; a percentage above 100 is stored as 100.
    """

    boot_id: int
    """The region's boot id; read-only."""
    unix_time: bool
    """Whether times are Unix milliseconds, because a host has told the time of day through a Link; before, they are milliseconds
    since start. Read-only."""

    def __init__(self, profile: str = "micro", boot_id: int = ..., /) -> None:
        """Takes memory for a region of the profile: "tiny" 1.7 kB, "micro" 5 kB, "host" 361 kB. `boot_id`, 1 to 2^32-1, is made from the
        clock unless given, or 0. ValueError for an unknown profile or a boot_id that does not fit, MemoryError where there is no room."""

    @staticmethod
    def instance() -> StateManager:
        """The program's one state, of profile "micro" unless the firmware was built with another one: the same object at every call.
        A soft reset ends it, unless C of the firmware has a part in it (feagi_micropython.h): then it goes on."""

    def add(self, field: str, amount: int, /) -> int:
        """Adds to a counter, which stays at its maximum (2^32-1, or 2^64-1). Returns the value after it. AttributeError for no such
        field or one that is kept by feagi_state, TypeError for a field that is no counter, ValueError for an amount that does not fit."""

    def subtract(self, field: str, amount: int, /) -> int:
        """Subtracts from a counter, which stays at 0. Otherwise as add."""

    def register_agent(self, agent_id: Text, agent_type: int = ..., metadata: Optional[Text] = ..., /) -> int:
        """Registers an agent (AgentType.SENSORY unless given) and returns its handle. The id has 1 to 31 bytes of UTF-8, the metadata
        up to the profile's capacity (tiny: 0, micro: 24, host: 256). Raises AgentAlreadyRegistered, CapacityError, ValueError."""

    def deregister_agent(self, agent_id: Text, /) -> None:
        """Removes an agent. Raises AgentNotFound."""

    def heartbeat(self, agent: Union[Text, int], /) -> None:
        """Sets the last_seen of the agent with this id, or this handle, to now. By the handle no table is searched. Raises
        AgentNotFound, also where the handle's agent was deregistered and another one has its slot."""

    def evict_stale(self, older_than_ms: int, /) -> int:
        """Removes every agent that was seen last more than `older_than_ms` ago. How many."""

    def get_agent(self, agent_id: Text, /) -> AgentInfo:
        """The agent with this id. Allocates. Raises AgentNotFound."""

    def get_agents(self) -> list[AgentInfo]:
        """All registered agents. Allocates."""

    def try_lock(self, area: int, owner: int = 1, /) -> bool:
        """Locks a cortical area (0 to 2^32-1) for an owner (1 to 2^64-1). False if somebody has it, be it the same owner.
        CapacityError if the table has no room for another area."""

    def unlock(self, area: int, owner: int = 1, /) -> None:
        """Unlocks an area. Raises NotLockOwner if it is not locked, or by another."""

    def take_over(self, area: int, old_owner: int, new_owner: int, /) -> None:
        """Gives the lock of an owner that is gone to another one (0: to nobody). Raises NotLockOwner if `old_owner` does not have
        it any more."""

    def is_locked(self, area: int, /) -> bool:
        """Whether the area is locked."""

    def lock_owner(self, area: int, /) -> int:
        """Who has locked the area; 0: nobody."""

    def get_locked_areas(self) -> list[int]:
        """All locked areas. Allocates."""

    def get_fcl_window(self, area: int, /) -> int:
        """The area's FCL window, or the default (20 unless set)."""

    def set_fcl_window(self, area: Optional[int], window: int, /) -> None:
        """Gives an area a window of its own (0 to 2^32-1), or with None sets the default. CapacityError if there is no room."""

    def remove_fcl_window(self, area: int, /) -> bool:
        """Lets the area have the default again. Whether it had a window of its own."""

    def get_fcl_windows(self) -> dict[int, int]:
        """All areas that have a window of their own. Allocates."""

    def init_area_stats(self, area_id: Text, /) -> None:
        """Keeps statistics of an area from now on, or sets its counts to 0. The id has 1 to 16 bytes of UTF-8. CapacityError, ValueError."""

    def get_area_stats(self, area_id: Text, /) -> tuple[int, int, int]:
        """(neurons, incoming synapses, outgoing synapses). Allocates. Raises AreaNotFound."""

    def set_area_stats(self, area_id: Text, neurons: int, incoming: int = ..., outgoing: int = ..., /) -> None:
        """Stores the counts, 0 to 2^32-1 each; those that are not given stay. All at once to the link. Raises AreaNotFound, ValueError."""

    def change_area_stats(self, area_id: Text, neurons: int, incoming: int = 0, outgoing: int = 0, /) -> None:
        """Adds to the counts, or subtracts what is negative. They stay within 0 and 2^32-1. All at once to the link. Raises AreaNotFound,
        ValueError."""

    def emit(self, kind: int, arg: int = 0, /) -> bool:
        """Puts an event of the application into the ring: kind 256 to 65535, arg 0 to 2^32-1. False if the ring was full: the event is
        then counted and not kept."""

    def pop_event(self) -> Optional[tuple[int, int, int]]:
        """Takes the oldest event: (kind, arg, time_ms), or None. Only where no Link serves this state: the ring has one consumer."""

    def events_rejected(self) -> int:
        """Events that found the ring full since the start."""

    def save(self, target: Union[str, bytearray, memoryview, None] = None, /) -> Union[bytearray, int]:
        """Saves the state, without its events: to a file, to the beginning of a writable buffer (backup memory, for example), or with
        no target into a new bytearray. Returns that, or how many bytes it took: 1056 of profile "tiny", 2848 of "micro". The PC's StateManager.load and
        restore take the same bytes. A file is written beside its name, with ".new" behind it, and then renamed: a loss of power leaves
        the old one or the new one. A buffer that loses power meanwhile is found out when it is restored. Allocates the image. Raises
        PersistenceError for a file that cannot be written, ValueError for a buffer that is too short.

        save, restore and load need feagi_files.mpy on the board, beside the module; ImportError says so."""

    def restore(self, source: Union[str, bytes, bytearray, memoryview], /) -> None:
        """Makes the state what was saved to a file or buffer, here or on a PC. Fields, hashes, agents, windows and statistics are
        replaced; what changes emits its events, and a Link carries it. `version` and the locks go on; agents that come are registered, and
        seen, now. A writable buffer may be longer than what was saved to it. Raises PersistenceError, which says what is wrong with it
        (truncated, damaged, of another layout, version or profile); then nothing was changed."""

    @staticmethod
    def load(source: Union[str, bytes, bytearray, memoryview], /) -> StateManager:
        """A new state with what was saved to a file or buffer, and of its profile; nothing in it is locked. Raises as restore, and
        MemoryError."""

    def readinto(self, buffer: Union[bytearray, memoryview], offset: int = 128, /) -> int:
        """Copies the region from an offset on, 128 being the core block's, into a writable buffer, as far as both go. Each 128 bytes are of
        one instant, so the core block is. Returns how many bytes. For programs that look at many fields at once: cheaper than three of
        them one by one."""

    def digest(self) -> int:
        """CRC-32 of all that a link mirrors."""

    def tick(self, now_ms: int = ..., /) -> None:
        """Brings the state's clock up to date, as Link.poll does. With `now_ms`, milliseconds since start, the clock is the
        application's from now on: it stands still between calls, and hosts do not set it."""

class Link:
    """The device's side of a link over any stream: a UART, a USB VCP, or sys.stdin.buffer with sys.stdout.buffer. That one is the
    prompt's line too: hosts send nothing there that a prompt obeys, and Ctrl-C ends the program as ever (feagi_serve.share does this)."""

    up: bool
    """Whether a host has a session; read-only."""
    session: int
    """Id of the session that runs or is offered; read-only."""
    rejected: int
    """Segments of input that were no frame of the present session; read-only."""

    def __init__(self, stream: Any, state: Optional[StateManager] = ..., name: Optional[str] = ..., out: Any = ..., /) -> None:
        """Serves the state from now on; a Link that was made for it before is done with. `stream` is read, and written too unless
        `out` is given. `state`: StateManager.instance() unless given. `name`, up to 24
        bytes, is what hosts call the board. OSError for what is no stream, ValueError for a name that is too long."""

    def poll(self) -> bool:
        """Takes up to 128 bytes that arrived, sends up to 8 frames that are due, at most 1,000 bytes, and never waits for the
        host. Call it every few milliseconds, at least every quarter of an hour. The most that it does, when a session begins and
        commands come with it, is 74,000 instructions on a Cortex-M3 (94,000 on an M0) and what the stream takes for these bytes;
        one changed word takes about 830. The stream must keep 192 bytes between two polls (rxbuf=256 for a UART): a host sends
        no more before they are taken. Returns `up`. OSError if the stream fails, StateError if another Link serves the state now."""

    def log(self, level: int, text: Text) -> bool:
        """Sends a line to the log of the host, `feagi_state.device` of Python's logging: level 10 (debug) to 50 (critical), and what
        fits 144 bytes of the text. It is said once, and may be lost with its frame. Never waits: False if there is no host, or the
        stream has no room. ValueError for what is not UTF-8. Not from a hard interrupt."""

def frame_encode(kind: int, seq: int, payload: Text, session: int, /) -> bytes:
    """A frame with this payload (CBOR items) between its zeros. ValueError if it is too long."""

def frame_decode(wire: Text, session: int, /) -> Optional[tuple[int, int, bytes]]:
    """(kind, seq, payload) of the first valid frame in the bytes, or None."""

def schema_hash() -> int:
    """The schema hash of this module's layout."""
