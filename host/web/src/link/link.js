// A link over anything shaped like a SerialPort of Web Serial: `readable` and `writable` streams of bytes, open() and close().
import { InvalidField, LinkError } from "../errors.js";
import { big, floatBits, floatOf, whole } from "../numbers.js";
import { CommandOp, CORE_FIELDS, LinkState } from "../spec.js";
import { errorFromStatus } from "../status.js";
import { HostSession } from "./session.js";

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

    get counters() {
        return { ...this.#session.counters };
    }

    get roundTrip() {
        return this.#session.roundTripMs;
    }

    /** Takes up this port, in place of one that was lost. It is opened if it is not. */
    async use(port, options) {
        if (this.#port) {
            throw new LinkError("the link has a port: close() it, or wait until it is lost");
        }
        if (!port.readable) {
            await port.open(options);
        }
        this.#port = port;
        this.#reader = port.readable.getReader();
        this.#writer = port.writable.getWriter();
        this.#session.portOpened(performance.now());
        this.#flush();
        this.#timer = setInterval(() => {
            this.#session.poll(performance.now());
            this.#flush();
        }, POLL_MS);
        this.#reading = this.#read();
    }

    async #read() {
        try {
            for (;;) {
                const { value, done } = await this.#reader.read();
                if (done) {
                    break;
                }
                this.#session.receive(value, performance.now());
                this.#flush();
            }
        } catch {
            // The device was unplugged, which is what an end of the stream says as well.
        }
        await this.#lost();
    }

    // Sends what is due, and tells of another state.
    #flush() {
        const out = this.#session.takeOutput();
        if (out.length && this.#writer) {
            this.#writer.write(out).catch(() => this.#reader?.cancel().catch(() => {})); // reading ends with it
        }
        const state = STATES[this.#session.linkState];
        if (state !== this.#state) {
            this.#state = state;
            this.#observer.state?.(state);
        }
    }

    async #lost() {
        const port = this.#port;
        if (!port) {
            return;
        }
        clearInterval(this.#timer);
        this.#port = null;
        this.#session.portLost(performance.now());
        this.#reader.releaseLock();
        this.#writer.releaseLock();
        this.#reader = this.#writer = null;
        this.#flush();
        await port.close().catch(() => {}); // one that is gone cannot be closed
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
        await this.#reader?.cancel().catch(() => {});
        await this.#reading;
        this.#session.close();
        this.#flush();
    }
}

/** Links with the device on a port. See index.d.ts. */
export async function connect(port, { baudRate = 115200, ...observer } = {}) {
    const link = await Link.make(observer);
    await link.use(port, { baudRate });
    return link;
}
