// The browser's host role as a process, for tests that play the device and the line in virtual time: a JSON array a line on standard
// input, [call, [arguments], random u32, Unix time], an answer a line on standard output. Bytes are in hex, times in ms.
import { createInterface } from "node:readline";
import { HostSession } from "../../host/web/src/link/session.js";

const toHex = (bytes) => Buffer.from(bytes).toString("hex");
let happened = [];
let random = 1;
let unix = null;

// What happened in which session.
const tell = (what, ...facts) => happened.push([what, session.session, ...facts]);

const pagesOf = (mirror, pages) => pages.map((page) => [page, toHex(mirror.page(page))]);
const observer = {
    sessionStarted: ({ boot }) => tell("session_started", boot),
    live: (mirror) => tell("live", pagesOf(mirror, Array.from({ length: mirror.pages }, (_, page) => page))),
    published: (pages) => tell("published", pagesOf(session.mirror, pages)),
    event: (...event) => tell("event", ...event),
    text: (bytes) => tell("text", toHex(bytes)),
    log: (...line) => tell("log", ...line),
    mismatch: ({ schema }) => tell("mismatch", schema),
    sessionEnded: (reason) => tell("session_ended", reason),
};
// Another one whenever one is drawn, from the one that came with the call.
const nextRandom = () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0);
const knowsTime = process.argv[2] === "knows_time";
const session = await HostSession.make(observer, { random: nextRandom, unixMs: knowsTime ? () => unix : null });

const calls = {
    portOpened: (now) => session.portOpened(now),
    portLost: (now) => session.portLost(now),
    receive: (hex, now) => session.receive(Buffer.from(hex, "hex"), now),
    poll: (now) => session.poll(now),
    command: (name, op, args, now, timeout) => {
        session.command(op, args, now, timeout).then(
            (reply) => tell("reply", name, reply),
            (error) => tell("failed", name, error.name),
        );
    },
    close: () => session.close(),
    nothing: () => {},
};

for await (const line of createInterface({ input: process.stdin })) {
    const [call, args, ...given] = JSON.parse(line);
    [random, unix] = given;
    calls[call](...args);
    await new Promise((done) => setImmediate(done)); // for promises that were kept
    const { isLive, linkState, counters } = session;
    const answer = { happened, out: toHex(session.takeOutput()), isLive, linkState, counters, session: session.session };
    console.log(JSON.stringify(answer));
    happened = [];
}
process.exit(0);
