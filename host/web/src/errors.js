// What can go wrong: one tree, rooted at StateError. A message says what was wrong and what would be right.

/** Root of everything that this package throws on purpose. */
export class StateError extends Error {
    get name() {
        return this.constructor.name;
    }
}
/** No agent has this id, or this handle any more. */
export class AgentNotFound extends StateError {}
/** An agent with this id is registered already. */
export class AgentAlreadyRegistered extends StateError {}
/** No statistics are kept of this cortical area. */
export class AreaNotFound extends StateError {}
/** Somebody has locked this cortical area. */
export class AreaLocked extends StateError {}
/** A cortical area is not locked, or by another owner. */
export class NotLockOwner extends StateError {}
/** Another thread stopped while it was changing the region, or writes without a pause. Nothing was changed. */
export class RegionBusy extends StateError {}
/** The region was closed: open another one. */
export class RegionClosed extends StateError {}
/** A table of the region is full, or as many threads have it as can. */
export class CapacityError extends StateError {}
/** Bytes hold no region of this layout. */
export class MemoryMapError extends StateError {}
/** Bytes are no valid frame, or do not fit one. */
export class SerializationError extends StateError {}
/** A state could not be saved or loaded. Nothing was changed. */
export class PersistenceError extends StateError {}
/** A device refused a command, or answered with a status that this version does not know. */
export class CommandRejected extends StateError {}
/** A value is out of the range of its field. */
export class InvalidValue extends StateError {}
/** A state has no such field, or it is not the application's to write. */
export class InvalidField extends StateError {}
/** The field or the object takes no such operation, or not in this thread. */
export class InvalidOperation extends StateError {}
/** The link to a device does not work. */
export class LinkError extends StateError {}
/** A command was not answered in time. If it was sent, the device may have run it once, or not at all. */
export class CommandTimeout extends LinkError {}
/** The session ended before a command was answered: the device may have run it once, or not at all. */
export class SessionLost extends LinkError {}
