// A region in WebAssembly memory: the same bytes as a board's or a host's.
import { CapacityError, InvalidField, InvalidOperation, InvalidValue, MemoryMapError, PersistenceError } from "./errors.js";
import { ended } from "./life.js";
import { big, bytesOf, floatBits, floatOf, span, whole } from "./numbers.js";
import { Agents, AreaStats, CorticalLocks, Events, FclWindows, Hashes } from "./sections.js";
import * as spec from "./spec.js";
import { errorFromStatus, imageFault } from "./status.js";
import { Waiter } from "./waiting.js";

const { CORE_FIELDS, HEADER_FIELDS, HEADER_LEN_BYTES, IMAGE_LEN_BYTES, PROFILES, SECTIONS } = spec;
const [SET, ADD, SUBTRACT] = [0, 1, 2]; // FEAGI_STATE_*

/** One thread's hold on a region. Made by `open` and `attach`. */
export class Region {
    #core;
    #waiter;
    #end;

    // `end`: what to call when this thread's part in the region ends.
    constructor(core, owner, reason, end = () => {}) {
        this.#core = core;
        this.#end = end;
        this.#waiter = new Waiter(core);
        /** Whether several threads may have this region. */
        this.threaded = core.threaded;
        /** Why it is of one thread although threads were asked for; else null. */
        this.reason = reason;
        /** This thread's number, by which it owns cortical locks. */
        this.owner = owner;
        /** The profile's name. */
        this.profile = profileOf(this.#header("profile"));
        const place = (section) => {
            const at = HEADER_FIELDS.sections.offset + 8 * SECTIONS[section]; // offset u32, capacity u16, entry_len u16
            const view = new DataView(core.memory.buffer, core.region + at);
            return [core, view.getUint16(4, true), core.region + view.getUint32(0, true)];
        };
        this.hashes = new Hashes(core);
        this.agents = new Agents(...place("agents"));
        this.cortical_locks = new CorticalLocks(core, place("cortical_locks")[1], owner);
        this.fcl_windows = new FclWindows(...place("fcl_windows"));
        this.area_stats = new AreaStats(...place("area_stats"));
        this.events = new Events(...place("events"));
    }

    // The core block's fields. A read is one atomic load, and a function for each type lets it be compiled to little more.
    static {
        const readers = {
            u8: (at) => function () { return Atomics.load(this.#core.u8, this.#core.region + at); },
            bool: (at) => function () { return Atomics.load(this.#core.u8, this.#core.region + at) !== 0; },
            u32: (at) => function () { return Atomics.load(this.#core.u32, (this.#core.region + at) >> 2); },
            f32: (at) => function () { return floatOf(Atomics.load(this.#core.u32, (this.#core.region + at) >> 2)); },
            u64: (at) => function () { return Atomics.load(this.#core.u64, (this.#core.region + at) >> 3); },
        };
        for (const [name, field] of Object.entries(CORE_FIELDS)) {
            Object.defineProperty(this.prototype, name, {
                enumerable: true,
                get: readers[field.type](HEADER_LEN_BYTES + field.offset),
                set(value) {
                    this.#write(name, field, SET, value);
                },
            });
        }
    }

    /** Adds to a counter, which stays at its maximum. The value after it. */
    add(name, amount = 1) {
        return this.#count(name, ADD, amount);
    }

    /** Subtracts from a counter, which stays at 0. The value after it. */
    subtract(name, amount = 1) {
        return this.#count(name, SUBTRACT, amount);
    }

    #count(name, how, amount) {
        const field = Object.hasOwn(CORE_FIELDS, name) ? CORE_FIELDS[name] : undefined;
        if (!field) {
            throw new InvalidField(`the core block has no field ${String(name)}`);
        }
        if (field.type !== "u32" && field.type !== "u64") {
            throw new InvalidOperation(`${name} is no counter: it takes no add or subtract`);
        }
        this.#write(name, field, how, amount);
        return field.type === "u64" ? this.#core.result64At() : this.#core.result();
    }

    #write(name, field, how, value) {
        const { calls, seat } = this.#core;
        let status;
        if (field.type === "u64") {
            status = calls.write64(seat, field.index, how, big(value, name));
        } else if (field.type === "f32") {
            status = calls.write(seat, field.index, how, floatBits(value, name));
        } else {
            // The core has the limits; what it is given here is a whole number.
            const number = typeof value === "boolean" ? Number(value) : value;
            status = calls.write(seat, field.index, how, whole(number, name, Number.MAX_SAFE_INTEGER));
        }
        if (status < 0) {
            throw errorFromStatus(status, `${name} ${["=", "+", "-"][how]} ${value}`);
        }
        this.#core.wrote();
    }

    /** The region's boot id, of the header. */
    get boot_id() {
        return this.#header("boot_id");
    }

    /** Whether times are Unix milliseconds, of the header. */
    get unix_time() {
        return (this.#header("flags") & spec.FLAG_UNIX_TIME) !== 0;
    }

    #header(name) {
        const { offset, type } = HEADER_FIELDS[name];
        const view = new DataView(this.#core.memory.buffer, this.#core.region + offset);
        return type === "u8" ? view.getUint8(0) : view.getUint32(0, true);
    }

    push(kind, arg = 0) {
        if (whole(kind, "the kind", 0xffff) < spec.USER_EVENT_BASE) {
            throw new InvalidValue(`the kind is ${kind}: an application's own are from ${spec.USER_EVENT_BASE} to 65535`);
        }
        return this.events.push(kind, arg);
    }

    pop() {
        return this.events.pop();
    }

    drain(most = Infinity) {
        return this.events.drain(most);
    }

    changed(options) {
        return this.#waiter.changed(options);
    }

    waitSync(options) {
        return this.#waiter.waitSync(options);
    }

    /** The state at one instant, in memory of its own: what a saved file holds, on every platform. */
    snapshot() {
        const { calls, seat, u8 } = this.#core;
        return this.#inRoom("snapshot", () => {
            const length = calls.snapshot(seat);
            if (length < 0) {
                throw errorFromStatus(length, "snapshot");
            }
            return u8.slice(calls.room(), calls.room() + length);
        });
    }

    restore(snapshot) {
        const { calls, seat } = this.#core;
        this.#inRoom("restore", () => {
            const length = this.#give(snapshot, "a saved state", PersistenceError);
            const status = calls.restore(seat, length);
            if (status < 0) {
                throw errorFromStatus(status, "restore");
            }
            if (status > 0) {
                throw new PersistenceError(`the state cannot be restored: ${imageFault(status)}`);
            }
        });
        this.#core.wrote();
    }

    /** The region's bytes as they lie there, events included. */
    bytes() {
        return this.#core.u8.slice(this.#core.region, this.#core.region + PROFILES[this.profile].region_len);
    }

    // What takes the room beside the region, which one thread has at a time.
    #inRoom(what, action) {
        const { calls, seat } = this.#core;
        const status = calls.take_room(seat);
        if (status < 0) {
            throw errorFromStatus(status, what);
        }
        try {
            return action();
        } finally {
            calls.free_room();
        }
    }

    // Puts bytes into the room. Their length.
    #give(bytes, what, error) {
        const room = IMAGE_LEN_BYTES + PROFILES[this.profile].region_len;
        const given = bytesOf(bytes, what);
        if (given.length > room) {
            throw new error(`${given.length} bytes are no ${what.slice(2)} with the profile ${this.profile}`);
        }
        this.#core.u8.set(given, this.#core.calls.room());
        return given.length;
    }

    /** CRC-32 of all that a link mirrors. */
    digest() {
        return this.#core.calls.digest(this.#core.seat) >>> 0;
    }

    /** Sets the clock of a region that was opened with `manualClock`, for this thread's writes. */
    tick(now) {
        if (this.unix_time) {
            throw new InvalidOperation("tick: this region goes by the time of day; open({manualClock: true}) makes one that does not");
        }
        this.#core.calls.tick(this.#core.seat, Math.floor(Math.min(span(now, "now"), Number.MAX_SAFE_INTEGER)));
    }

    /** What another thread attaches to: post it to a worker. One for each thread. */
    handle() {
        const { calls, seat, module, memory, threaded } = this.#core;
        if (!threaded) {
            throw new InvalidOperation(`handle: this region is of one thread; ${this.reason ?? "open({threaded: true}) makes others"}`);
        }
        const index = calls.reserve(seat);
        if (index < 0) {
            throw new CapacityError("handle: as many threads have this region as can: close() it in one of them, or release(handle)");
        }
        const stackTop = calls.seat_stack_top(calls.seat(index));
        return { module, memory, index, owner: this.#core.result(), stackTop, life: `feagi-state thread ${crypto.randomUUID()}` };
    }

    /** Gives back what a worker had that was terminated without close(): its place, and its locks. */
    async release(handle) {
        await ended(handle.life);
        return this.#giveBack(handle.owner);
    }

    // False if there is nothing to give.
    #giveBack(id) {
        const { calls, threaded } = this.#core;
        for (const [area, owner] of this.cortical_locks) {
            if (owner === BigInt(id)) {
                this.cortical_locks.takeOver(area, owner, 0n);
            }
        }
        // Last: from here on another thread may have the place.
        return threaded && calls.release(id) === 0;
    }

    /** Ends this thread's part in the region, and gives its cortical locks back. */
    close() {
        if (!this.#core.isClosed) {
            this.#giveBack(this.owner);
            this.#core.close();
            this.#end();
        }
    }

    /** Becomes the region that these bytes are. Only `open` calls it: nobody may have used this one. */
    adopt(bytes) {
        const { calls, seat } = this.#core;
        const status = calls.adopt(seat, this.#give(bytes, "a region", MemoryMapError));
        if (status) {
            throw new MemoryMapError(`the bytes cannot be opened: ${imageFault(status)}`);
        }
    }
}

/** The name of the profile with this id, or undefined. */
export function profileOf(id) {
    return Object.keys(PROFILES).find((name) => PROFILES[name].id === id);
}
