// The host's role in the link (shared_spec/LINK.md), without a port, a clock or a timer: bytes and times go in, bytes come out. Times
// are milliseconds of a clock that only rises.
import { SerializationError } from "../errors.js";
import { Frames } from "../frames.js";
import {
    HEADER_LEN_BYTES,
    Kind,
    LINK_EVENTS_WINDOW,
    LINK_WINDOW,
    LinkState,
    NakReason,
    PAGE_LEN_BYTES,
    PING_PERIOD_MS,
    PROTOCOL_VERSION,
    SCHEMA_HASH,
    STALE_AFTER_MS,
    WINDOW_MS,
} from "../spec.js";
import { FROM_DEVICE, joined, ZERO } from "./bytes.js";
import { decodeItems } from "./cbor.js";
import { CommandQueue } from "./commands.js";
import { Deframer } from "./deframer.js";
import { Mirror } from "./mirror.js";
import { MTU_BYTES, Outbox } from "./outbox.js";

const NAK_PERIOD_MS = 20; // LINK.md, Deltas: "at most every 20 ms"
const PENDING_EVENTS = 4096;
const PENDING_DELTAS = 1024;
const PINGS = 8;
const USED_SESSIONS = 8;
const PAUSE_MS = 100; // longer than any within a frame, which comes by one write

function randomU32() {
    return crypto.getRandomValues(new Uint32Array(1))[0];
}

/**
 * One line's host, over any number of sessions with the device. `observer` hears what happens, in the call in which it happens; each of
 * its methods may be missing: sessionStarted(hello), live(mirror), published(pages), event(kind, arg, time), text(bytes), log(level,
 * message), mismatch(hello), sessionEnded(reason).
 */
