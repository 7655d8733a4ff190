// feagi-state: FEAGI's runtime state in the browser, in the same region as on boards and hosts.
//
// Data has the names of shared_spec/spec.toml. A u64 is a bigint, other numbers are numbers; times and spans are milliseconds. What a
// method throws is a StateError unless it is a TypeError for an argument of the wrong type; what is thrown has changed nothing.
import type { CoreFields, Counter, HashFields, Profile } from "./src/spec.js";

export type { CoreFields, Counter, HashFields, Profile };
export {
    AgentType,
    BurstEngineState,
    ConnectomeState,
    EventKind,
    GenomeState,
    SCHEMA_HASH,
    ServiceState,
} from "./src/spec.js";

/** What is known of a field of the core block. */
export interface Field {
    readonly index: number;
    /** Bytes from the block's start. */
    readonly offset: number;
    readonly type: "u8" | "bool" | "u32" | "f32" | "u64";
    /** Bytes. */
    readonly size: number;
    /** Largest value that it takes; a percentage above is stored as this. */
    readonly maximum: number | bigint;
    /** Whether the application may write it. */
    readonly writable: boolean;
    /** Name of the enum that its values are of, or "". */
    readonly enum: string;
    readonly unit: string;
    readonly doc: string;
}
export const CORE_FIELDS: { readonly [Name in keyof CoreFields]: Field };
/** Capacities of the profiles' regions. */
export const PROFILES: {
    readonly [Name in Profile]: {
        readonly id: number;
        readonly agents: number;
        /** Bytes of metadata that an agent may have. */
        readonly agent_metadata_len: number;
        readonly cortical_locks: number;
        readonly fcl_windows: number;
        readonly area_stats: number;
        readonly events: number;
        /** Bytes. */
        readonly region_len: number;
    };
};

/** A text, or its UTF-8. */
export type Text = string | Uint8Array;
export type Bytes = Uint8Array | ArrayBuffer;

// ---- Regions

export interface OpenOptions {
    /** Whether other threads may attach. Where threads cannot be had the region is of one thread, and its `reason` says why. */
    threaded?: boolean;
    /** Capacities; "micro" unless given, or that of `snapshot` or `region`. */
    profile?: Profile;
    /** The region's boot id, 1 to 2^32-1; random unless given. */
    bootId?: number;
    /** Times are what `tick` says, milliseconds since start, in place of the time of day. */
    manualClock?: boolean;
    /** A saved state that the region begins with: of `Region.snapshot`, or a file that a host or a board saved. */
    snapshot?: Bytes;
    /** A region that this one is a copy of, its boot id, locks and events included: of `Region.bytes`, or a host's file. */
    region?: Bytes;
    /** The compiled feagi_state.wasm, or feagi_state_threaded.wasm for several threads, in place of the embedded one. */
    module?: WebAssembly.Module;
}

/** Opens a new region. Throws InvalidValue, PersistenceError (`snapshot`) or MemoryMapError (`region`, `module`). */
export function open(options?: OpenOptions): Promise<Region>;

/** What `attach` takes: can be posted to a worker. Good for one thread. */
export interface Handle {
    readonly module: WebAssembly.Module;
    readonly memory: WebAssembly.Memory;
    /** The thread's number, which is the owner of its cortical locks. */
    readonly owner: number;
}

/** Attaches this thread, most often a worker, to a region of another one. Throws InvalidOperation for a handle that was used. */
export function attach(handle: Handle): Promise<Region>;

/** Whether regions of several threads can be had here, and if not, why. */
export function threads(): { readonly available: boolean; readonly reason: string | null };

export interface Wait {
    /** [ms]; for ever unless given. */
    timeout?: number;
}

/**
 * One thread's hold on a region. Fields are its properties; a read is one atomic load. A write is atomic, checked, counted in
 * `version`, and seen by all threads; a change of burst_engine_state or genome_state is also an event.
 *
 * Several threads may write everything at the same time. What takes more than one word (agents, statistics, events, restore) waits
 * for others that do such a thing, and throws RegionBusy after a second of it.
 */
export interface Region extends CoreFields {
    /** Whether other threads may attach. */
    readonly threaded: boolean;
    /** Why it is of one thread although threads were asked for; else null. */
    readonly reason: string | null;
    /** This thread's number: the owner of the cortical locks that it takes. */
    readonly owner: number;
    readonly profile: Profile;
    readonly boot_id: number;
    /** Whether times are Unix milliseconds. */
    readonly unix_time: boolean;

    readonly hashes: HashFields;
    readonly agents: Agents;
    readonly cortical_locks: CorticalLocks;
    readonly fcl_windows: FclWindows;
    readonly area_stats: AreaStats;
    readonly events: Events;

