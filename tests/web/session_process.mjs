// The browser's host role as a process, for tests that play the device and the line in virtual time: a JSON array a line on standard
// input, [session, call, [arguments], random u32, Unix time], an answer a line on standard output. A session, which is a number, begins
// with the call `make`, whose argument says whether it knows the time, and ends with `end`. Bytes are in hex, times in ms.
import { createInterface } from "node:readline";
import { HostSession } from "../../host/web/src/link/session.js";

const toHex = (bytes) => Buffer.from(bytes).toString("hex");
let random = 1;
let unix = null;

// Another one whenever one is drawn, from the one that came with the call.
const nextRandom = () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0);
const pagesOf = (mirror, pages) => pages.map((page) => [page, toHex(mirror.page(page))]);

class Session {
    happened = [];

    static async make(knowsTime) {
        const made = new Session();
        const tell = (what, ...facts) => made.happened.push([what, made.host.session, ...facts]); // in which session it happened
        const observer = {
            sessionStarted: ({ boot }) => tell("session_started", boot),
            live: (mirror) => tell("live", pagesOf(mirror, Array.from({ length: mirror.pages }, (_, page) => page))),
            published: (pages) => tell("published", pagesOf(made.host.mirror, pages)),
            event: (...event) => tell("event", ...event),
            text: (bytes) => tell("text", toHex(bytes)),
            log: (...line) => tell("log", ...line),
            mismatch: ({ schema }) => tell("mismatch", schema),
            sessionEnded: (reason) => tell("session_ended", reason),
        };
        made.tell = tell;
        made.host = await HostSession.make(observer, { random: nextRandom, unixMs: knowsTime ? () => unix : null });
        return made;
    }

    portOpened(now) {
        this.host.portOpened(now);
    }

    receive(hex, now) {
        this.host.receive(Buffer.from(hex, "hex"), now);
    }

    poll(now) {
        this.host.poll(now);
    }

    command(name, op, args, now, timeout) {
        this.host.command(op, args, now, timeout).then(
            (reply) => this.tell("reply", name, reply),
            (error) => this.tell("failed", name, error.name),
        );
    }

    answer() {
        const { isLive, linkState, counters, session } = this.host;
        const happened = this.happened.splice(0);
        return { happened, out: toHex(this.host.takeOutput()), isLive, linkState, counters, session };
    }
}

const sessions = new Map();
for await (const line of createInterface({ input: process.stdin })) {
    const [id, call, args, ...given] = JSON.parse(line);
    [random, unix] = given;
    if (call === "make") {
        sessions.set(id, await Session.make(...args));
    } else if (call === "end") {
        sessions.delete(id);
    } else {
        sessions.get(id)[call](...args);
        await new Promise((done) => setImmediate(done)); // for promises that were kept
    }
    console.log(JSON.stringify(sessions.get(id)?.answer() ?? null));
}
process.exit(0);
