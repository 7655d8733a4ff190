// The golden vectors on the package feagi-state, as tests/host/golden.py has them on CPython's. Knows of no Node and no browser.
import { CORE_FIELDS, open, openFrames } from "../../host/web/index.js";
import * as errors from "../../host/web/src/errors.js";
import { decodeItems, encodeItems } from "../../host/web/src/link/cbor.js";

const ERRORS = {
    NOT_FOUND: errors.AgentNotFound,
    EXISTS: errors.AgentAlreadyRegistered,
    FULL: errors.CapacityError,
    RANGE: errors.InvalidValue,
    LENGTH: errors.InvalidValue,
    ENCODING: errors.InvalidValue,
    READ_ONLY: errors.InvalidField,
    OPERATION: errors.InvalidOperation,
    NOT_OWNER: errors.NotLockOwner,
};

const fromHex = (word) => Uint8Array.from(word === "-" ? [] : word.match(/../g), (byte) => parseInt(byte, 16));
const isEqual = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);

const float = new DataView(new ArrayBuffer(4));
const toFloat = (bits) => (float.setUint32(0, bits), float.getFloat32(0));
const toBits = (number) => (float.setFloat32(0, number), float.getUint32(0));

// A vector's number as a program writes it, and back.
function toProgram(field, word) {
    const types = { f32: (text) => toFloat(Number(text)), u64: BigInt };
    return (types[CORE_FIELDS[field].type] ?? Number)(word);
}
function fromProgram(field, value) {
    return CORE_FIELDS[field].type === "f32" ? toBits(value) : typeof value === "boolean" ? Number(value) : value;
}

class Regions {
    constructor(threaded) {
        this.threaded = threaded;
    }

    // How many checks the line made; throws if one fails.
    async line([op, ...words]) {
        if (op === "region") {
            const profile = words[0];
            this.region?.close();
            this.region = await open({ threaded: this.threaded, profile, bootId: Number(words[1]), manualClock: true });
            if (this.region.threaded !== this.threaded) {
                throw new Error(this.region.reason);
            }
            this.expected = new Uint8Array(this.region.bytes().length);
        } else if (op === "time") {
            this.region.tick(Number(words[0]));
        } else if (op === "bytes") {
            this.expected.set(fromHex(words[1]), Number(words[0]));
        } else if (op === "rest") {
            if (!isEqual(this.region.bytes(), this.expected)) {
                throw new Error("the region's bytes differ");
            }
            return 1;
        } else if (op === "repeat") {
            const [first, count] = words.map(Number);
            for (let n = first; n < first + count; n++) {
                const digits = Array.from(String(n), (digit) => `3${digit}`).join("");
                const [name, ...rest] = words.slice(2).map((word) => (word === "@" ? String(n) : word === "~" ? digits : word));
                this.check(name, rest);
            }
            return count;
        } else {
            this.check(op, words);
            return 1;
        }
        return 0;
    }

    check(op, words) {
        const split = words.indexOf("=");
        const expect = words[split + 1];
        let got;
        try {
            got = String(this.operation(op, words.slice(0, split), expect));
        } catch (error) {
            if (!ERRORS[expect] || error.constructor !== ERRORS[expect]) {
                throw error;
            }
            return;
        }
        if (got !== expect) {
            throw new Error(`gave ${got}`);
        }
    }

    operation(op, words, expect) {
        const r = this.region;
        const numbers = words.map(Number);
        switch (op) {
            case "set":
                if (CORE_FIELDS[words[0]].type === "f32" && expect === "RANGE") {
                    throw new errors.InvalidValue("every float has its bits");
                }
                r[words[0]] = toProgram(words[0], words[1]);
                return fromProgram(words[0], r[words[0]]);
            case "get":
                return fromProgram(words[0], r[words[0]]);
            case "add":
            case "subtract":
                return r[op](words[0], toProgram(words[0], words[1]));
            case "register":
                return r.agents.register(fromHex(words[0]), numbers[1], fromHex(words[2]));
            case "deregister":
                return r.agents.deregister(fromHex(words[0])) ?? 0;
            case "heartbeat":
                return r.agents.heartbeat(fromHex(words[0])) ?? 0;
            case "heartbeat_handle":
                return r.agents.heartbeat(numbers[0]) ?? 0;
            case "evict":
                return r.agents.evict(numbers[0]);
            case "event":
                return r.push(...numbers) ? 0 : "FULL";
            case "pop": {
                const event = r.pop();
                return event ? `${event.kind}:${event.arg}:${event.time_ms}` : "none";
            }
            case "digest":
                return r.digest();
            default:
                return this.areaOperation(op, words, numbers);
        }
    }

