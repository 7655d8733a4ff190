// What holds for the package feagi-state wherever it runs: no Node and no browser in here. A check throws where something is wrong.
import * as feagi from "../../host/web/index.js";

const { AgentType, BurstEngineState, open } = feagi;

export function equal(got, expected, what = "value") {
    const text = (value) => JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? `${part}n` : part));
    if (text(got) !== text(expected)) {
        throw new Error(`${what}: got ${text(got)}, expected ${text(expected)}`);
    }
}

export async function raises(kind, part, action) {
    try {
        await action();
    } catch (error) {
        if (!(error instanceof kind) || !error.message.includes(part)) {
            throw new Error(`raised ${error.name}: ${error.message}; expected ${kind.name} with ${part}`);
        }
        return;
    }
    throw new Error(`nothing was raised; expected ${kind.name} with ${part}`);
}

const bytesEqual = (a, b) => equal([...a], [...b], "bytes");

/** Of a region, whether threads have it or not. Each gets a new one of the profile micro. */
export const regionChecks = {
    "fields have the types and limits of the spec": async (r) => {
        const zeroOf = (field) => ({ bool: false, u64: 0n })[field.type] ?? 0;
        for (const [name, field] of Object.entries(feagi.CORE_FIELDS)) {
            equal(r[name], zeroOf(field), name);
        }
        for (const [name, field] of Object.entries(feagi.CORE_FIELDS)) {
            if (!field.writable) {
                await raises(feagi.InvalidField, name, () => (r[name] = zeroOf(field)));
                continue;
            }
            const largest = { bool: true, f32: 1.5 }[field.type] ?? field.maximum;
            r[name] = largest;
            equal(r[name], largest, name);
            await raises(feagi.InvalidValue, name, () => (r[name] = "1"));
            await raises(feagi.InvalidValue, name, () => (r[name] = field.type === "f32" ? 1e39 : -1));
            equal(r[name], largest, name);
        }
        r.neuron_count = 7;
        await raises(feagi.InvalidValue, "4294967296", () => (r.neuron_count = 4294967296));
        await raises(feagi.InvalidValue, "1.5", () => (r.neuron_count = 1.5));
        await raises(feagi.InvalidValue, String(2n ** 64n), () => (r.genome_timestamp = 2n ** 64n));
        r.genome_timestamp = 5; // a number that is safe is as good as a bigint
        equal([r.neuron_count, r.genome_timestamp], [7, 5n]);
    },
    "sums stay within their limits and are answered": async (r) => {
        equal([r.add("neuron_count"), r.add("neuron_count", 4294967295), r.subtract("neuron_count", 5)], [1, 4294967295, 4294967290]);
        equal([r.add("genome_timestamp", 2n ** 64n - 1n), r.add("genome_timestamp", 1)], [2n ** 64n - 1n, 2n ** 64n - 1n]);
        equal(r.subtract("synapse_count"), 0);
        await raises(feagi.InvalidOperation, "burst_frequency", () => r.add("burst_frequency", 1));
        await raises(feagi.InvalidField, "agent_count", () => r.add("agent_count", 1));
        await raises(feagi.InvalidField, "toString", () => r.add("toString", 1));
        await raises(feagi.InvalidValue, "-1", () => r.add("neuron_count", -1));
    },
    "a write is counted and has the time of day": async (r) => {
        const before = Date.now();
        r.fatigue_index = 30;
        equal([r.version, r.unix_time], [1n, true]);
        const written = Number(r.last_modified);
        equal(written >= before && written <= Date.now(), true, `${before} <= ${written} <= ${Date.now()}`);
        await raises(feagi.InvalidOperation, "manualClock", () => r.tick(5));
    },
    "hashes are bigints and no write of the core block": async (r) => {
        r.hashes.morphologies = 0xfedcba9876543210n;
        equal([r.hashes.morphologies, r.hashes.agent_data, r.version], [0xfedcba9876543210n, 0n, 0n]);
        await raises(feagi.InvalidValue, "agent_data", () => (r.hashes.agent_data = -1));
        equal(Object.keys(feagi.CORE_FIELDS).length > 20, true);
    },
    "agents come, are seen and go": async (r) => {
        const handle = r.agents.register("caméra", AgentType.MOTOR, "160×120");
        await raises(feagi.AgentAlreadyRegistered, "caméra", () => r.agents.register("caméra"));
        await raises(feagi.InvalidValue, "", () => r.agents.register("x".repeat(32)));
        await raises(feagi.InvalidValue, "", () => r.agents.register("x".repeat(5000)));
        await raises(feagi.InvalidValue, "", () => r.agents.register("m", 0, "x".repeat(25)));
        await raises(feagi.InvalidValue, "", () => r.agents.register(new Uint8Array([255])));
        await raises(TypeError, "number", () => r.agents.register(5));
        const { registered_at, last_seen, ...rest } = r.agents.get("caméra");
        equal(rest, { agent_id: "caméra", agent_type: 1, metadata: "160×120", handle });
        equal(last_seen - registered_at, 0n);
        r.agents.heartbeat(handle);
        r.agents.heartbeat("caméra");
        equal([[...r.agents].length, r.agent_count, r.agents.has("caméra"), r.agents.capacity], [1, 1, true, 16]);
        equal(r.agents.evict(60000), 0);
        r.agents.deregister("caméra");
        await raises(feagi.AgentNotFound, "caméra", () => r.agents.deregister("caméra"));
        await raises(feagi.AgentNotFound, String(handle), () => r.agents.heartbeat(handle));
        equal([r.agents.get("caméra"), r.agent_count], [undefined, 0]);
        for (let n = 0; n < 16; n++) {
            r.agents.register(`agent ${n}`);
        }
        await raises(feagi.CapacityError, "one more", () => r.agents.register("one more"));
        equal([...r.agents].map(({ agent_id }) => agent_id).sort()[15], "agent 9");
    },
    "cortical locks have owners": async (r) => {
        const locks = r.cortical_locks;
        equal([locks.tryLock(7), locks.tryLock(7), locks.tryLock(9, 2n ** 63n)], [true, false, true]);
        equal([locks.owner(7), locks.owner(9), locks.owner(8), locks.has(8)], [BigInt(r.owner), 2n ** 63n, 0n, false]);
        equal([...locks].sort(), [[7, BigInt(r.owner)], [9, 2n ** 63n]]);
        await raises(feagi.NotLockOwner, "9", () => locks.unlock(9));
        locks.takeOver(9, 2n ** 63n, 5);
        locks.unlock(9, 5);
        locks.unlock(7);
        equal([...locks], []);
    },
    "FCL windows have a default": async (r) => {
        const windows = r.fcl_windows;
        windows.set(3, 4294967295);
        equal([windows.get(3), windows.get(4), windows.default_window], [4294967295, 20, 20]);
        windows.default_window = 50;
        equal([...windows, windows.get(4), windows.delete(3), windows.delete(3), windows.get(3)], [[3, 4294967295], 50, true, false, 50]);
        for (let n = 0; n < 15; n++) {
            windows.set(100 + n, 1);
        }
        await raises(feagi.CapacityError, "999", () => windows.set(999, 1));
    },
    "statistics of an area change together": async (r) => {
        const stats = r.area_stats;
        stats.init("v1");
        stats.set("v1", { neuron_count: 10, outgoing_synapse_count: 3 });
        stats.change("v1", { neuron_count: -4, incoming_synapse_count: 2, outgoing_synapse_count: -9 });
        const expected = { neuron_count: 6, incoming_synapse_count: 2, outgoing_synapse_count: 0 };
        equal([stats.get("v1"), [...stats], stats.has("v2"), stats.get("v2")], [expected, [["v1", expected]], false, undefined]);
        await raises(feagi.AreaNotFound, "v2", () => stats.set("v2", {}));
        await raises(TypeError, "neurons", () => stats.set("v1", { neurons: 1 }));
        await raises(feagi.InvalidValue, "neuron_count", () => stats.change("v1", { neuron_count: 1.5 }));
    },
    "events are kept in order until somebody takes them, and a full ring counts": async (r) => {
        r.burst_engine_state = BurstEngineState.RUNNING;
        r.burst_engine_state = BurstEngineState.RUNNING; // no change
        equal([r.push(256, 4294967295), r.push(65535)], [true, true]);
        const kinds = r.drain(2).map(({ kind, arg }) => [kind, arg]);
        equal([kinds, r.pop().kind, r.pop(), r.drain()], [[[1, 3], [256, 4294967295]], 65535, null, []]);
        await raises(feagi.InvalidValue, "255", () => r.push(255));
        for (let n = 0; n < 128; n++) {
            equal(r.push(256, n), true);
        }
        equal([r.push(256, 128), r.events.rejected, r.events.head - r.events.tail], [false, 1, 128]);
        r.agents.register("there is no place for its event");
        equal([r.events.rejected, r.agent_count, r.drain().map(({ arg }) => arg).at(-1)], [2, 1, 127]);
    },
    "a snapshot is a copy that restores": async (r) => {
        r.neuron_count = 5;
        r.agents.register("cam", AgentType.BOTH, "a");
        r.area_stats.init("v1");
        r.fcl_windows.set(1, 2);
        r.hashes.brain_regions = 9n;
        const saved = r.snapshot();
        equal([saved.buffer instanceof ArrayBuffer, saved.byteOffset, String.fromCharCode(...saved.subarray(0, 4))], [true, 0, "FGIM"]);
        const version = r.version;
        r.neuron_count = 6;
        r.agents.deregister("cam");
        r.agents.register("other");
        r.fcl_windows.delete(1);
        r.cortical_locks.tryLock(4);
        r.drain();
        r.restore(saved);
        equal([r.neuron_count, [...r.agents].map((a) => [a.agent_id, a.metadata]), r.agent_count], [5, [["cam", "a"]], 1]);
        equal([r.fcl_windows.get(1), r.hashes.brain_regions, r.cortical_locks.has(4), r.version > version], [2, 9n, true, true]);
        equal(r.drain().map(({ kind }) => kind).sort(), [3, 4]);
        const again = await open({ snapshot: saved.buffer, threaded: r.threaded });
        equal([again.profile, again.neuron_count, again.agents.get("cam").metadata], ["micro", 5, "a"]);
    },
    "what is no good snapshot restores nothing": async (r) => {
        r.neuron_count = 5;
        const saved = r.snapshot();
        for (const [part, spoil] of [
            ["no saved state", (bytes) => (bytes[0] ^= 1)],
            ["another version", (bytes) => (bytes[4] ^= 1)],
            ["CRC", (bytes) => (bytes[bytes.length - 1] ^= 1)],
            ["CRC", (bytes) => (bytes[17] ^= 1)],
        ]) {
            const bytes = saved.slice();
            spoil(bytes);
            await raises(feagi.PersistenceError, part, () => r.restore(bytes));
        }
        await raises(feagi.PersistenceError, "truncated", () => r.restore(saved.subarray(0, 2000)));
        await raises(feagi.PersistenceError, "no saved state", () => r.restore(new Uint8Array(0)));
        await raises(feagi.PersistenceError, "profile micro", () => r.restore(new Uint8Array(1e6)));
        await raises(TypeError, "string", () => r.restore("text"));
        const tiny = await open({ profile: "tiny" });
        await raises(feagi.PersistenceError, "another profile", () => r.restore(tiny.snapshot()));
        await raises(feagi.PersistenceError, "profile", () => open({ snapshot: saved.subarray(0, 40) }));
        equal([r.neuron_count, r.version], [5, 1n]);
    },
    "a region is opened from its bytes, as it was": async (r) => {
        r.neuron_count = 5;
        r.cortical_locks.tryLock(3);
        r.push(300, 1);
        const again = await open({ region: r.bytes(), threaded: r.threaded });
        bytesEqual(again.bytes(), r.bytes());
        equal([again.boot_id, again.pop().kind, again.cortical_locks.owner(3)], [r.boot_id, 300, BigInt(r.owner)]);
        const spoiled = r.bytes();
        spoiled[8] ^= 1;
        await raises(feagi.MemoryMapError, "layout", () => open({ region: spoiled }));
        await raises(feagi.MemoryMapError, "profile", () => open({ region: spoiled.subarray(0, 100) }));
        const fields = r.bytes();
        fields[128] = 200;
        await raises(feagi.MemoryMapError, "out of its range", () => open({ region: fields }));
    },
    "changed resolves with a write, and without one when the time is up": async (r) => {
        equal(await r.changed({ timeout: 0 }), false);
        const both = [r.changed(), r.changed({ timeout: 60000 })];
        r.fatigue_index = 1;
        equal([...(await Promise.all(both)), await r.changed({ timeout: 1 })], [true, true, false]);
        r.hashes.agent_data = 1n; // before it is asked for
        equal(await r.changed({ timeout: 0 }), true);
        await raises(feagi.InvalidValue, "timeout", () => r.changed({ timeout: -1 }));
    },
    "every profile opens": async (r) => {
        for (const [profile, { region_len }] of Object.entries(feagi.PROFILES)) {
            const opened = await open({ profile, threaded: r.threaded, bootId: 5 });
            equal([opened.profile, opened.boot_id, opened.bytes().length], [profile, 5, region_len]);
            opened.neuron_count = 3;
            equal((await open({ snapshot: opened.snapshot(), threaded: r.threaded })).neuron_count, 3);
        }
        await raises(feagi.InvalidValue, "tiny, micro, host", () => open({ profile: "large" }));
    },
    "a closed region says so": async (r) => {
        const waiting = r.changed();
        r.close();
        r.close();
        await raises(feagi.RegionClosed, "closed", () => waiting);
        await raises(feagi.RegionClosed, "closed", () => (r.neuron_count = 1));
        await raises(feagi.RegionClosed, "closed", () => r.agents.register("x"));
        await raises(feagi.RegionClosed, "closed", () => r.snapshot());
    },
};

/** Of a region that is of one thread. */
export const singleChecks = {
    "what needs threads says so": async (r) => {
        equal([r.threaded, r.owner], [false, 1]);
        await raises(feagi.InvalidOperation, "one thread", () => r.handle());
        await raises(feagi.InvalidOperation, "changed()", () => r.waitSync());
    },
};

/** Runs checks of one kind, on a new region each. Answers [name, null or what is wrong] of each. */
export async function runRegionChecks(checks, threaded) {
    const results = [];
    for (const [name, check] of Object.entries(checks)) {
        try {
            const region = await open({ threaded });
            equal(region.threaded, threaded, "threaded");
            await check(region);
            results.push([name, null]);
        } catch (error) {
            results.push([name, String(error.stack ?? error)]);
        }
    }
    return results;
}
