// Saved states in IndexedDB: the current one and the one before it, which a damaged current one falls back to.
import { Core } from "./core.js";
import { InvalidOperation, PersistenceError } from "./errors.js";
import { bytesOf } from "./numbers.js";
import { IMAGE_LEN_BYTES, PROFILES } from "./spec.js";
import { imageFault } from "./status.js";

const TABLE = "snapshots";
const LARGEST = Object.values(PROFILES).reduce((a, b) => (a.region_len > b.region_len ? a : b));

/** Opens the store of this name. See index.d.ts. */
export async function openStore(name) {
    if (typeof name !== "string" || !name) {
        throw new TypeError(`a store's name is a text, not ${typeof name}`);
    }
    const check = await makeCheck();
    const unlock = await lock(`feagi-state:${name}`);
    try {
        return new Store(name, check, unlock, await Shelf.open(`feagi-state:${name}`), null);
    } catch (error) {
        return new Store(name, check, unlock, new MemoryShelf(), `storage is refused here: ${error.message}`);
    }
}

// (bytes) -> what is wrong with them as a saved state, or null: by the core, in an instance of its own.
async function makeCheck() {
    const core = await Core.make(false);
    core.grow(core.calls.memory_len(LARGEST.id));
    core.use(0);
    return (bytes) => {
        if (!(bytes instanceof Uint8Array) || bytes.length > IMAGE_LEN_BYTES + LARGEST.region_len) {
            return "it is no saved state";
        }
        core.u8.set(bytes, core.calls.room());
        const fault = core.calls.image_fault(bytes.length);
        return fault ? imageFault(fault) : null;
    };
}

// Takes the name, so that no two tabs write one store. What gives it back.
async function lock(name) {
    const locks = globalThis.navigator?.locks;
    if (!locks) {
        return () => {};
    }
    return new Promise((resolve, reject) => {
        const hold = (taken) => {
            if (!taken) {
                throw new PersistenceError(`${name} is open already, perhaps in another tab: close it there`);
            }
            return new Promise((release) => resolve(release)); // the lock is held until this one is resolved
        };
        locks.request(name, { ifAvailable: true }, hold).catch(reject);
    });
}

class Store {
    #check;
    #unlock;
    #shelf;

    constructor(name, check, unlock, shelf, reason) {
        this.name = name;
        this.#check = check;
        this.#unlock = unlock;
        this.#shelf = shelf;
        /** Why it is not durable; else null. */
        this.reason = reason;
        /** Why the last load fell back to the previous state; else null. */
        this.fault = null;
    }

    get durable() {
        return this.#shelf instanceof Shelf;
    }

    async save(snapshot) {
        const bytes = bytesOf(snapshot, "a saved state").slice(); // it is the caller's to change
        const wrong = this.#check(bytes);
        if (wrong) {
            throw new PersistenceError(`${this.name}: what is to be saved is none: ${wrong}`);
        }
        await this.#use((shelf) => shelf.rotate(bytes, (current) => this.#check(current) === null));
    }

    async load() {
        const kept = await this.#use((shelf) => shelf.all());
        this.fault = null;
        const faults = [];
        for (const key of ["current", "previous"]) {
            const wrong = kept[key] === undefined ? null : this.#check(kept[key]);
            if (kept[key] !== undefined && !wrong) {
                this.fault = faults[0] ?? null;
                return kept[key];
            }
            if (wrong) {
                faults.push(`the ${key} state: ${wrong}`);
            }
        }
        if (faults.length) {
            throw new PersistenceError(`${this.name} cannot be loaded: ${faults.join("; ")}`);
        }
        return null;
    }

    async #use(action) {
        if (!this.#shelf) {
            throw new InvalidOperation(`the store ${this.name} was closed`);
        }
        try {
            return await action(this.#shelf);
        } catch (error) {
            throw error instanceof PersistenceError ? error : new PersistenceError(`${this.name}: ${error.message}`);
        }
    }

    close() {
        this.#shelf?.close();
        this.#shelf = null;
        this.#unlock();
    }
}

// Where storage is refused.
class MemoryShelf {
    #kept = {};

    async rotate(bytes, isGood) {
        const { current, previous } = this.#kept;
        this.#kept = { current: bytes, previous: current && isGood(current) ? current : previous };
    }

    async all() {
        return this.#kept;
    }

    close() {}
}

class Shelf {
    #name;
    #database;

    static async open(name) {
        if (!globalThis.indexedDB) {
            throw new Error("there is no IndexedDB");
        }
        const shelf = new Shelf();
        shelf.#name = name;
        await shelf.#connect();
        return shelf;
    }

    #connect() {
        return new Promise((resolve, reject) => {
            const request = indexedDB.open(this.#name, 1);
            request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
            request.onerror = () => reject(request.error);
            request.onsuccess = () => {
                this.#database = request.result;
                // Somebody deletes the database: it is made anew when it is used again.
                this.#database.onversionchange = () => this.#database.close();
                resolve();
            };
        });
    }

    // A transaction, on a new connection if the one that there was is lost.
    async #transaction(mode, work) {
        let transaction;
        try {
            transaction = this.#database.transaction(TABLE, mode, { durability: "strict" });
        } catch (error) {
            if (error.name !== "InvalidStateError") {
                throw error;
            }
            await this.#connect();
            transaction = this.#database.transaction(TABLE, mode, { durability: "strict" });
        }
        return new Promise((resolve, reject) => {
            transaction.oncomplete = () => resolve(result);
            transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was aborted"));
            const result = work(transaction.objectStore(TABLE));
        });
    }

    /** Puts a new current state; the one there was becomes the previous one if it is good. All in one transaction. */
    async rotate(bytes, isGood) {
        await this.#transaction("readwrite", (table) => {
            const request = table.get("current");
            request.onsuccess = () => {
                if (request.result && isGood(request.result)) {
                    table.put(request.result, "previous");
                }
                table.put(bytes, "current");
            };
        });
    }

    async all() {
        return this.#transaction("readonly", (table) => {
            const found = {};
            for (const key of ["current", "previous"]) {
                const request = table.get(key);
                request.onsuccess = () => (found[key] = request.result);
            }
            return found;
        });
    }

    close() {
        this.#database.close();
    }
}