    areaOperation(op, words, numbers) {
        const r = this.region;
        const bigs = words.map((word) => (/^\d+$/.test(word) ? BigInt(word) : undefined));
        switch (op) {
            case "set_hash":
                r.hashes[words[0]] = bigs[1];
                return r.hashes[words[0]];
            case "get_hash":
                return r.hashes[words[0]];
            case "try_lock":
                return r.cortical_locks.tryLock(numbers[0], bigs[1]) ? 0 : "LOCKED";
            case "unlock":
                return r.cortical_locks.unlock(numbers[0], bigs[1]) ?? 0;
            case "take_over":
                return r.cortical_locks.takeOver(numbers[0], bigs[1], bigs[2]) ?? 0;
            case "owner":
                return r.cortical_locks.owner(numbers[0]);
            case "get_window":
                return r.fcl_windows.get(numbers[0]);
            case "set_window":
                return r.fcl_windows.set(numbers[0], numbers[1]) ?? 0;
            case "default_window":
                r.fcl_windows.default_window = numbers[0];
                return 0;
            case "remove_window":
                return Number(r.fcl_windows.delete(numbers[0]));
            case "init_stats":
                return r.area_stats.init(fromHex(words[0])) ?? 0;
            case "stat":
                return this.stat(words[0], fromHex(words[1]), words[2], numbers[3]);
            default:
                throw new Error(`not understood: ${op}`);
        }
    }

    stat(op, id, count, amount) {
        const stats = this.region.area_stats;
        if (!stats.has(id)) {
            return "NOT_FOUND";
        }
        if (op === "set") {
            stats.set(id, { [count]: amount });
        } else if (op !== "get") {
            stats.change(id, { [count]: op === "add" ? amount : -amount });
        }
        return stats.get(id)[count];
    }
}

function frameChecks(frames, [verdict, , seedWord, wireWord, kind, seq, payload]) {
    const seed = parseInt(seedWord, 16);
    const wire = fromHex(wireWord);
    const got = frames.decode(wire, seed);
    if (verdict === "bad") {
        return [got === null];
    }
    const [kindNumber, seqNumber, bytes] = [parseInt(kind, 16), Number(seq), fromHex(payload)];
    return [
        got !== null && got.kind === kindNumber && got.seq === seqNumber && isEqual(got.payload, bytes),
        isEqual(frames.encode(kindNumber, seqNumber, bytes, seed), wire),
        isEqual(encodeItems(decodeItems(bytes)), bytes),
    ];
}

function* linesOf(text) {
    let number = 0;
    for (const line of text.split("\n")) {
        number += 1;
        if (line && !line.startsWith("#")) {
            yield [number, line.split(/\s+/)];
        }
    }
}

/** Runs both files' texts. Answers the lines that fail and a closing count. */
export async function runVectors(framesText, regionsText, threaded) {
    const said = [];
    let checks = 0;
    let failed = 0;
    const fail = (file, number, why) => {
        failed += 1;
        said.push(`${file} ${number} failed: ${why}`);
    };
    const frames = await openFrames({ threaded });
    for (const [number, words] of linesOf(framesText)) {
        for (const passes of frameChecks(frames, words)) {
            checks += 1;
            if (!passes) {
                fail("frames.txt", number, words[1]);
            }
        }
    }
    const regions = new Regions(threaded);
    for (const [number, words] of linesOf(regionsText)) {
        try {
            checks += await regions.line(words);
        } catch (error) {
            checks += 1;
            fail("regions.txt", number, error);
        }
    }
    said.push(`${checks} checks, ${failed} failed`);
    return said;
}