    /** Adds to a counter, which stays at its maximum. The value after it. */
    add<Name extends Counter>(name: Name, amount?: number | bigint): CoreFields[Name];
    /** Subtracts from a counter, which stays at 0. The value after it. */
    subtract<Name extends Counter>(name: Name, amount?: number | bigint): CoreFields[Name];

    /** Puts an event of the application into the ring: kind 256 to 65535, arg 0 to 2^32-1. False if it was full: the event is counted in
     * `events.rejected` and not kept. Any thread. */
    push(kind: number, arg?: number): boolean;
    /** Takes the oldest event, null if there is none. One thread only: the ring has one consumer. */
    pop(): Event | null;
    /** Takes all events, or so many at most. As `pop`. */
    drain(most?: number): Event[];

    /** Resolves with true when anything was written, by whatever thread, since this said so last or, at first, since the region was
     * opened here; with false after `timeout`. Throws RegionClosed if this thread closes the region meanwhile. */
    changed(options?: Wait): Promise<boolean>;
    /** The same, blocking: of several threads, in a worker. Throws InvalidOperation elsewhere. */
    waitSync(options?: Wait): boolean;

    /** The state at one instant, without its events: unshared bytes, what a host or a board saves to a file. */
    snapshot(): Uint8Array<ArrayBuffer>;
    /** Makes the state what was saved. `version` and the locks go on, what changes emits its events. In a region of one thread, as on a
     * board, agents that come are registered, and seen, now. Throws PersistenceError or CapacityError. */
    restore(snapshot: Bytes): void;
    /** The region's bytes as they lie there, events included; not of one instant while others write. */
    bytes(): Uint8Array<ArrayBuffer>;
    /** CRC-32 of all that a link mirrors; not of one instant while others write. */
    digest(): number;
    /** Sets the time [ms] of this thread's writes. Only with `manualClock`. */
    tick(now: number): void;

    /** What one more thread attaches by. Throws CapacityError if 16 threads have the region, InvalidOperation if it is of one. */
    handle(): Handle;
    /** After terminate() of a worker that did not close: waits until it has stopped, then gives back its place and its cortical locks.
     * False if it had closed. In Node, which has nothing to wait for, after `await worker.terminate()`. Throws RegionBusy if it goes on. */
    release(handle: Handle): Promise<boolean>;
    /** Ends this thread's part, and gives its cortical locks back. Others go on. */
    close(): void;
}

export interface Event {
    /** EventKind, or the application's from 256 on. */
    readonly kind: number;
    /** The new state, the agent's handle, or the application's. */
    readonly arg: number;
    /** Low 32 bits of the time [ms]. */
    readonly time_ms: number;
}

export interface Events {
    readonly capacity: number;
    /** Events since start, modulo 2^32. */
    readonly head: number;
    /** Events that were taken, modulo 2^32. */
    readonly tail: number;
    /** Events that found the ring full, modulo 2^32. */
    readonly rejected: number;
}

export interface Agent {
    readonly agent_id: string;
    /** AgentType. */
    readonly agent_type: number;
    readonly registered_at: bigint;
    readonly last_seen: bigint;
    readonly metadata: string;
    readonly handle: number;
}

/** The registered agents; iteration gives a copy of each. */
export interface Agents extends Iterable<Agent> {
    readonly capacity: number;
    /** Registers an agent, AgentType.SENSORY unless given: an id of 1 to 31 bytes, metadata up to the profile's capacity. Its handle.
     * Throws AgentAlreadyRegistered, CapacityError, InvalidValue. */
    register(id: Text, type?: number, metadata?: Text): number;
    /** Throws AgentNotFound. */
    deregister(id: Text): void;
    /** Sets last_seen of the agent with this id, or this handle, without a search. Throws AgentNotFound. */
    heartbeat(agent: Text | number): void;
    /** Deregisters who was seen last more than so many ms ago. How many. */
    evict(olderThan: number): number;
    get(id: Text): Agent | undefined;
    has(id: Text): boolean;
}

/** Locks of cortical areas; iteration gives [area, owner] of those that are locked. Owners are 1 to 2^64-1, `Region.owner` unless given. */
export interface CorticalLocks extends Iterable<[area: number, owner: bigint]> {
    readonly capacity: number;
    /** False if somebody has it, be it the same owner. Throws CapacityError. */
    tryLock(area: number, owner?: number | bigint): boolean;
    /** Throws NotLockOwner. */
    unlock(area: number, owner?: number | bigint): void;
    /** Gives the lock of an owner to another one (0: to nobody). Throws NotLockOwner. */
    takeOver(area: number, from: number | bigint, to: number | bigint): void;
    /** Who has locked the area; 0n: nobody. */
    owner(area: number): bigint;
    has(area: number): boolean;
}

