// A worker that attaches to a region and does as it is told, in Node and in browsers. Answers each message {job, ...} with
// {done: result} or {failed: text}.
import { attach } from "../../host/web/index.js";

const port = globalThis.WorkerGlobalScope ? globalThis : (await import("node:worker_threads")).parentPort;
let region;

const jobs = {
    attach: async ({ handle }) => {
        region = await attach(handle);
        return region.owner;
    },
    add: ({ count }) => {
        for (let n = 0; n < count; n++) {
            region.add("neuron_count");
        }
    },
    // Ever more events, each as soon as there is a place for it.
    produce: ({ count }) => {
        for (let n = 0; n < count; n++) {
            while (!region.push(256 + (n % 7), n)) {
                // the ring is full
            }
        }
    },
    consume: ({ count }) => {
        for (let n = 0; n < count; ) {
            for (const { kind, arg } of region.drain(64)) {
                if (kind !== 256 + (n % 7) || arg !== n) {
                    throw new Error(`event ${n} is ${kind}, ${arg}`);
                }
                n += 1;
            }
        }
        return region.pop();
    },
    set: ({ name, value }) => {
        region[name] = value;
    },
    // The value once another thread has written; `ready` is told before it waits.
    waitSync: ({ name, timeout }) => {
        port.postMessage({ ready: true });
        return [region.waitSync({ timeout }), region[name]];
    },
    lock: ({ area }) => region.cortical_locks.tryLock(area),
    // Changes that take the region's lock, until it is terminated.
    churn: () => {
        port.postMessage({ ready: true });
        for (;;) {
            region.agents.register("one who churns");
            region.agents.deregister("one who churns");
            region.drain();
        }
    },
    // All of an area's counts at once.
    changes: ({ count }) => {
        for (let n = 0; n < count; n++) {
            region.area_stats.change("v1", { neuron_count: 1, incoming_synapse_count: 1, outgoing_synapse_count: 1 });
        }
    },
    close: () => region.close(),
};

const listen = async (message) => {
    const { job, ...args } = message.data ?? message;
    try {
        port.postMessage({ done: (await jobs[job](args)) ?? null });
    } catch (error) {
        port.postMessage({ failed: String(error.stack ?? error) });
    }
};
if (port === globalThis) {
    globalThis.onmessage = listen;
} else {
    port.on("message", listen);
}
port.postMessage({ ready: true });
