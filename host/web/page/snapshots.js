// Saved states: files that a host or a board reads as well, and the last one in this browser's store.
import { open, openStore } from "../index.js";
import { IMAGE_FIELDS } from "../src/spec.js";
import { timeText } from "./format.js";

const STORE = "page";

// One tab has the store at a time, and only for as long as it uses it.
async function inStore(action) {
    const store = await openStore(STORE);
    try {
        return await action(store);
    } finally {
        store.close();
    }
}

/** Keeps a saved state in the store. What to tell of it. */
export async function keep(bytes) {
    return inStore(async (store) => {
        await store.save(bytes);
        return store.durable ? "and kept in this browser" : `but not kept in this browser: ${store.reason}`;
    });
}

/** The last state that was kept, or null. */
export function kept() {
    return inStore((store) => store.load());
}

/** A saved state as a region of its own, {region, name, saved}. Throws PersistenceError. */
export async function show(bytes, name) {
    const region = await open({ snapshot: bytes });
    const at = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(IMAGE_FIELDS.saved_at.offset, true);
    return { region, name, savedAt: Number(at), saved: timeText(Number(at)) };
}
