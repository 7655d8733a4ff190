// Waiting for writes. Every write adds 1 to the bell, a word beside the region; who waits on it has counted itself before, so that
// writers wake nobody where nobody waits.
import { canBlock } from "./core.js";
import { InvalidOperation, RegionClosed } from "./errors.js";
import { span } from "./numbers.js";

const POLL = 10; // [ms], where Atomics.waitAsync is not there
const LONGEST = 2 ** 31 - 1; // that setTimeout takes [ms]

// A promise that Node, which does not count this kind of waiting, sees is waited for.
async function awake(promise) {
    const timer = setInterval(() => {}, LONGEST);
    try {
        await promise;
    } finally {
        clearInterval(timer);
    }
}

export class Waiter {
    #core;
    #seen;

    constructor(core) {
        this.#core = core;
        this.#seen = Atomics.load(core.i32, core.bell);
    }

    /** Resolves with true when something was written since this last said so, with false after `timeout` ms. */
    async changed({ timeout = Infinity } = {}) {
        const until = performance.now() + span(timeout, "timeout");
        const seen = this.#seen; // of this call: several may wait at the same time
        const { i32, bell, threaded } = this.#core;
        Atomics.add(i32, bell + 1, 1);
        try {
            for (;;) {
                this.#check("changed");
                const left = until - performance.now();
                if (this.#heard(seen) || left <= 0) {
                    return this.#seen !== seen;
                }
                if (!threaded) {
                    await this.#nextWrite(left);
                } else if (typeof Atomics.waitAsync === "function") {
                    await awake(Atomics.waitAsync(i32, bell, seen, left).value);
                } else {
                    await new Promise((done) => setTimeout(done, Math.min(left, POLL)));
                }
            }
        } finally {
            Atomics.sub(i32, bell + 1, 1);
        }
    }

    /** The same, blocking this thread. */
    waitSync({ timeout = Infinity } = {}) {
        const until = performance.now() + span(timeout, "timeout");
        const seen = this.#seen;
        const { i32, bell, threaded } = this.#core;
        this.#check("waitSync");
        if (!threaded || !canBlock) {
            const why = threaded ? "which the main thread of a page may not" : "and nobody else can write a region of one thread";
            throw new InvalidOperation(`waitSync blocks its thread, ${why}: use changed()`);
        }
        Atomics.add(i32, bell + 1, 1);
        try {
            for (;;) {
                const left = until - performance.now();
                if (this.#heard(seen) || left <= 0) {
                    return this.#seen !== seen;
                }
                Atomics.wait(i32, bell, seen, left);
            }
        } finally {
            Atomics.sub(i32, bell + 1, 1);
        }
    }

    // Whether the bell is not what it was; remembers what it is.
    #heard(seen) {
        const { i32, bell } = this.#core;
        this.#seen = Atomics.load(i32, bell);
        return this.#seen !== seen;
    }

    #check(name) {
        if (this.#core.isClosed) {
            throw new RegionClosed(`${name}: the region was closed`);
        }
    }

    // Of one thread: until it writes.
    #nextWrite(timeout) {
        const { waiting } = this.#core;
        return new Promise((done) => {
            let timer;
            const wake = () => {
                clearTimeout(timer);
                waiting.delete(wake);
                done();
            };
            waiting.add(wake);
            if (timeout !== Infinity) {
                timer = setTimeout(wake, Math.min(timeout, LONGEST));
            }
        });
    }
}
