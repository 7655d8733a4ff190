// Steps of the checks of openStore inside of a page, for run_store.mjs, which kills the browser between some of them.
import { open, openStore, PersistenceError } from "../../host/web/index.js";
import { equal, raises } from "./checks.mjs";

const NAME = "brain";
let store;

async function snapshotOf(neuronCount) {
    const region = await open();
    region.neuron_count = neuronCount;
    return region.snapshot();
}

async function loaded() {
    const bytes = await store.load();
    return bytes && (await open({ snapshot: bytes })).neuron_count;
}

// Changes what lies in IndexedDB, as a failing disk would.
function spoil(...keys) {
    return new Promise((resolve, reject) => {
        const request = indexedDB.open(`feagi-state:${NAME}`);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
            const database = request.result;
            const transaction = database.transaction("snapshots", "readwrite");
            const table = transaction.objectStore("snapshots");
            for (const key of keys) {
                const read = table.get(key);
                read.onsuccess = () => {
                    read.result[2000] ^= 1;
                    table.put(read.result, key);
                };
            }
            transaction.oncomplete = () => {
                database.close();
                resolve();
            };
        };
    });
}

export const steps = {
    open: async () => {
        store = await openStore(NAME);
        equal([store.durable, store.reason, store.fault], [true, null, null]);
    },
    close: () => store.close(),
    is_empty: async () => equal(await store.load(), null),
    save: async (neuronCount) => store.save(await snapshotOf(neuronCount)),
    keep_saving: async (neuronCount) => {
        for (let n = neuronCount; ; n++) {
            await store.save(await snapshotOf(n));
            console.log(`saved ${n}`);
        }
    },
    holds_at_least: async (neuronCount) => {
        const found = await loaded();
        equal([found >= neuronCount, store.fault], [true, null], `${found}, which is at least ${neuronCount}`);
    },
    holds: async (neuronCount) => equal([await loaded(), store.fault], [neuronCount, null]),
    holds_previous: async (neuronCount) => {
        equal(await loaded(), neuronCount);
        equal(store.fault.includes("CRC"), true, store.fault);
    },
    spoil,
    cannot_be_loaded: () => raises(PersistenceError, "the current state", () => store.load()),
    refuses_what_is_no_state: async () => {
        const spoiled = await snapshotOf(5);
        spoiled[2000] ^= 1;
        await raises(PersistenceError, "CRC", () => store.save(spoiled));
        await raises(PersistenceError, "no saved state", () => store.save(new Uint8Array(0)));
        await raises(PersistenceError, "no saved state", () => store.save(new Uint8Array(1e6)));
    },
    is_taken: () => raises(PersistenceError, "another tab", () => openStore(NAME)),
    until_it_is_free: () => navigator.locks.request(`feagi-state:${NAME}`, () => {}),
    delete_database: () =>
        new Promise((resolve, reject) => {
            const request = indexedDB.deleteDatabase(`feagi-state:${NAME}`);
            request.onsuccess = () => resolve();
            request.onerror = () => reject(request.error);
        }),
    is_in_memory_where_storage_is_refused: async () => {
        IDBFactory.prototype.open = () => {
            throw new DOMException("not in this mode", "SecurityError");
        };
        store = await openStore("refused");
        equal([store.durable, store.reason], [false, "storage is refused here: not in this mode"]);
        equal(await store.load(), null);
        await store.save(await snapshotOf(8));
        equal(await loaded(), 8);
    },
    // Median of 20 saves of a region of profile micro [ms].
    time: async () => {
        const bytes = await snapshotOf(1);
        const took = [];
        for (let n = 0; n < 20; n++) {
            const begun = performance.now();
            await store.save(bytes);
            took.push(performance.now() - begun);
        }
        return took.sort((a, b) => a - b)[10];
    },
};
