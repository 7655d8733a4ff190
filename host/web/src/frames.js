// Frames as bytes, by the core's own codec.
import { Core, threads } from "./core.js";
import { InvalidOperation, SerializationError } from "./errors.js";
import { whole } from "./numbers.js";
import { FRAME_LEN_BYTES } from "./spec.js";

/** Makes and takes apart frames of the link (shared_spec/LINK.md). Made by `openFrames`. */
export class Frames {
    #core;

    static async make(threaded = false, module) {
        return new Frames(await Core.make(threaded, module));
    }

    constructor(core) {
        core.use(0);
        this.#core = core;
    }

    /** A frame on the wire, of CBOR items. `session` is its CRC's start value. */
    encode(kind, seq, payload, session = 0) {
        const { calls, seat, text, u8 } = this.#core;
        if (payload.length > FRAME_LEN_BYTES) {
            throw new SerializationError(`a payload of ${payload.length} bytes does not fit a frame`);
        }
        u8.set(payload, text);
        const length = calls.frame_encode(seat, whole(kind, "kind", 255), whole(seq, "seq", 255), payload.length, session);
        if (length < 0) {
            throw new SerializationError(`a payload of ${payload.length} bytes does not fit a frame`);
        }
        return u8.slice(text, text + length);
    }

    /** The first valid frame in up to 1024 bytes, {kind, seq, payload}, or null. */
    decode(wire, session = 0) {
        const { calls, seat, text, u8 } = this.#core;
        u8.set(wire.subarray(0, 1024), text);
        if (!calls.frame_decode(seat, Math.min(wire.length, 1024), session)) {
            return null;
        }
        const [kind, seq, length] = [0, 1, 2].map((index) => this.#core.result(index));
        return { kind, seq, payload: u8.slice(text, text + length) };
    }
}

export async function openFrames({ threaded = false, module } = {}) {
    if (threaded && !threads().available) {
        throw new InvalidOperation(`openFrames: ${threads().reason}`);
    }
    return Frames.make(threaded, module);
}
