// An instance of the WebAssembly core: its exports, and the memory as JavaScript reads it. firmware/wasm/ is the other side.
import { packed, singleLength, threadedMemory } from "../wasm/embedded.js";
import { RegionClosed } from "./errors.js";

const PAGE = 65536;
// Longer than any text that the core takes, so that it refuses what is cut off here.
const ID_ROOM = 255;
const METADATA_ROOM = 512;
// How long whoever holds a region's lock may stand still before others give up [ms].
const PATIENCE = 1000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether regions of several threads can be had here, and if not, why. */
export function threads() {
    if (typeof SharedArrayBuffer !== "function" || globalThis.crossOriginIsolated === false) {
        return {
            available: false,
            reason:
                "this page is not cross-origin isolated: serve it with the headers Cross-Origin-Opener-Policy: same-origin and " +
                "Cross-Origin-Embedder-Policy: require-corp, from https or localhost",
        };
    }
    return { available: true, reason: null };
}

const compiled = new Map();
let unpacked = null;

// Both modules as embedded.js has them.
async function unpack() {
    const bytes = new Blob([Uint8Array.from(atob(packed), (char) => char.charCodeAt(0))]);
    return new Response(bytes.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function compileEmbedded(isThreaded) {
    unpacked ??= unpack();
    const both = new Uint8Array(await unpacked);
    return WebAssembly.compile(isThreaded ? both.subarray(singleLength) : both.subarray(0, singleLength));
}

function compile(isThreaded) {
    if (!compiled.has(isThreaded)) {
        compiled.set(isThreaded, compileEmbedded(isThreaded));
    }
    return compiled.get(isThreaded);
}

/** What may block, which the main thread of a page may not. */
export const canBlock = (() => {
    try {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
        return true;
    } catch {
        return false;
    }
})();

// The import `pause`: gives time to whoever has the lock. 1: long enough.
function pauser() {
    const never = canBlock ? new Int32Array(new SharedArrayBuffer(4)) : null;
    let until = 0;
    return (tries) => {
        if (tries === 0) {
            until = performance.now() + PATIENCE;
        } else if (tries > 50) {
            if (never) {
                Atomics.wait(never, 0, 0, 0.1);
            }
            return performance.now() > until ? 1 : 0;
        }
        return 0;
    };
}

// After close: whatever is called throws.
const closed = new Proxy(
    {},
    {
        get(_target, name) {
            throw new RegionClosed(`${String(name)}: the region was closed`);
        },
    },
);

export class Core {
    /** An instance with a memory of its own. `module`: a WebAssembly.Module instead of the embedded one. */
    static async make(isThreaded, module) {
        const memory = isThreaded ? new WebAssembly.Memory(threadedMemory) : undefined;
        return Core.#instantiate(module ?? (await compile(isThreaded)), memory);
    }

    /** An instance on the memory of another one. */
    static join(module, memory, stackTop) {
        return Core.#instantiate(module, memory, stackTop);
    }

    static async #instantiate(module, memory, stackTop) {
        const env = { now: Date.now, pause: pauser() };
        const instance = await WebAssembly.instantiate(module, { env: memory ? { ...env, memory } : env });
        return new Core(instance.exports, module, memory, stackTop);
    }

    constructor(calls, module, memory, stackTop) {
        this.calls = calls;
        this.module = module;
        this.memory = memory ?? calls.memory;
        this.threaded = memory !== undefined;
        this.waiting = new Set(); // of one thread: what to call after a write
        if (stackTop) {
            calls.__stack_pointer.value = stackTop; // before any call: until then all instances have one stack
        }
    }

    /** Makes the memory as large as it must be. Before the first `use`. */
    grow(lengthBytes) {
        const missing = lengthBytes - this.memory.buffer.byteLength;
        if (missing > 0) {
            this.memory.grow(Math.ceil(missing / PAGE));
        }
    }

    /** Takes a seat. The memory does not grow any more. */
    use(index) {
        const { calls, memory } = this;
        this.seat = calls.seat(index);
        calls.__stack_pointer.value = calls.seat_stack_top(this.seat);
        this.u8 = new Uint8Array(memory.buffer);
        this.u32 = new Uint32Array(memory.buffer);
        this.i32 = new Int32Array(memory.buffer);
        this.u64 = new BigUint64Array(memory.buffer);
        this.result64 = calls.seat_result(this.seat) / 8;
        this.text = calls.seat_text(this.seat);
        this.region = calls.region();
        this.bell = calls.world() / 4; // the first word of feagi_wasm_world_t; the second counts who waits
    }

    /** The `index`th result of the last call, as a number of 32 bits. */
    result(index = 0) {
        return this.u32[(this.result64 + index) * 2];
    }

    result64At(index = 0) {
        return this.u64[this.result64 + index];
    }

    /** Puts an id, text or bytes, where calls expect one. Its length. */
    putId(id) {
        return this.#put(id, 0, ID_ROOM);
    }

    putMetadata(metadata, at) {
        return this.#put(metadata, at, METADATA_ROOM);
    }

    #put(text, at, room) {
        const bytes = typeof text === "string" ? encoder.encode(text) : text;
        if (!(bytes instanceof Uint8Array)) {
            throw new TypeError(`a text is a string or its bytes as Uint8Array, not ${typeof text}`);
        }
        const part = bytes.length > room ? bytes.subarray(0, room) : bytes;
        this.u8.set(part, this.text + at);
        return part.length;
    }

    getText(at, lengthBytes) {
        return decoder.decode(this.u8.slice(at, at + lengthBytes)); // of a copy: a decoder takes no shared memory
    }

    /** Tells this thread's own waiters that something was written. The core tells other threads. */
    wrote() {
        if (this.waiting.size) {
            const wakers = [...this.waiting];
            this.waiting.clear();
            wakers.forEach((wake) => wake());
        }
    }

    get isClosed() {
        return this.calls === closed;
    }

    close() {
        this.calls = closed;
        this.wrote();
        if (this.threaded) {
            Atomics.notify(this.i32, this.bell); // for this thread's own waiters; others go on waiting
        }
    }
}
