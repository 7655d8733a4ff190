// Opening regions, and attaching to those of other threads.
import { Core, threads } from "./core.js";
import { InvalidOperation, InvalidValue, MemoryMapError, PersistenceError } from "./errors.js";
import { live } from "./life.js";
import { bytesOf, whole } from "./numbers.js";
import { profileOf, Region } from "./region.js";
import { HEADER_FIELDS, HEADER_LEN_BYTES, IMAGE_LEN_BYTES, PROFILES, SCHEMA_HASH } from "./spec.js";
import { errorFromStatus } from "./status.js";

// The profile that the bytes of a region say, which begins at `at`.
function profileIn(bytes, at, what, error) {
    const given = bytesOf(bytes, what);
    const profile = given.length >= at + HEADER_LEN_BYTES ? profileOf(given[at + HEADER_FIELDS.profile.offset]) : undefined;
    if (profile === undefined) {
        throw new error(`${given.length} bytes were given that hold no ${what.slice(2)} of a known profile`);
    }
    return profile;
}

/**
 * Opens a new region, or one with what `snapshot` or `region` holds. See index.d.ts.
 */
export async function open({ threaded = false, profile, bootId, manualClock = false, snapshot, region: given, module } = {}) {
    const { available, reason } = threads();
    const isThreaded = threaded && available;
    const name =
        snapshot !== undefined
            ? profileIn(snapshot, IMAGE_LEN_BYTES, "a saved state", PersistenceError)
            : given !== undefined
              ? profileIn(given, 0, "a region", MemoryMapError)
              : (profile ?? "micro");
    if (!Object.hasOwn(PROFILES, name) || (profile !== undefined && profile !== name)) {
        throw new InvalidValue(`the profile is ${profile}: it should be ${given || snapshot ? name : `one of ${Object.keys(PROFILES).join(", ")}`}`);
    }
    const core = await Core.make(isThreaded, module);
    core.grow(core.calls.memory_len(PROFILES[name].id));
    const boot = whole(bootId ?? crypto.getRandomValues(new Uint32Array(1))[0], "bootId");
    const status = core.calls.create(PROFILES[name].id, boot, manualClock ? 1 : 0);
    if (status) {
        throw errorFromStatus(status, "open");
    }
    core.use(0);
    const made = new Region(core, 1, threaded && !available ? reason : null);
    checkSchema(core);
    if (given !== undefined) {
        made.adopt(given);
    } else if (snapshot !== undefined) {
        made.restore(snapshot);
    }
    return made;
}

// The module is of the layout that spec.js has: somebody may have given another one.
function checkSchema(core) {
    const hash = core.u32[(core.region + HEADER_FIELDS.schema_hash.offset) / 4];
    if (hash !== SCHEMA_HASH) {
        throw new MemoryMapError(`the module's schema hash is 0x${hash.toString(16)}, this package's 0x${SCHEMA_HASH.toString(16)}`);
    }
}

/** Attaches this thread to a region of another one, by what `handle()` gave there. */
export async function attach(handle) {
    const core = await Core.join(handle.module, handle.memory, handle.stackTop);
    const status = core.calls.sit(handle.index, handle.owner);
    if (status < 0) {
        throw new InvalidOperation("attach: the handle was used already, or released: every thread needs one of its own");
    }
    core.use(handle.index);
    return new Region(core, handle.owner, null, await live(handle.life));
}
