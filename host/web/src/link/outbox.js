// What a host has to say to a device, as bytes in the form that the device takes: binary frames, or text frames on a line that it
// shares with a prompt (LINK.md); and no more of them than the device can hold.
import { FRAME_LEN_BYTES, HELLO_PERIOD_MS, HELLO_SEQ_TEXT, Kind, PROTOCOL_VERSION, SCHEMA_HASH, TEXT_BEGIN, TEXT_END } from "../spec.js";
import { joined, mayBeDeviceFrame } from "./bytes.js";
import { encodeItems } from "./cbor.js";
import { Window } from "./window.js";

/** The longest body (kind, seq, payload) that this host takes. */
export const MTU_BYTES = FRAME_LEN_BYTES - 4;
/** What it can hold unread: `Link` gives a port such a buffer. No byte of it is 0, see #hello. */
export const RXBUF_BYTES = 4095;

const TEXT_ANSWER_MS = 100; // in which a device that takes text has answered a hello
const HELLO_TRIES = 100;
const CTRL_C = 3;

// The text frame of a binary one.
function asTextFrame(wire) {
    // COBS undone: a frame is shorter than a block without a zero can be, so that there is one behind every block.
    const body = wire.slice(1, -1);
    for (let at = 0; at < body.length; ) {
        const next = at + body[at];
        body[at] = 0;
        at = next;
    }
    const base64 = btoa(String.fromCharCode(...body.subarray(1))).replace(/=+$/, "");
    return new TextEncoder().encode(String.fromCharCode(TEXT_BEGIN) + base64 + String.fromCharCode(TEXT_END));
}

/**
 * The bytes that wait to be sent. What form a device takes is known from its hello on. Before that a host's hello goes as text, which a
 * prompt survives; only where frames come that this host cannot read, and no answer, is it repeated as a frame.
 */
export class Outbox {
    #frames;
    #random;
    #out = [];
    #asText = null; // whether the device takes text frames; null: it has not said
    #binaryAt = Infinity; // from when on a hello may go as a frame, if it turns out to be needed
    #helloAt = 0; // when the next hello is due, while there is no session
    #isLineHeard = false; // whether anything has come since the last one
    /** What is under way in the present session. */
    window = new Window();

    /** `random` gives the boot ids of hellos. */
    constructor(frames, random) {
        this.#frames = frames;
        this.#random = random;
    }

    /** Forgets all, for a line that was opened again. */
    reset() {
        this.clear();
        this.#asText = null;
    }

    /** Forgets what was not taken. */
    clear() {
        this.#out = [];
    }

    /** The bytes to send since the last call. */
    take() {
        const out = joined(...this.#out);
        this.#out = [];
        return out;
    }

    /** Adds a frame of the session `id`, if the device has room for it: a HELLO_ACK, which is of none, always goes. Whether it was added. */
    send(kind, seq, items, id, now) {
        const payload = encodeItems(items);
        const isOfSession = kind !== Kind.HELLO_ACK;
        const length = this.#lineLength(payload);
        if (isOfSession) {
            if (!this.window.admits(length)) {
                return false;
            }
            this.window.sent(kind, kind === Kind.PING ? items[0] : seq, length, now);
        }
        this.#put(this.#frames.encode(kind, seq, payload, isOfSession ? id : 0), this.#asText);
        return true;
    }

    /** How long a frame of these items is on the line, in the form that the device takes. */
    lineLength(items) {
        return this.#lineLength(encodeItems(items));
    }

    #lineLength(payload) {
        const withCrc = 2 + payload.length + 4;
        return this.#asText ? Math.ceil((withCrc * 4) / 3) + 2 : withCrc + 3;
    }

    /** Something has come. */
    hearLine() {
        this.#isLineHeard = true;
    }

    /** Whether to greet again. On a line that is silent nothing reads: what would read says hello when it starts. */
    isHelloDue(now) {
        return this.#isLineHeard && now >= this.#helloAt;
    }

    /** Adds a hello, as text unless the device is known to take frames. */
    greet(now) {
        this.#helloAt = now + HELLO_PERIOD_MS;
        this.#isLineHeard = false;
        this.#binaryAt = this.#asText === null ? now + TEXT_ANSWER_MS : Infinity;
        this.#put(this.#hello(), this.#asText !== false);
    }

    /** The device has said hello: its form is known. */
    hear(helloSeq) {
        this.#asText = helloSeq === HELLO_SEQ_TEXT;
    }

    /** What came between two zeros could not be read: perhaps it is of a session that this host knows nothing of, with a device that takes
     * no text. */
    hearStrange(segment, now) {
        if (this.#asText === null && now >= this.#binaryAt && mayBeDeviceFrame(segment)) {
            this.#binaryAt = Infinity;
            this.#put(this.#hello(), false);
        }
    }

    #hello() {
        let wire;
        // The uptime is not 0, whose place in the frame would be a Ctrl-C.
        for (let tries = 0; tries < HELLO_TRIES; tries++) {
            const items = [PROTOCOL_VERSION, SCHEMA_HASH, this.#random() || 1, MTU_BYTES, 0, RXBUF_BYTES, 1];
            wire = this.#frames.encode(Kind.HELLO, 0, encodeItems(items), 0);
            if (!wire.includes(CTRL_C)) {
                break; // if it goes to a program at a prompt's line after all, it does not end it
            }
        }
        return wire;
    }

    #put(wire, asText) {
        // Adjacent frames share a zero; the first one brings its own, since anything may stand before it on the line.
        const follows = this.#out.at(-1)?.at(-1) === 0;
        this.#out.push(asText ? asTextFrame(wire) : follows ? wire.subarray(1) : wire);
    }
}
