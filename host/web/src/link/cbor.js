// The CBOR of frames (shared_spec/frames.cddl): integers, byte strings and texts in preferred serialization.
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The items of a payload that the core has checked. An integer is a number where that is exact, else a bigint. */
export function decodeItems(payload) {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const items = [];
    for (let at = 0; at < payload.length; ) {
        const lead = payload[at++];
        const size = lead & 31;
        let value = size;
        if (size >= 24) {
            const bytes = 1 << (size - 24);
            value = bytes === 1 ? view.getUint8(at) : bytes === 2 ? view.getUint16(at) : bytes === 4 ? view.getUint32(at) : view.getBigUint64(at);
            at += bytes;
        }
        const major = lead >> 5;
        if (major < 2) {
            const number = major === 0 ? value : -1n - BigInt(value);
            items.push(Number.isSafeInteger(Number(number)) ? Number(number) : number);
        } else {
            const text = payload.subarray(at, at + Number(value));
            items.push(major === 2 ? text.slice() : decoder.decode(text));
            at += text.length;
        }
    }
    return items;
}

// A head of this major type, as short as it can be.
function head(major, value) {
    const bytes = value < 24 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
    const out = new Uint8Array(1 + bytes);
    out[0] = (major << 5) | (bytes ? 24 + Math.log2(bytes) : Number(value));
    for (let at = bytes, rest = BigInt(value); at; at--, rest >>= 8n) {
        out[at] = Number(rest & 255n);
    }
    return [...out];
}

/** A payload of integers (number or bigint), byte strings (Uint8Array) and texts. */
export function encodeItems(items) {
    return Uint8Array.from(
        items.flatMap((item) => {
            if (typeof item === "number" || typeof item === "bigint") {
                return item < 0 ? head(1, -1n - BigInt(item)) : head(0, item);
            }
            const bytes = typeof item === "string" ? encoder.encode(item) : item;
            return [...head(typeof item === "string" ? 3 : 2, bytes.length), ...bytes];
        }),
    );
}