export class HostSession {
    #frames;
    #mirrors; // the one that is shown, and the one in which a session's first copy is put together
    #observer;
    #unixMs;
    #deframer = new Deframer();
    #out;
    #portOpen = false;
    #mismatch = false;
    #receivedAt = 0;
    #calledAt = 0; // receive or poll
    #heardAt = null;
    #oldSession = 0; // the last one that ended
    #usedSessions = []; // the last ones that frames were taken in
    #eventsPending = [];
    #commands = new CommandQueue(
        (kind, seq, items, now) => this.#send(kind, seq, items, now),
        (items) => this.#out.window.admits(this.#out.lineLength(items)),
    );
    #pings = [];
    #present; // of the present session

    static async make(observer = {}, { random = randomU32, unixMs = Date.now } = {}) {
        const [shown, staging] = [await Mirror.make(), await Mirror.make()];
        return new HostSession(await Frames.make(), [shown, staging], observer, random, unixMs);
    }

    constructor(frames, mirrors, observer, random, unixMs) {
        this.#frames = frames;
        this.#mirrors = mirrors;
        this.#observer = observer;
        this.#out = new Outbox(frames, random);
        this.#unixMs = unixMs;
        this.counters = { frames: 0, deltas: 0, events: 0, events_lost: 0, commands: 0, naks: 0, text_bytes: 0, sessions: 0 };
        /** What the device of the present or last session said of itself. */
        this.hello = null;
        /** The mirror, once a first copy was complete. */
        this.mirror = null;
        this.linkState = LinkState.CONNECTING;
        this.roundTripMs = this.clockOffsetMs = 0;
        this.#clear();
    }

    #clear() {
        this.#present = {
            id: 0,
            isStarted: false, // a frame of the session was heard: the device is in it
            isComplete: false, // every page has arrived
            isBehind: false, // this host has stood still, and what it reads may be old
            last: 0,
            acked: 0, // the device has been told of at least the deltas up to here
            eventLast: 0,
            ackDue: false,
            eventAckDue: false,
            nakAt: -Infinity,
            pingAt: 0,
            pingsSent: [],
            missing: null, // pages, once the header has come
            early: [], // deltas that came before it
        };
    }

    get session() {
        return this.#present.id;
    }

    /** Whether every page of the present session has arrived and the port is open; says nothing of silence. */
    get isLive() {
        return this.#present.isComplete && this.#portOpen;
    }

    portOpened(now) {
        this.#portOpen = true;
        this.#mismatch = false;
        this.#deframer.reset();
        this.#out.reset();
        this.#endSession("the port was opened again");
        this.#out.greet(now);
        this.#show(now);
    }

    portLost(now) {
        this.#portOpen = false;
        this.#out.clear();
        this.#endSession("the port went away");
        this.#show(now);
    }

    close() {
        this.#portOpen = false;
        this.#endSession("the link was closed");
        this.#commands.failAll("the link was closed");
        this.linkState = LinkState.CLOSED;
    }

    /** Queues a command; see CommandQueue. It runs at most once. Throws SerializationError for one that the device cannot take. */
    async command(op, args, now, timeout) {
        const length = this.#out.lineLength([op, ...args]);
        if (this.hello && length > this.hello.rxbuf) {
            throw new SerializationError(`a command of ${length} bytes on the line; the device takes ${this.hello.rxbuf}`);
        }
        const answer = this.#commands.add(op, args, now + timeout);
        this.#commands.serve(now, this.isLive);
        return answer;
    }

    /** The bytes to send since the last call. */
    takeOutput() {
        return this.#out.take();
    }

    /** Does what is due: retries, pings, hellos, staleness. To be called every few ten ms. */
    poll(now) {
        this.#noticePause(now);
        const present = this.#present;
        if (this.#portOpen) {
            if (!present.id && !this.#mismatch && this.#out.isHelloDue(now)) {
                this.#out.greet(now);
            }
            if (now - this.#receivedAt >= PAUSE_MS) {
                this.#text(this.#deframer.takeText(true));
            }
            this.#acknowledge(now);
            if (present.isStarted && now >= present.pingAt) {
                this.#ping(now);
            }
        }
        this.#commands.serve(now, this.isLive);
        this.#show(now);
    }

    /** Takes any number of bytes from the line. */
    receive(data, now) {
        this.#noticePause(now);
        this.#receivedAt = now;
        this.#out.hearLine();
        for (const { bytes, isText } of this.#deframer.read(data)) {
            if (isText) {
                this.#text(bytes);
                continue;
            }
            const frame = this.#decode(bytes, this.#present.id);
            if (frame !== null) {
                this.#deframer.accept();
                this.#hear(frame, now);
                continue;
            }
            if (this.#oldSession !== 0 && this.#decode(bytes, this.#oldSession) !== null) {
                this.#deframer.accept(); // it was on its way when its session ended: no text for users
            }
            if (!this.#present.id) {
                this.#out.hearStrange(bytes, now);
            }
        }
        this.#text(this.#deframer.takeText());
        if (this.#heardAt !== null) {
            const { acked, eventLast } = this.#present;
            this.#out.window.heard(acked, (eventLast - LINK_EVENTS_WINDOW) & 255, this.#heardAt); // of events so many are in flight at most
        }
        this.#acknowledge(now);
        this.#commands.serve(now, this.isLive);
        this.#show(now);
    }

    // A page that was frozen reads first what the line had kept from before: it is up to date when a ping that it sends now is answered,
    // or in a new session.
    #noticePause(now) {
        const present = this.#present;
        if (now - this.#calledAt >= WINDOW_MS) {
            this.#out.window.pause(now);
        }
        if (present.id && now - this.#calledAt > STALE_AFTER_MS) {
            present.isBehind = true;
            present.pingsSent = [];
            present.pingAt = now;
        }
        this.#calledAt = now;
    }

    // ---- Frames

    // A hello's CRC does not begin with a session's id.
    #decode(segment, id) {
        const wire = joined(ZERO, segment, ZERO);
        const isHandshake = (frame) => frame !== null && (frame.kind === Kind.HELLO || frame.kind === Kind.HELLO_ACK);
        const frame = id === 0 ? null : this.#frames.decode(wire, id);
        if (frame !== null && !isHandshake(frame)) {
            return frame;
        }
        const hello = this.#frames.decode(wire, 0);
        return isHandshake(hello) ? hello : null;
    }

    // Whether there was room for it.
    #send(kind, seq, items, now) {
        return this.#out.send(kind, seq, items, this.#present.id, now);
    }

    #text(bytes) {
        if (bytes.length) {
            this.counters.text_bytes += bytes.length;
            this.#observer.text?.(bytes);
        }
    }

    #hear({ kind, seq, payload }, now) {
        const items = kind === Kind.DELTA || kind === Kind.REPAIR ? null : decodeItems(payload);
        if (kind === Kind.HELLO) {
            const [proto, schema, boot, mtu, npages, rxbuf, uptime, name = ""] = items;
            if (npages > 0 && boot > 0) {
                this.#heard(now);
                this.#out.hear(seq);
                this.#onHello({ proto, schema, boot, mtu, npages, rxbuf, uptime, name }, now);
            }
            return;
        }
        if (!FROM_DEVICE.has(kind)) {
            return; // an echo of this host's own, or another host on the line
        }
        this.#heard(now);
        const present = this.#present;
        if (!present.isStarted) {
            present.isStarted = true;
            present.pingAt = now;
            this.#out.window.open(this.hello.rxbuf);
        }
        if (kind === Kind.DELTA || kind === Kind.REPAIR) {
            this.#onDelta(kind, seq, payload, now);
        } else if (kind === Kind.KEEPALIVE) {
            if (seq !== present.last) {
                this.#nak(NakReason.GAP, now);
            }
        } else if (kind === Kind.EVENT) {
            this.#onEvent(seq, items);
        } else if (kind === Kind.REPLY) {
            this.#onReply(seq, items, now);
        } else if (kind === Kind.PONG) {
            this.#onPong(items, now);
        } else {
            this.#observer.log?.(...items);
        }
    }

    #heard(now) {
        this.#heardAt = now;
        this.counters.frames += 1;
    }

    // ---- The session

    #onHello(hello, now) {
        if (hello.proto !== PROTOCOL_VERSION || hello.schema !== SCHEMA_HASH) {
            this.#mismatch = true;
            this.#endSession("a device of another version said hello");
            this.#observer.mismatch?.(hello);
            return;
        }
        this.#mismatch = false;
        if (hello.mtu > MTU_BYTES) {
            return; // it has not heard what this host takes: the next hello says it again
        }
        const { id, isStarted } = this.#present;
        if (this.#usedSessions.includes(hello.boot) || (hello.boot === id && isStarted)) {
            // It started again and offers an id that was used, or the line says an old hello again: its numbers would look like old
            // ones, or old ones like its.
            this.#endSession("the device started again");
            if (this.#out.isHelloDue(now)) {
                this.#out.greet(now);
            }
            return;
        }
        if (hello.boot !== id) {
            this.#endSession("the device started a new session");
            this.#present.id = hello.boot;
            this.hello = hello;
            this.counters.sessions += 1;
            this.#pings = []; // its clock may have started again
            this.roundTripMs = this.clockOffsetMs = 0;
            this.#observer.sessionStarted?.(hello);
        }
        this.#send(Kind.HELLO_ACK, 0, [hello.boot, ...this.#timeOfDay()], now);
    }

    #endSession(reason) {
        const { id, isStarted } = this.#present;
        this.#clear();
        this.#commands.failSent(reason);
        if (id) {
            this.#oldSession = id;
            if (isStarted) {
                this.#usedSessions = [...this.#usedSessions, id].slice(-USED_SESSIONS);
            }
            this.#observer.sessionEnded?.(reason);
        }
    }

    // ---- Deltas

    // Says what has arrived. For want of room it is said later: the latest number stands for all before it.
    #acknowledge(now) {
        const present = this.#present;
        present.ackDue &&= !this.#send(Kind.ACK, present.last, [LINK_WINDOW], now);
        present.eventAckDue &&= !this.#send(Kind.EVENT_ACK, present.eventLast, [], now);
    }

    #nak(reason, now) {
        const present = this.#present;
        if (now - present.nakAt < NAK_PERIOD_MS) {
            return;
        }
        // What asks for it comes again, if there is no room now.
        if (this.#send(Kind.NAK, present.last, [(present.last + 1) & 255, reason], now)) {
            present.nakAt = now;
            present.ackDue = false; // it says the same
            this.counters.naks += 1;
        }
    }

    #onDelta(kind, seq, payload, now) {
        const present = this.#present;
        const ahead = (seq - present.last) & 255;
        if (ahead === 0 || ahead >= 128) {
            present.ackDue = true; // it is here already
            return;
        }
        let runs = payload;
        let follows = ahead === 1;
        let acked = (seq - LINK_WINDOW) & 255;
        if (kind === Kind.REPAIR) {
            [acked] = decodeItems(payload.subarray(0, payload[0] < 24 ? 1 : 2));
            runs = payload.subarray(payload[0] < 24 ? 1 : 2);
            follows = ((present.last - acked) & 255) < 128;
        }
        if (!follows) {
            this.#nak(NakReason.GAP, now);
            return;
        }
        const fits = this.#apply(runs);
        if (!present.id || present !== this.#present) {
            this.#out.greet(now); // what had come before the header did not fit it
            return;
        }
        if (!fits) {
            this.#nak(NakReason.BAD_DELTA, now);
            return;
        }
        present.last = seq;
        present.acked = acked;
        this.counters.deltas += 1;
        present.ackDue = true;
        if (!present.isComplete && present.missing?.size === 0) {
            this.#showCopy(now);
        }
    }

    // False, with nothing changed, for words that do not fit the region.
    #apply(runs) {
        const present = this.#present;
        if (present.isComplete) {
            const pages = this.mirror.apply(runs);
            if (pages) {
                this.#observer.published?.(pages);
            }
            return pages !== null;
        }
        return present.missing ? this.#applyToCopy(runs) : this.#applyEarly(runs);
    }

    #applyToCopy(runs) {
        const pages = this.#mirrors[1].apply(runs);
        pages?.forEach((page) => this.#present.missing.delete(page));
        return pages !== null;
    }

    // Keeps a delta until the one with the header has come, which says where the pages lie.
    #applyEarly(runs) {
        const present = this.#present;
        const items = decodeItems(runs);
        const [low, high] = [-HEADER_LEN_BYTES / 4, (this.hello.npages * PAGE_LEN_BYTES) / 4];
        const header = new Uint8Array(HEADER_LEN_BYTES);
        let hasHeader = false;
        for (let at = 0; at < items.length; at += 2) {
            const [word, bytes] = [items[at], items[at + 1]];
            const offset = (word - low) * 4;
            if (word < low || word >= high || (word < 0 && offset + bytes.length > HEADER_LEN_BYTES)) {
                return false;
            }
            if (word < 0) {
                header.set(bytes, offset);
                hasHeader = true;
            }
        }
        if (!hasHeader) {
            if (present.early.length >= PENDING_DELTAS) {
                this.#endSession("the device did not send its header");
            }
            present.early.push(runs);
            return true;
        }
        const staging = this.#mirrors[1];
        if (staging.create(header) !== this.hello.npages || staging.apply(runs) === null) {
            return false;
        }
        present.missing = new Set(Array.from({ length: staging.pages }, (_, page) => page));
        // In the order of their arrival, and this one again, which came last.
        if (![...present.early.splice(0), runs].every((earlier) => this.#applyToCopy(earlier))) {
            this.#endSession("the device sent words that its own header has no place for");
        }
        return true;
    }

    // The session's first copy is complete.
    #showCopy(now) {
        const [shown, staging] = this.#mirrors;
        const header = staging.page(0);
        // Where the layout is the one that was there, whoever reads the mirror goes on reading it.
        if (!this.mirror || shown.region.profile !== staging.region.profile || shown.pages !== staging.pages) {
            shown.create(header);
        }
        shown.take(staging);
        this.mirror = shown;
        this.#eventsPending.splice(0).forEach((event) => shown.pushEvent(...event));
        this.#present.isComplete = true;
        this.#show(now);
        this.#observer.live?.(shown);
    }

    // ---- Events, replies, time

    #onEvent(seq, [kind, arg, time, lost = 0]) {
        const present = this.#present;
        if (seq === ((present.eventLast + 1) & 255)) {
            present.eventLast = seq;
            this.counters.events += 1;
            this.counters.events_lost += lost;
            if (present.isComplete) {
                this.mirror.pushEvent(kind, arg, time);
            } else {
                // It stands in the mirror after the state that it tells of.
                if (this.#eventsPending.length === PENDING_EVENTS) {
                    this.#eventsPending.shift();
                    this.counters.events_lost += 1;
                }
                this.#eventsPending.push([kind, arg, time]);
            }
            this.#observer.event?.(kind, arg, time);
        }
        present.eventAckDue = true;
    }

    #onReply(seq, items, now) {
        const present = this.#present;
        this.#out.window.taken(Kind.COMMAND, seq);
        // At once, and only if the deltas up to the one that the reply names are what the mirror shows (LINK.md, Commands).
        const digest = (values) => (present.isComplete && values[1] === present.last ? this.mirror.digest() : null);
        if (this.#commands.reply(seq, items, digest)) {
            this.counters.commands += 1;
            this.#commands.serve(now, this.isLive);
        }
    }

    #ping(now) {
        const present = this.#present;
        const sent = Math.floor(now * 1000);
        if (this.#send(Kind.PING, 0, [sent, ...this.#timeOfDay()], now)) {
            present.pingAt = now + PING_PERIOD_MS;
            present.pingsSent = [...present.pingsSent, sent].slice(-PINGS);
        }
    }

    // As the last item of a frame, or no item.
    #timeOfDay() {
        return this.#unixMs ? [this.#unixMs()] : [];
    }

    #onPong([sent, arrived, answered], now) {
        const { pingsSent } = this.#present;
        this.#out.window.taken(Kind.PING, sent);
        if (!pingsSent.includes(sent)) {
            return;
        }
        pingsSent.splice(pingsSent.indexOf(sent), 1);
        this.#present.isBehind = false;
        const here = Math.floor(now * 1000);
        const roundTrip = here - sent - Number(answered) + Number(arrived);
        if (roundTrip >= 0) {
            const offset = (Number(arrived) - sent + Number(answered) - here) / 2;
            this.#pings = [...this.#pings, [roundTrip, offset]].slice(-PINGS);
            const [least, best] = this.#pings.reduce((a, b) => (b[0] < a[0] ? b : a));
            this.roundTripMs = least / 1000;
            this.clockOffsetMs = best / 1000;
        }
    }

    #show(now) {
        if (!this.#portOpen) {
            this.linkState = this.linkState === LinkState.CLOSED ? LinkState.CLOSED : LinkState.STALE;
        } else if (!this.#present.isComplete) {
            this.linkState = LinkState.CONNECTING;
        } else {
            const isFresh = now - this.#heardAt <= STALE_AFTER_MS && !this.#present.isBehind;
            this.linkState = isFresh ? LinkState.LIVE : LinkState.STALE;
        }
    }
}