/** FCL windows of areas; iteration gives [area, window] of those that have one of their own. */
export interface FclWindows extends Iterable<[area: number, window: number]> {
    readonly capacity: number;
    /** The window of areas that have none of their own. */
    default_window: number;
    /** The area's window, or the default. */
    get(area: number): number;
    /** Throws CapacityError. */
    set(area: number, window: number): void;
    /** Lets the area have the default again. Whether it had one of its own. */
    delete(area: number): boolean;
}

export interface Stats {
    readonly neuron_count: number;
    readonly incoming_synapse_count: number;
    readonly outgoing_synapse_count: number;
}

/** Statistics of areas, by ids of 1 to 16 bytes; iteration gives [id, counts]. */
export interface AreaStats extends Iterable<[id: string, counts: Stats]> {
    readonly capacity: number;
    /** Keeps an area's counts from now on, or sets them to 0. Throws CapacityError, InvalidValue. */
    init(id: Text): void;
    /** Stores the counts that are given, all at once. Throws AreaNotFound. */
    set(id: Text, counts: Partial<Stats>): void;
    /** Adds to the counts that are given, or subtracts what is below 0, all at once; they stay within 0 and 2^32-1. Throws AreaNotFound. */
    change(id: Text, counts: Partial<Stats>): void;
    get(id: Text): Stats | undefined;
    has(id: Text): boolean;
}

// ---- Saved states

/**
 * Opens the store of this name in IndexedDB, which one tab has at a time. Where storage is refused it is kept in memory: `durable` is
 * false, and `reason` says why. Throws PersistenceError if the store is open already.
 */
export function openStore(name: string): Promise<Store>;

/** A saved state, and the one that was saved before it. */
export interface Store {
    readonly name: string;
    /** Whether what is saved outlives the page, the browser, and the machine's power. */
    readonly durable: boolean;
    readonly reason: string | null;
    /** What is wrong with the newest state, if the last `load` gave the one before it; else null. */
    readonly fault: string | null;
    /** Saves what `Region.snapshot` gave. When it resolves, the state is on the disk. Throws PersistenceError. */
    save(snapshot: Bytes): Promise<void>;
    /** The newest saved state that is whole, null if nothing was saved. Throws PersistenceError if none is whole. */
    load(): Promise<Uint8Array<ArrayBuffer> | null>;
    close(): void;
}

// ---- Links

/** Anything shaped like a SerialPort of Web Serial. */
export interface Port {
    readonly readable: ReadableStream<Uint8Array> | null;
    readonly writable: WritableStream<Uint8Array> | null;
    /** Called if there is no `readable` yet. */
    open(options: { baudRate: number; bufferSize: number }): Promise<void>;
    close(): Promise<void>;
    /** If it is there, the event "disconnect" ends the use of the port. */
    addEventListener?(type: "disconnect", listener: () => void): void;
    removeEventListener?(type: "disconnect", listener: () => void): void;
}

/** A WebSocket with the face of a SerialPort. It has no signals and no baud rate: the host has the board's port. */
export interface WebSocketPort extends Omit<Port, keyof EventTarget>, EventTarget {
    /** Connects; again after `close`, or after the connection was lost, which is a `disconnect` event. Rejects with LinkError. */
    open(options?: unknown): Promise<void>;
    /** Why the connection was lost, by the other side's words; null while there is one, and after `close`. */
    readonly closed: { readonly code: number; readonly reason: string } | null;
    getInfo(): Record<string, never>;
    setSignals(): Promise<void>;
}

/** What makes connections: a browser's WebSocket, or that of npm's `ws`. */
export type WebSocketConstructor = new (url: string) => object;

/**
 * A port for `connect` that reaches a board through a host: `url` is that of a board of `feagi-state serve --http`, token included. Binary
 * messages carry the link's frames. `WebSocket` is the global one unless given (Node 20 has none). Throws LinkError, TypeError.
 */
export function webSocketPort(url: string | URL, options?: { WebSocket?: WebSocketConstructor }): WebSocketPort;

/** What a device says of itself. */
export interface Hello {
    readonly proto: number;
    readonly schema: number;
    /** Id of the session that it offers. */
    readonly boot: number;
    readonly mtu: number;
    readonly npages: number;
    readonly rxbuf: number;
    /** [ms] */
    readonly uptime: number;
    readonly name: string;
}

export type State = "CONNECTING" | "LIVE" | "STALE" | "CLOSED";

