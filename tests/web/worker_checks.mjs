// What holds for a region that several threads have. `startWorker` makes one of worker.mjs: postMessage, onAnswer, onFailure and
// terminate.
import * as feagi from "../../host/web/index.js";
import { equal, raises } from "./checks.mjs";

const { open } = feagi;

class Thread {
    #worker;
    #next = [];
    #unread = [];

    constructor(startWorker) {
        this.#worker = startWorker();
        this.#worker.onAnswer((answer) => {
            const message = answer.data ?? answer;
            const waiting = this.#next.shift();
            waiting ? waiting(message) : this.#unread.push(message);
        });
        this.#worker.onFailure((error) => this.#next.forEach((waiting) => waiting({ failed: String(error.message ?? error) })));
    }

    // What it says next.
    async #answer() {
        const message = this.#unread.shift() ?? (await new Promise((resolve) => this.#next.push(resolve)));
        if (message.failed) {
            throw new Error(message.failed);
        }
        return message;
    }

    static async on(startWorker, handle) {
        const thread = new Thread(startWorker);
        await thread.ready();
        await thread.do("attach", { handle });
        return thread;
    }

    async ready() {
        equal((await this.#answer()).ready, true, "ready");
    }

    begin(job, args) {
        this.#worker.postMessage({ job, ...args });
    }

    async end() {
        return (await this.#answer()).done;
    }

    do(job, args) {
        this.begin(job, args);
        return this.end();
    }

    terminate() {
        return this.#worker.terminate();
    }
}

const COUNTS = ["neuron_count", "incoming_synapse_count", "outgoing_synapse_count"];

/** Each gets a new region of the profile micro, and what attaches a new thread to it. */
export const workerChecks = {
    "a million concurrent adds are exact": async (r, attach) => {
        const threads = [await attach(), await attach()];
        await Promise.all(threads.map((thread) => thread.do("add", { count: 500_000 })));
        equal([r.neuron_count, r.version], [1_000_000, 1_000_000n]);
    },
    "200,000 events go from one worker to another without a loss": async (r, attach) => {
        const [producer, consumer] = [await attach(), await attach()];
        const produced = producer.do("produce", { count: 200_000 });
        equal(await consumer.do("consume", { count: 200_000 }), null);
        await produced;
        equal([r.events.head, r.events.tail], [200_000, 200_000]);
    },
    "a worker's write wakes who awaits it": async (r, attach) => {
        const worker = await attach();
        for (let value = 1; value <= 100; value++) {
            const changed = r.changed({ timeout: 60_000 });
            worker.begin("set", { name: "neuron_count", value });
            equal([await changed, r.neuron_count], [true, value]);
            await worker.end();
        }
    },
    "a worker's write is noticed where there is no Atomics.waitAsync": async (r, attach) => {
        const worker = await attach();
        const { waitAsync } = Atomics;
        Atomics.waitAsync = undefined;
        try {
            const changed = r.changed({ timeout: 60_000 });
            await worker.do("set", { name: "neuron_count", value: 5 });
            equal([await changed, r.neuron_count, await r.changed({ timeout: 20 })], [true, 5, false]);
        } finally {
            Atomics.waitAsync = waitAsync;
        }
    },
    "waitSync wakes a worker": async (r, attach) => {
        const worker = await attach();
        for (let value = 1; value <= 20; value++) {
            worker.begin("waitSync", { name: "neuron_count", timeout: 60_000 });
            await worker.ready();
            r.neuron_count = value;
            equal(await worker.end(), [true, value]);
        }
        worker.begin("waitSync", { name: "neuron_count", timeout: 1 });
        await worker.ready();
        equal(await worker.end(), [false, 20]);
    },
    "no snapshot has half of a change": async (r, attach) => {
        r.area_stats.init("v1");
        const worker = await attach();
        const copy = await open();
        let going = true;
        const ended = worker.do("changes", { count: 100_000 }).finally(() => (going = false));
        while (going) {
            for (let taken = 0; taken < 10; taken++) {
                copy.restore(r.snapshot());
                const [neurons, ...others] = COUNTS.map((count) => copy.area_stats.get("v1")[count]);
                equal(others, [neurons, neurons], "counts");
            }
            await new Promise((resolve) => setTimeout(resolve)); // for the worker's answer
        }
        await ended;
        equal(r.area_stats.get("v1").neuron_count, 100_000);
    },
    "a handle is good for one thread": async (r, attach) => {
        const handle = r.handle();
        const here = await feagi.attach(handle);
        here.neuron_count = 4;
        equal([r.neuron_count, here.profile, here.owner === r.owner, here.boot_id], [4, "micro", false, r.boot_id]);
        await raises(feagi.InvalidOperation, "used already", () => feagi.attach(handle));
        here.close();
        equal(await r.release(handle), false);
        await raises(feagi.InvalidOperation, "released", () => feagi.attach(handle));
        const more = Array.from({ length: 15 }, () => r.handle());
        await raises(feagi.CapacityError, "release(handle)", () => r.handle());
        equal((await Promise.all(more.map((each) => r.release(each)))).every(Boolean), true);
    },
    "who is terminated keeps nobody out": async (r, attach) => {
        for (let n = 0; n < 3; n++) { // Chromium gives a busy worker two seconds
            const handle = r.handle();
            const worker = await attach(handle);
            equal([await worker.do("lock", { area: 7 }), r.cortical_locks.tryLock(7)], [true, false]);
            worker.begin("churn");
            await worker.ready();
            await r.changed();
            await worker.terminate();
            equal(await r.release(handle), true);
            equal([r.cortical_locks.tryLock(7), r.snapshot().length], [true, 2848]);
            r.cortical_locks.unlock(7);
            equal(r.agent_count, [...r.agents].length);
            r.agents.evict(0);
            for (const { agent_id } of r.agents) {
                r.agents.deregister(agent_id);
            }
            r.agents.register("after it");
            r.agents.deregister("after it");
            r.drain();
            equal([r.agent_count, r.push(256, n), r.pop().arg], [0, true, n]);
        }
    },
    "close gives the place and the locks back": async (r, attach) => {
        const worker = await attach();
        await worker.do("lock", { area: 3 });
        await worker.do("close");
        equal([...r.cortical_locks], []);
    },
};

/** As runRegionChecks. */
export async function runWorkerChecks(startWorker) {
    const results = [];
    for (const [name, check] of Object.entries(workerChecks)) {
        const threads = [];
        try {
            const region = await open({ threaded: true });
            await check(region, async (handle = region.handle()) => {
                threads.push(await Thread.on(startWorker, handle));
                return threads.at(-1);
            });
            results.push([name, null]);
        } catch (error) {
            results.push([name, String(error.stack ?? error)]);
        }
        await Promise.all(threads.map((thread) => thread.terminate()));
    }
    return results;
}
