// The region's sections, each an object with the spec's name. Iterators and `get` make copies of what is there at that moment.
import { AgentNotFound, AreaNotFound } from "./errors.js";
import { big, span, whole } from "./numbers.js";
import { AGENT_FIELDS, AGENT_LEN_BYTES, AgentType, HASHES_AT, HASHES_FIELDS, RING_FIELDS } from "./spec.js";
import { errorFromStatus, statusOf } from "./status.js";

// The core's errors that are answers here.
const [NOT_FOUND, FULL, LOCKED] = ["NOT_FOUND", "FULL", "LOCKED"].map(statusOf);

class Section {
    #core;

    constructor(core, capacity) {
        this.#core = core;
        /** Entries that there is room for. */
        this.capacity = capacity;
    }

    get core() {
        return this.#core;
    }

    /** Throws the error of a status, if it is one. `what`: what was attempted, made only then. */
    done(status, what) {
        if (status < 0) {
            throw errorFromStatus(status, what());
        }
        this.#core.wrote();
        return status;
    }
}

export class Hashes {
    static {
        for (const [name, { index, offset }] of Object.entries(HASHES_FIELDS)) {
            Object.defineProperty(this.prototype, name, {
                enumerable: true,
                get() {
                    return Atomics.load(this.#core.u64, (this.#core.region + HASHES_AT + offset) / 8);
                },
                set(value) {
                    this.#core.calls.write_hash(this.#core.seat, index, big(value, name));
                    this.#core.wrote();
                },
            });
        }
    }

    #core;

    constructor(core) {
        this.#core = core;
    }
}

export class Agents extends Section {
    register(id, type = AgentType.SENSORY, metadata = "") {
        const { core } = this;
        const idLength = core.putId(id);
        const metadataLength = core.putMetadata(metadata, idLength);
        const status = core.calls.agent_register(core.seat, idLength, whole(type, "the agent's type"), metadataLength);
        this.done(status, () => `register ${name(id)}`);
        return core.result();
    }

    deregister(id) {
        const { core } = this;
        this.done(core.calls.agent_deregister(core.seat, core.putId(id)), () => `deregister ${name(id)}`);
    }

    heartbeat(agent) {
        const { calls, seat } = this.core;
        const status =
            typeof agent === "number"
                ? calls.agent_heartbeat_handle(seat, whole(agent, "the agent's handle"))
                : calls.agent_heartbeat(seat, this.core.putId(agent));
        if (status === NOT_FOUND && typeof agent === "number") {
            throw new AgentNotFound(`heartbeat: no agent has the handle ${agent} (any more)`);
        }
        this.done(status, () => `heartbeat of ${name(agent)}`);
    }

    evict(olderThan) {
        const { calls, seat } = this.core;
        const longest = Math.min(Math.ceil(span(olderThan, "older than")), Number.MAX_SAFE_INTEGER);
        return this.done(calls.agents_evict(seat, longest), () => "evict");
    }

    get(id) {
        const slot = this.core.calls.agent_find(this.core.seat, this.core.putId(id));
        return slot < 0 ? undefined : this.#at(slot);
    }

    has(id) {
        return this.core.calls.agent_find(this.core.seat, this.core.putId(id)) >= 0;
    }

    *[Symbol.iterator]() {
        for (let slot = 0; slot < this.capacity; slot++) {
            const agent = this.#at(slot);
            if (agent) {
                yield agent;
            }
        }
    }

    #at(slot) {
        const { core } = this;
        if (!core.calls.agent_read(core.seat, slot)) {
            return undefined;
        }
        const view = new DataView(core.memory.buffer, core.text);
        const at = (field) => AGENT_FIELDS[field].offset;
        return {
            agent_id: core.getText(core.text + at("id"), view.getUint8(at("id_len"))),
            agent_type: view.getUint8(at("agent_type")),
            registered_at: view.getBigUint64(at("registered_at"), true),
            last_seen: view.getBigUint64(at("last_seen"), true),
            metadata: core.getText(core.text + AGENT_LEN_BYTES, view.getUint16(at("metadata_len"), true)),
            handle: view.getUint16(at("generation"), true) * 0x10000 + slot,
        };
    }
}

export class CorticalLocks extends Section {
    #self;

    constructor(core, capacity, self) {
        super(core, capacity);
        this.#self = BigInt(self);
    }

    tryLock(area, owner = this.#self) {
        const { calls, seat } = this.core;
        const status = calls.lock_take(seat, whole(area, "the area"), big(owner, "the owner"));
        if (status === LOCKED) {
            return false;
        }
        this.done(status, () => `lock area ${area} for ${owner}`);
        return true;
    }

    unlock(area, owner = this.#self) {
        this.takeOver(area, owner, 0n);
    }

    takeOver(area, from, to) {
        const { calls, seat } = this.core;
        const status = calls.lock_give(seat, whole(area, "the area"), big(from, "the owner"), big(to, "the next owner"));
        this.done(status, () => `give area ${area} from ${from} to ${to}`);
    }

