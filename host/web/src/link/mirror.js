// A copy of a device's region, in an instance of its own.
import { Core } from "../core.js";
import { InvalidOperation } from "../errors.js";
import { Region } from "../region.js";
import { HEADER_LEN_BYTES } from "../spec.js";

// What only reads; whatever else is called of a mirror's region throws.
const READS = ["agent_find", "agent_read", "digest", "free_room", "lock_at", "lock_owner", "room", "snapshot", "stats_at", "stats_find", "take_room"];
READS.push("window", "window_at", "window_default", "memory");

function readOnly(calls) {
    const reads = Object.fromEntries(READS.map((name) => [name, calls[name]]));
    return new Proxy(reads, {
        get(target, name) {
            if (!(name in target)) {
                throw new InvalidOperation(`${String(name)}: a mirror shows what its device has; Link.set and its like change that`);
            }
            return target[name];
        },
    });
}

export class Mirror {
    #core;
    #calls;

    static async make() {
        return new Mirror(await Core.make(false));
    }

    constructor(core) {
        this.#core = core;
        this.#calls = core.calls;
        core.use(0);
        this.pages = 0;
        /** The region, to read, once there is a header. */
        this.region = null;
    }

    /** Becomes an empty mirror of the region with this header. Answers its pages, 0 if the header is not one of a region that fits. */
    create(header) {
        const [core, calls] = [this.#core, this.#calls];
        const { seat } = core;
        core.u8.set(header.subarray(0, HEADER_LEN_BYTES), core.text);
        const length = calls.mirror_memory_len(seat);
        if (!length) {
            return 0;
        }
        this.pages = core.result();
        core.calls = calls; // it may have been a mirror before
        core.grow(length);
        core.use(0);
        calls.mirror_create(seat);
        core.calls = readOnly(calls);
        this.region = new Region(core, 0, null);
        return this.pages;
    }

    /** Applies the runs of a delta. The pages that were published, or null if it does not fit, and nothing was changed. */
    apply(payload) {
        const core = this.#core;
        core.u8.set(payload, core.text);
        if (this.#calls.mirror_apply(core.seat, payload.length) < 0) {
            return null;
        }
        core.wrote();
        const pages = [];
        for (let page = 0; page < this.pages; page++) {
            if (core.u8[core.result64 * 8 + (page >> 3)] & (1 << (page & 7))) {
                pages.push(page);
            }
        }
        return pages;
    }

    /** The bytes of a page. */
    page(number) {
        const core = this.#core;
        const at = core.region + this.#calls.page_at(core.seat, number);
        return core.u8.slice(at, at + core.result());
    }

    /** Becomes equal to another mirror of the same layout, page by page. */
    take(other) {
        const core = this.#core;
        for (let page = 0; page < this.pages; page++) {
            core.u8.set(other.page(page), core.text);
            this.#calls.mirror_publish(core.seat, page);
        }
        core.wrote();
    }

    pushEvent(kind, arg, time) {
        this.#calls.mirror_push_event(kind, arg, time);
        this.#core.wrote();
    }

    digest() {
        return this.#calls.digest(this.#core.seat) >>> 0;
    }
}
