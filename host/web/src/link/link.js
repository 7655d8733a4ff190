// A link over anything shaped like a SerialPort of Web Serial: `readable` and `writable` streams of bytes, open() and close().
//
// A port's signals are left alone. The system asserts DTR and RTS together when it opens a port, which boards with the ESP32's reset
// wiring take for nothing, and boards with USB of their own for "somebody listens". setSignals() would change one after the other, and
// so pass through the state that resets the former.
import { InvalidField, LinkError } from "../errors.js";
import { big, floatBits, floatOf, whole } from "../numbers.js";
import { CommandOp, CORE_FIELDS, LinkState } from "../spec.js";
import { errorFromStatus } from "../status.js";
import { RXBUF_BYTES } from "./outbox.js";
import { HostSession } from "./session.js";

const BAUD_RATE = 115200;
const POLL_MS = 20;
const TIMEOUT_MS = 5000;
const STATES = Object.fromEntries(Object.entries(LinkState).map(([name, number]) => [number, name]));

// A field's value as it travels, and back.
function toWire(name, field, value) {
    const given = typeof value === "boolean" ? Number(value) : value;
    return field.type === "f32" ? floatBits(given, name) : field.type === "u64" ? big(given, name) : whole(given, name);
}

function fromWire({ type }, value) {
    return type === "f32" ? floatOf(value) : type === "u64" ? BigInt(value) : type === "bool" ? value !== 0 : value;
}

export class Link {
    #session;
    #observer;
    #port = null;
    #reader = null;
    #writer = null;
    #reading = Promise.resolve();
    #timer = null;
    #state = "CONNECTING";

    /** See `connect`. */
    static async make(observer) {
        const link = new Link();
        link.#observer = observer;
        link.#session = await HostSession.make(observer);
        return link;
    }

    /** The device's region, to read; null before its first copy is complete. */
    get mirror() {
        return this.#session.mirror?.region ?? null;
    }

    /** "CONNECTING", "LIVE", "STALE" or "CLOSED". */
    get state() {
        return this.#state;
    }

    /** What the device said of itself, or null. */
    get hello() {
        return this.#session.hello;
    }

    /** Whether there is a port; where there is none, `use` takes another one. */
    get hasPort() {
        return this.#port !== null;
    }

    get counters() {
        return { ...this.#session.counters };
    }

    get roundTrip() {
        return this.#session.roundTripMs;
    }

    /** Takes up this port, in place of one that was lost. It is opened if it is not. */
    async use(port, { baudRate = BAUD_RATE } = {}) {
        if (this.#port) {
            throw new LinkError("the link has a port: close() it, or wait until it is lost");
        }
        this.#checkOpen();
        this.#port = port; // at once: there is one user at a time
        try {
            if (!port.readable) {
                await port.open({ baudRate, bufferSize: RXBUF_BYTES + 1 });
            }
            if (this.#state === "CLOSED") {
                await port.close(); // meanwhile
                this.#checkOpen();
            }
            this.#writer = port.writable.getWriter();
        } catch (error) {
            this.#port = null;
            throw error;
        }
        port.addEventListener?.("disconnect", this.#onDisconnect);
        this.#session.portOpened(performance.now());
        this.#flush();
        this.#timer = setInterval(() => {
            this.#session.poll(performance.now());
            this.#flush();
        }, POLL_MS);
        this.#reading = this.#read(port);
    }

    #checkOpen() {
        if (this.#state === "CLOSED") {
            throw new LinkError("the link was closed: connect() makes another one");
        }
    }

    async #read(port) {
        let stream = null;
        let isOver = false;
        try {
            // A break or a framing error ends a port's stream, and it has another one; when the device was unplugged it has none.
            while (!isOver && port.readable && port.readable !== stream) {
                stream = port.readable;
                this.#reader = stream.getReader();
                try {
                    isOver = await this.#readToEnd();
                } finally {
                    this.#reader.releaseLock();
                }
            }
        } finally {
            await this.#lost(); // also where a handler threw
        }
    }

    // Whether the stream came to its end, rather than to an error.
    async #readToEnd() {
        for (;;) {
            let part;
            try {
                part = await this.#reader.read();
            } catch {
                return false;
            }
            if (part.done) {
                return true;
            }
            this.#session.receive(part.value, performance.now());
            this.#session.poll(performance.now()); // a page that is hidden has its timers held up, by a minute in the end
            this.#flush();
        }
    }

    #onDisconnect = () => this.#stopReading();

    #stopReading() {
        return this.#reader?.cancel().catch(() => {}); // of a stream that has failed: reading has ended with it
    }

    // Sends what is due, and tells of another state.
    #flush() {
        const out = this.#session.takeOutput();
        if (out.length && this.#writer) {
            this.#writer.write(out).catch(() => this.#stopReading());
        }
        const state = STATES[this.#session.linkState];
        if (state !== this.#state) {
            this.#state = state;
            this.#observer.state?.(state);
        }
    }

    async #lost() {
        const port = this.#port;
        clearInterval(this.#timer);
        port.removeEventListener?.("disconnect", this.#onDisconnect);
        this.#writer.releaseLock();
        this.#reader = this.#writer = null;
        try {
            this.#session.portLost(performance.now());
            this.#flush();
        } finally {
            // Also where a handler threw: then the link can have another port.
            await port.close().catch(() => {}); // one that is gone cannot be closed
            this.#port = null;
        }
    }

    /** Sets a field, by a command. The value after it. */
    set(name, value, options) {
        return this.#write(CommandOp.SET, name, value, options);
    }

    add(name, amount = 1, options) {
        return this.#write(CommandOp.ADD, name, amount, options);
    }

    subtract(name, amount = 1, options) {
        return this.#write(CommandOp.SUBTRACT, name, amount, options);
    }

    async #write(op, name, value, options) {
        const field = Object.hasOwn(CORE_FIELDS, name) ? CORE_FIELDS[name] : undefined;
        if (!field) {
            throw new InvalidField(`the core block has no field ${String(name)}`);
        }
        const { values } = await this.#command(op, [field.offset, toWire(name, field, value)], `${name}: ${value}`, options);
        return fromWire(field, values[0]);
    }

    /** CRC-32 of the device's pages and of the mirror's at the same instant; the latter is null where a loss kept them apart: ask again. */
    async digest(options) {
        const { values, digest } = await this.#command(CommandOp.DIGEST, [], "digest", options);
        return { device: values[0], mirror: digest };
    }

    async #command(op, args, what, { timeout = TIMEOUT_MS } = {}) {
        const answer = this.#session.command(op, args, performance.now(), timeout);
        this.#flush();
        const reply = await answer;
        if (reply.status < 0) {
            throw errorFromStatus(reply.status, what);
        }
        return reply;
    }

    /** Ends the link and closes the port. The mirror keeps its last values. */
    async close() {
        await this.#stopReading();
        try {
            await this.#reading;
        } finally {
            this.#session.close();
            this.#flush();
        }
    }
}

/** Links with the device on a port. See index.d.ts. */
export async function connect(port, { baudRate, ...observer } = {}) {
    const link = await Link.make(observer);
    await link.use(port, { baudRate });
    return link;
}
