// Bytes of a line.
import { Kind } from "../spec.js";

/** Kinds of frames that a device sends. */
export const FROM_DEVICE = new Set([Kind.HELLO, Kind.KEEPALIVE, Kind.DELTA, Kind.REPAIR, Kind.EVENT, Kind.REPLY, Kind.PONG, Kind.LOG]);
export const ZERO = Uint8Array.of(0);
export const NOTHING = new Uint8Array(0);

export function joined(...parts) {
    const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
        out.set(part, at);
        at += part.length;
    }
    return out;
}

/** Whether what came since a zero can be a device's frame, or the beginning of one. */
export function mayBeDeviceFrame(segment) {
    // The first byte says where the first zero of the body lies: not in front of it, where the kind is.
    return segment.length === 0 || (segment[0] > 1 && (segment.length === 1 || FROM_DEVICE.has(segment[1])));
}