/** What is called when something happens on the line; each may be missing. */
export interface ConnectOptions {
    /** 115200 unless given. */
    baudRate?: number;
    state?(state: State): void;
    sessionStarted?(hello: Hello): void;
    sessionEnded?(reason: string): void;
    event?(kind: number, arg: number, time_ms: number): void;
    /** Bytes between frames, as a REPL or print() sends them, all of them. */
    text?(bytes: Uint8Array): void;
    log?(level: number, message: string): void;
    /** A device of another version said hello; nothing was answered. */
    mismatch?(hello: Hello): void;
}

/** Links with the device on a port: the host's role, over any number of its sessions. The program on the device goes on, whatever it does:
 * nothing is sent that a prompt obeys, and the port's signals stay as the system sets them. Rejects with what `open` rejects with. */
export function connect(port: Port, options?: ConnectOptions): Promise<Link>;

export interface CommandOptions {
    /** [ms]; 5000 unless given. */
    timeout?: number;
}

/** Commands run at most once. They throw CommandTimeout, SessionLost or LinkError, and what the device says is wrong. */
export interface Link {
    /** The device's region, null before its first copy is complete. It is read-only, and current while `state` is "LIVE"; `changed` tells of
     * what arrives. After a device with other capacities has come it is another object. */
    readonly mirror: Region | null;
    readonly state: State;
    readonly hello: Hello | null;
    /** Whether it has a port: false once that was lost, until `use` gave it one. */
    readonly hasPort: boolean;
    readonly counters: {
        readonly frames: number;
        readonly deltas: number;
        readonly events: number;
        readonly events_lost: number;
        readonly commands: number;
        readonly naks: number;
        readonly text_bytes: number;
        readonly sessions: number;
    };
    /** Least round trip of the recent pings [ms]. */
    readonly roundTrip: number;
    /** Sets a field. Resolves with the value after it. */
    set<Name extends keyof CoreFields>(name: Name, value: CoreFields[Name], options?: CommandOptions): Promise<CoreFields[Name]>;
    add<Name extends Counter>(name: Name, amount?: number | bigint, options?: CommandOptions): Promise<CoreFields[Name]>;
    subtract<Name extends Counter>(name: Name, amount?: number | bigint, options?: CommandOptions): Promise<CoreFields[Name]>;
    /** CRC-32 of all pages, the device's and the mirror's of the same instant; `mirror` is null where a loss kept them apart: ask again. */
    digest(options?: CommandOptions): Promise<{ device: number; mirror: number | null }>;
    /** Goes on with another port, or the same one, after the one that it had was lost: a board that was plugged in again is another
     * SerialPort in some browsers. Rejects with what `open` rejects with, and with LinkError while it has a port or after `close`. */
    use(port: Port, options?: { baudRate?: number }): Promise<void>;
    /** Ends the link and closes the port. The mirror keeps its last values. */
    close(): Promise<void>;
}

// ---- Frames of the link

/** The core's codec of frames (shared_spec/LINK.md). */
export interface Frames {
    /** A frame on the wire. `payload`: CBOR items; `session`: the CRC's start value. Throws SerializationError. */
    encode(kind: number, seq: number, payload: Uint8Array, session?: number): Uint8Array<ArrayBuffer>;
    /** The first valid frame in up to 1024 bytes, or null. */
    decode(wire: Uint8Array, session?: number): { kind: number; seq: number; payload: Uint8Array<ArrayBuffer> } | null;
}
export function openFrames(options?: { threaded?: boolean; module?: WebAssembly.Module }): Promise<Frames>;

// ---- Errors

/** Root of everything that this package throws on purpose. */
export class StateError extends Error {}
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
/** Another thread stopped while it was changing the region, or writes without a pause. */
export class RegionBusy extends StateError {}
/** The region was closed. */
export class RegionClosed extends StateError {}
/** A table of the region is full, or as many threads have it as can. */
export class CapacityError extends StateError {}
/** Bytes hold no region of this layout. */
export class MemoryMapError extends StateError {}
/** Bytes are no valid frame, or do not fit one. */
export class SerializationError extends StateError {}
/** A state could not be saved or loaded. */
export class PersistenceError extends StateError {}
/** The link to a device does not work. */
export class LinkError extends StateError {}
/** A command was not answered in time. If it was sent, the device may have run it once, or not at all. */
export class CommandTimeout extends LinkError {}
/** The session ended before a command was answered: the device may have run it once, or not at all. */
export class SessionLost extends LinkError {}
/** A device refused a command, or answered with a status that this version does not know. */
export class CommandRejected extends StateError {}
/** A value is out of the range of its field. */
export class InvalidValue extends StateError {}
/** A state has no such field, or it is not the application's to write. */
export class InvalidField extends StateError {}
/** The field or the object takes no such operation, or not in this thread. */
export class InvalidOperation extends StateError {}
