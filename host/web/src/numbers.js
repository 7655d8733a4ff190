// Checks of what a program passes, and the numbers in it.
import { InvalidValue } from "./errors.js";

const U64_MAX = 2n ** 64n - 1n;

/** A whole number from 0 to `maximum`. Throws InvalidValue, which says of `what`. */
export function whole(value, what, maximum = 0xffffffff) {
    if (!Number.isInteger(value) || value < 0 || value > maximum) {
        throw new InvalidValue(`${what} is ${String(value)}: it should be a whole number from 0 to ${maximum}`);
    }
    return value;
}

/** A bigint from 0 to 2^64 - 1, of a bigint or a whole number that is safe. Throws InvalidValue. */
export function big(value, what) {
    const number = Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof number !== "bigint" || number < 0n || number > U64_MAX) {
        throw new InvalidValue(`${what} is ${String(value)}: it should be a bigint from 0 to ${U64_MAX}`);
    }
    return number;
}

/** A span of time [ms], which may be Infinity. Throws InvalidValue. */
export function span(value, what) {
    if (!(typeof value === "number" && value >= 0)) {
        throw new InvalidValue(`${what} is ${String(value)}: it should be a number of milliseconds, 0 or more`);
    }
    return value;
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The bits of a number as f32. Throws InvalidValue for what is no number or too large. */
export function floatBits(value, what) {
    float[0] = value;
    if (typeof value !== "number" || (Number.isFinite(value) && !Number.isFinite(float[0]))) {
        throw new InvalidValue(`${what} is ${String(value)}: it should be a number that fits 32-bit floating point`);
    }
    return bits[0];
}

/** The number that has these bits as f32. */
export function floatOf(value) {
    bits[0] = value;
    return float[0];
}

/** Bytes as Uint8Array. Throws TypeError, which says of `what`. */
export function bytesOf(bytes, what) {
    if (bytes instanceof ArrayBuffer) {
        return new Uint8Array(bytes);
    }
    if (bytes instanceof Uint8Array) {
        return bytes;
    }
    throw new TypeError(`${what} is an ArrayBuffer or a Uint8Array, not ${typeof bytes}`);
}
