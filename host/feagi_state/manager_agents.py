"""The agents of a shared region."""

from __future__ import annotations

from typing import Final

from . import spec
from ._core import SharedRegion
from .checks import U32_MAX, milliseconds, text_bytes, whole
from .errors import STATUS, AgentNotFound, CapacityError, InvalidOperation, StateError, error_from_status
from .sections import AgentInfo, decode_agent, decode_agent_id, decode_agents
from .spec import AgentType

__all__ = ["AgentRegistry", "agent_type_of", "slots_in_use"]

_SECTION: Final = spec.SECTIONS["agents"]
LOOKS: Final = 1000  # at an entry that others replace meanwhile, before it is taken for damaged


def slots_in_use(slots: int) -> int:
    """How many entries a table of so many slots takes: a large one is at most half full."""
    return slots // 2 if slots > spec.SMALL_TABLE_SLOTS else slots


def agent_type_of(value: AgentType | int | str) -> AgentType:
    """An agent's type; text in any case, and text that names no type is sensory, as in FEAGI. Raises InvalidValue."""
    if isinstance(value, str):
        return AgentType.__members__.get(value.strip().upper(), AgentType.SENSORY)
    return AgentType(whole(value, "agent type", 0, max(AgentType)))


class AgentRegistry(SharedRegion):
    """Registers agents. `agent_count` and the registry never disagree, for nobody, at no instant.

    Ids have 1 to 31 bytes of UTF-8; metadata as many as the region's profile takes (`tiny` none, `micro` 24, `host`
    256). All of it from any thread of any process.
    """

    __slots__ = ()

    def register_agent(
        self,
        agent_id: str | bytes | AgentInfo,
        agent_type: AgentType | int | str = AgentType.SENSORY,
        metadata: str | bytes | None = None,
    ) -> int:
        """Registers an agent, and emits AGENT_REGISTERED. Returns its handle, which events name and `heartbeat` takes.

        `agent_type` may be a text in any case; unknown text means sensory, as in FEAGI. Empty metadata are none. An
        AgentInfo in place of all three gives its id, type and metadata; the times are the region's.

        Raises AgentAlreadyRegistered, CapacityError, InvalidValue, or RegionBusy; then nothing was changed.
        """
        if isinstance(agent_id, AgentInfo):
            if agent_type is not AgentType.SENSORY or metadata is not None:
                raise InvalidOperation("an AgentInfo says type and metadata itself: give nothing else with it")
            info = agent_id
            agent_id, agent_type, metadata = info.agent_id, info.agent_type, info.metadata
        name = text_bytes(agent_id, "agent id", 1, spec.AGENT_ID_LEN_BYTES)
        room = self._agent_len - spec.AGENT_LEN_BYTES
        handle = self._register(
            name,
            agent_type_of(agent_type),
            text_bytes(metadata or b"", "agent's metadata", 0, room, "this region's profile"),
        )
        if handle < 0:
            raise self._agent_error(handle, agent_id)
        return handle

    def deregister_agent(self, agent_id: str | bytes) -> None:
        """Removes an agent, and emits AGENT_DEREGISTERED. Raises AgentNotFound or RegionBusy."""
        status = self._deregister(_id_of(agent_id))
        if status < 0:
            raise self._agent_error(status, agent_id)

    def get_agent(self, agent_id: str | bytes) -> AgentInfo:
        """The agent with this id, as it is at one instant. Raises AgentNotFound."""
        name = _id_of(agent_id)
        for _ in range(LOOKS):
            slot = self._find_agent(name)
            if slot < 0:
                raise self._agent_error(slot, agent_id)
            entry = self._read_agent(slot)
            found = decode_agent(entry, slot) if entry is not None else None
            # Another agent may have taken the slot in between: then this one moved, or is not registered any more.
            if found is not None and found.agent_id.encode() == name:
                return found
        raise AgentNotFound(f"agent {agent_id!r} is another whenever it is looked at: the region is damaged")

    def get_agents(self) -> list[AgentInfo]:
        """The registered agents, in the order of their slots, all as they were at one instant."""
        return decode_agents(self._snapshot(*self._section(_SECTION)), self._agent_len)

    @property
    def agents(self) -> list[AgentInfo]:
        """The same as get_agents(), as on a mirror."""
        return self.get_agents()

    def evict_stale(self, older_than_s: float) -> int:
        """Removes every agent that was last seen more than so many seconds ago (0 or more), each with its event.

        Returns how many. Raises InvalidValue, or RegionBusy: those before it are removed then.
        """
        count = self._evict(milliseconds(older_than_s, "age"))
        if count < 0:
            raise error_from_status(count, "stale agents")
        return count

    def _agent_id(self, handle: int) -> str | None:
        """Id of the agent that has or had this handle, None if another one has had its slot since."""
        at, len_bytes = self._section(_SECTION)
        offset = (handle & 0xFFFF) * self._agent_len
        if offset >= len_bytes:
            return None
        return decode_agent_id(self._snapshot(at + offset, spec.AGENT_LEN_BYTES), handle)

    def _agent_error(self, status: int, agent_id: str | bytes) -> StateError:
        if status == STATUS["NOT_FOUND"]:
            return no_agent(agent_id)
        if status == STATUS["FULL"]:
            slots = self._section(_SECTION)[1] // self._agent_len
            return CapacityError(
                f"agent {agent_id!r} cannot be registered: there are {slots_in_use(slots)}, no more fit this region"
            )
        return error_from_status(status, f"agent {agent_id!r}")


def no_agent(agent: object) -> AgentNotFound:
    """What to say of an id, or a handle, that no agent has."""
    if isinstance(agent, int):
        return AgentNotFound(f"no agent has the handle {agent:#x}, or not any more")
    return AgentNotFound(f"no agent {agent!r} is registered")


def _id_of(agent_id: str | bytes) -> bytes:
    """An id to look for: no agent has one that is too long, which is no error of its own."""
    return text_bytes(agent_id, "agent id", 0, U32_MAX)
