// A device in a page, behind the face of a SerialPort of Web Serial: its region is the package's own, its side of the link is written
// from LINK.md for a line that loses nothing.
import { CORE_FIELDS, open, openFrames } from "../../host/web/index.js";
import { Core } from "../../host/web/src/core.js";
import { decodeItems, encodeItems } from "../../host/web/src/link/cbor.js";
import { HEADER_LEN_BYTES, HELLO_PERIOD_MS, Kind, LINK_MTU_BYTES, LINK_RXBUF_BYTES, PROTOCOL_VERSION, SCHEMA_HASH } from "../../host/web/src/spec.js";

const POLL_MS = 10;
const KEEPALIVE_POLLS = 25;
const HELLO_POLLS = HELLO_PERIOD_MS / POLL_MS;
const REFUSED = -4; // RANGE of spec.toml

// Where the pages of a region with this header lie: [offset, length].
async function pagesOf(header) {
    const core = await Core.make(false);
    core.use(0);
    core.u8.set(header, core.text);
    const { calls, seat } = core;
    const length = calls.mirror_memory_len(seat);
    const count = core.result();
    core.grow(length);
    core.use(0);
    calls.mirror_create(seat);
    return Array.from({ length: count }, (_, page) => [calls.page_at(seat, page), core.result()]);
}

export class FakeDevice extends EventTarget {
    name = "fake";
    schema = SCHEMA_HASH;
    pings = 0;
    written = []; // bytes that the host wrote
    opened = []; // options of open()
    signals = 0; // calls of setSignals
    refuses = false; // answers commands with an error
    isQuiet = false;
    connected = true;
    readable = null;
    writable = null;

    static async make() {
        const device = new FakeDevice();
        device.frames = await openFrames();
        await device.start();
        setInterval(() => device.poll(), POLL_MS);
        return device;
    }

    /** Starts, or starts again after a reset: an empty region and a new uptime. */
    async start() {
        this.region = await open();
        this.pages = await pagesOf(this.region.bytes().subarray(0, HEADER_LEN_BYTES));
        this.started = performance.now();
        this.session = this.offered = 0;
    }

    // ---- The port

    getInfo() {
        return { usbVendorId: 0x2e8a, usbProductId: 0x0005 };
    }

    async setSignals() {
        this.signals += 1;
    }

    async open(options) {
        if (!this.connected) {
            throw new DOMException("The port is gone.", "NetworkError");
        }
        this.opened.push(options);
        this.readable = new ReadableStream({ start: (controller) => (this.line = controller) });
        this.writable = new WritableStream({ write: (bytes) => this.take(bytes) });
        this.part = [];
        this.offer();
    }

    async close() {
        this.readable = this.writable = this.line = null;
    }

    unplug() {
        this.connected = false;
        this.session = 0;
        this.line?.error(new DOMException("The device has been lost.", "NetworkError"));
        this.line = null;
        navigator.serial.dispatchEvent(new Event("disconnect"));
    }

    plug() {
        this.connected = true;
        navigator.serial.dispatchEvent(new Event("connect"));
    }

    say(text) {
        this.line?.enqueue(new TextEncoder().encode(text));
    }

    log(level, message) {
        this.send(Kind.LOG, 0, [level, message]);
    }

    // ---- The link

    send(kind, seq, items) {
        if (this.line && !this.isQuiet) {
            const isHello = kind === Kind.HELLO;
            this.line.enqueue(this.frames.encode(kind, seq, encodeItems(items), isHello ? 0 : this.session));
            this.silent = 0;
        }
    }

    take(bytes) {
        this.written.push(...bytes);
        for (const byte of bytes) {
            if (byte === 0) {
                this.hear(Uint8Array.of(0, ...this.part, 0));
                this.part = [];
            } else {
                this.part.push(byte);
            }
        }
    }

    hear(wire) {
        const frame = (this.session && this.frames.decode(wire, this.session)) || this.frames.decode(wire, 0);
        if (!frame) {
            return;
        }
        const items = decodeItems(frame.payload);
        if (frame.kind === Kind.HELLO) {
            this.offer();
        } else if (frame.kind === Kind.HELLO_ACK && items[0] === this.offered && !this.session) {
            this.session = this.offered;
            this.seq = this.eventSeq = 0;
            this.sent = []; // pages, as texts
            this.reply = [];
        } else if (frame.kind === Kind.PING) {
            this.pings += 1;
            const now = Math.floor(performance.now() * 1000);
            this.send(Kind.PONG, 0, [items[0], now, now]);
        } else if (frame.kind === Kind.COMMAND) {
            this.reply = this.reply[0] === frame.seq ? this.reply : [frame.seq, this.run(items)];
            this.poll();
            this.send(Kind.REPLY, frame.seq, this.reply[1]);
        }
    }

    /** Offers a new session, as at every start. */
    offer() {
        this.session = 0;
        this.offered = 1 + Math.floor(Math.random() * 0xfffffffe);
        const uptime = Math.floor(performance.now() - this.started);
        this.send(Kind.HELLO, 0, [PROTOCOL_VERSION, this.schema, this.offered, LINK_MTU_BYTES, this.pages.length, LINK_RXBUF_BYTES, uptime, this.name]);
    }

    // SET alone: what the page asks for.
    run([, offset, value]) {
        const [name, field] = Object.entries(CORE_FIELDS).find(([, { offset: at }]) => at === offset);
        if (this.refuses) {
            return [REFUSED];
        }
        const float = new Float32Array(Uint32Array.of(Number(value)).buffer)[0];
        this.region[name] = field.type === "f32" ? float : field.type === "bool" ? value !== 0 : value;
        return [0, value];
    }

    event(kind, arg) {
        this.eventSeq = (this.eventSeq + 1) & 255;
        this.send(Kind.EVENT, this.eventSeq, [kind, arg, Date.now() % 2 ** 32]);
    }

    poll() {
        if (!this.session) {
            if (++this.silent >= HELLO_POLLS) {
                this.offer();
            }
            return;
        }
        const bytes = this.region.bytes();
        this.pages.forEach(([offset, length], page) => {
            const content = bytes.subarray(offset, offset + length);
            if (this.sent[page] !== content.join()) {
                this.sent[page] = content.join();
                this.seq = (this.seq + 1) & 255;
                this.send(Kind.DELTA, this.seq, [(offset - HEADER_LEN_BYTES) / 4, content]);
            }
        });
        if (++this.silent >= KEEPALIVE_POLLS) {
            this.send(Kind.KEEPALIVE, this.seq, []);
        }
    }
}

/** navigator.serial with this device's port: `granted` without being asked. */
export class FakeSerial extends EventTarget {
    #granted;

    constructor(device, granted) {
        super();
        this.device = device;
        this.#granted = granted;
    }

    async getPorts() {
        return this.#granted && this.device.connected ? [this.device] : [];
    }

    async requestPort() {
        this.#granted = true;
        return this.device;
    }
}
