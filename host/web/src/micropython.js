// The module feagi_state for MicroPython's WebAssembly port: a board's program works on a page's region.
import { AgentNotFound, AreaNotFound } from "./errors.js";
import { source } from "./micropython_module.js";
import * as spec from "./spec.js";

const ENUMS = ["AgentType", "BurstEngineState", "ConnectomeState", "EventKind", "GenomeState", "ServiceState"];
const facts = JSON.stringify({
    enums: Object.fromEntries(ENUMS.map((name) => [name, spec[name]])),
    fields: Object.entries(spec.CORE_FIELDS).map(([name, { type, writable }]) => [name, type, writable]),
    hashes: Object.keys(spec.HASHES_FIELDS),
    image_len: spec.IMAGE_LEN_BYTES,
    schema_hash: spec.SCHEMA_HASH,
});

const hashOf = (name) => name.replace(/_hash$/, "");
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// What Python asks for, by its name. Several values come in the order of their object.
const answers = (region) => ({
    get: (name) => region[name],
    real: (name) => String(region[name]), // JSON has no infinity
    set: (name, value) => void (region[name] = value),
    header: (name) => region[name],
    hash: (name) => region.hashes[hashOf(name)],
    set_hash: (name, value) => void (region.hashes[hashOf(name)] = value),
    add: (name, amount) => region.add(name, amount),
    subtract: (name, amount) => region.subtract(name, amount),
    register: (id, type, metadata) => region.agents.register(id, type, metadata),
    deregister: (id) => region.agents.deregister(id),
    heartbeat: (agent) => region.agents.heartbeat(agent),
    evict: (olderThan) => region.agents.evict(olderThan),
    agent: (id) => Object.values(found(region.agents.get(id), AgentNotFound, id, "no agent has this id")),
    agents: () => Array.from(region.agents, Object.values),
    try_lock: (area, owner) => region.cortical_locks.tryLock(area, owner),
    unlock: (area, owner) => region.cortical_locks.unlock(area, owner),
    take_over: (area, from, to) => region.cortical_locks.takeOver(area, from, to),
    lock_owner: (area) => region.cortical_locks.owner(area),
    locked_areas: () => Array.from(region.cortical_locks, ([area]) => area),
    window: (area) => region.fcl_windows.get(area),
    set_window: (area, window) => (area === null ? void (region.fcl_windows.default_window = window) : region.fcl_windows.set(area, window)),
    remove_window: (area) => region.fcl_windows.delete(area),
    windows: () => [...region.fcl_windows],
    init_stats: (id) => region.area_stats.init(id),
    stats: (id) => Object.values(found(region.area_stats.get(id), AreaNotFound, id, "no statistics are kept of this area")),
    set_stats: (id, ...counts) => region.area_stats.set(id, countsOf(counts)),
    change_stats: (id, ...counts) => region.area_stats.change(id, countsOf(counts)),
    emit: (kind, arg) => region.push(kind, arg),
    pop: () => {
        const event = region.pop();
        return event && [event.kind, event.arg, event.time_ms];
    },
    rejected: () => region.events.rejected,
    snapshot: () => toHex(region.snapshot()),
    restore: (image) => region.restore(image),
    read: (offset, length) => toHex(region.bytes().subarray(offset, offset + length)),
    digest: () => region.digest(),
    tick: (now) => region.tick(now),
});

function found(value, Kind, id, text) {
    if (value === undefined) {
        throw new Kind(`${id}: ${text}`);
    }
    return value;
}

const COUNTS = ["neuron_count", "incoming_synapse_count", "outgoing_synapse_count"];
const countsOf = (counts) => Object.fromEntries(counts.map((count, index) => [COUNTS[index], count]));

// Arguments as Python codes them.
function decoded(arg) {
    if (typeof arg !== "string") {
        return arg;
    }
    const text = arg.slice(1);
    if (arg[0] === "n") {
        const number = Number(text.replace("inf", "Infinity"));
        return /[.en]/.test(text) || Number.isSafeInteger(number) ? number : BigInt(text);
    }
    return arg[0] === "s" ? text : Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

// JSON with bigints, which Python reads.
function toJson(value) {
    if (typeof value === "bigint") {
        return String(value);
    }
    return Array.isArray(value) ? `[${value.map(toJson)}]` : JSON.stringify(value ?? null);
}

/** Gives a MicroPython the module feagi_state, whose state is this region. See micropython.d.ts. */
export function install(mp, region) {
    const calls = answers(region);
    const ask = (what, args) => {
        try {
            return toJson([null, calls[what](...JSON.parse(args).map(decoded))]);
        } catch (error) {
            return toJson([error.name, error.message]);
        }
    };
    mp.registerJsModule("_feagi_page", { facts, ask });
    mp.FS.mkdirTree("/lib");
    mp.FS.writeFile("/lib/feagi_state.py", source);
    mp.runPython('__import__("sys").modules.pop("feagi_state", None)'); // of a region before this one
}