    owner(area) {
        return BigInt.asUintN(64, this.core.calls.lock_owner(this.core.seat, whole(area, "the area")));
    }

    has(area) {
        return this.owner(area) !== 0n;
    }

    *[Symbol.iterator]() {
        const { core } = this;
        for (let slot = 0; slot < this.capacity; slot++) {
            if (core.calls.lock_at(core.seat, slot)) {
                yield [core.result(0), core.result64At(1)];
            }
        }
    }
}

export class FclWindows extends Section {
    get(area) {
        return this.core.calls.window(this.core.seat, whole(area, "the area")) >>> 0;
    }

    set(area, window) {
        const { calls, seat } = this.core;
        const status = calls.window_set(seat, whole(area, "the area"), whole(window, "the window"));
        this.done(status, () => `set the window of area ${area}`);
    }

    delete(area) {
        return this.done(this.core.calls.window_remove(this.core.seat, whole(area, "the area")), () => "delete") === 1;
    }

    get default_window() {
        return this.core.calls.window_default(this.core.seat) >>> 0;
    }

    set default_window(window) {
        this.core.calls.window_set_default(this.core.seat, whole(window, "the window"));
        this.core.wrote();
    }

    *[Symbol.iterator]() {
        const { core } = this;
        for (let slot = 0; slot < this.capacity; slot++) {
            if (core.calls.window_at(core.seat, slot)) {
                yield [core.result(0), core.result(1)];
            }
        }
    }
}

const COUNTS = ["neuron_count", "incoming_synapse_count", "outgoing_synapse_count"];
const [SET, ADD, SUBTRACT] = [1, 2, 3]; // FEAGI_STATS_*

export class AreaStats extends Section {
    init(id) {
        this.done(this.core.calls.stats_init(this.core.seat, this.core.putId(id)), () => `statistics of ${name(id)}`);
    }

    get(id) {
        const slot = this.core.calls.stats_find(this.core.seat, this.core.putId(id));
        return slot < 0 ? undefined : this.#at(slot)?.[1];
    }

    has(id) {
        return this.core.calls.stats_find(this.core.seat, this.core.putId(id)) >= 0;
    }

    /** Stores those counts that are given, all at once. */
    set(id, counts) {
        this.#update(id, counts, (count, what) => [SET, whole(count, what)]);
    }

    /** Adds to those counts that are given, or subtracts what is below 0, all at once. */
    change(id, counts) {
        this.#update(id, counts, (count, what) => [count < 0 ? SUBTRACT : ADD, whole(Math.abs(count), what)]);
    }

    #update(id, counts, change) {
        const { core } = this;
        const unknown = Object.keys(counts).find((key) => !COUNTS.includes(key));
        if (unknown !== undefined) {
            throw new TypeError(`statistics have no ${unknown}: they have ${COUNTS.join(", ")}`);
        }
        const changes = COUNTS.map((key) => (counts[key] === undefined ? [0, 0] : change(counts[key], key)));
        const kinds = changes.reduce((all, [kind], index) => all | (kind << (2 * index)), 0);
        const status = core.calls.stats_update(core.seat, core.putId(id), kinds, ...changes.map(([, value]) => value));
        if (status === NOT_FOUND) {
            throw new AreaNotFound(`no statistics are kept of ${name(id)}: init(id) first`);
        }
        this.done(status, () => `statistics of ${name(id)}`);
    }

    *[Symbol.iterator]() {
        for (let slot = 0; slot < this.capacity; slot++) {
            const entry = this.#at(slot);
            if (entry) {
                yield entry;
            }
        }
    }

    #at(slot) {
        const { core } = this;
        const length = core.calls.stats_at(core.seat, slot);
        if (!length) {
            return undefined;
        }
        return [core.getText(core.text, length), Object.fromEntries(COUNTS.map((key, index) => [key, core.result(index)]))];
    }
}

export class Events extends Section {
    #at;

    constructor(core, capacity, at) {
        super(core, capacity);
        this.#at = at;
    }

    static {
        for (const field of ["head", "tail", "rejected"]) {
            const { offset } = RING_FIELDS[field];
            Object.defineProperty(this.prototype, field, {
                enumerable: true,
                get() {
                    return Atomics.load(this.core.u32, (this.#at + offset) / 4);
                },
            });
        }
    }

    push(kind, arg) {
        const { calls, seat } = this.core;
        const status = calls.event_push(seat, whole(kind, "the kind", 0xffff), whole(arg, "arg"));
        return status === FULL ? false : this.done(status, () => "push") === 0;
    }

    pop() {
        const { core } = this;
        return core.calls.event_pop(core.seat) ? { kind: core.result(0), arg: core.result(1), time_ms: core.result(2) } : null;
    }

    drain(most) {
        const events = [];
        for (let event; events.length < most && (event = this.pop()); ) {
            events.push(event);
        }
        return events;
    }
}

function name(id) {
    return typeof id === "string" ? JSON.stringify(id) : `the bytes [${id}]`;
}
