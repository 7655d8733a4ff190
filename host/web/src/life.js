// Who attaches to a region of several threads holds a Web Lock while it lives: terminate() of a worker comes back before the worker
// has stopped, and nothing else tells when it has. Node, whose terminate() can be awaited, has no Web Locks, and needs none.
import { RegionBusy } from "./errors.js";

const locks = globalThis.navigator?.locks;
const PATIENCE = 10_000; // [ms]

/** Lives under this name from now on, until what this resolves with is called. */
export function live(name) {
    if (!locks) {
        return () => {};
    }
    return new Promise((resolve, reject) => {
        locks.request(name, () => new Promise((end) => resolve(end))).catch(reject);
    });
}

/** Resolves when nobody lives under this name. Throws RegionBusy if somebody goes on to. */
export async function ended(name) {
    try {
        await locks?.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => {});
    } catch {
        throw new RegionBusy("release: the thread that attached by this handle still runs: terminate() it first");
    }
}
