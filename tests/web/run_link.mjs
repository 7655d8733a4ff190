// A link with a board on a pty, in Node:  node run_link.mjs PTY   prints what it found as JSON. The pty stands for a serial port: it has
// the face of Web Serial's.
import { execFileSync } from "node:child_process";
import { open } from "node:fs/promises";
import { connect, InvalidField, InvalidOperation } from "../../host/web/index.js";
import { equal, raises } from "./checks.mjs";

// A SerialPort over a file of /dev.
class PtyPort {
    readable = null;
    writable = null;

    constructor(path) {
        this.path = path;
    }

    async open() {
        execFileSync("stty", ["-F", this.path, "raw", "-echo"]);
        const file = (this.file = await open(this.path, "r+"));
        const buffer = new Uint8Array(4096);
        this.readable = new ReadableStream({
            async pull(controller) {
                const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
                controller.enqueue(buffer.slice(0, bytesRead));
            },
        });
        this.writable = new WritableStream({
            write: (chunk) => file.write(chunk),
        });
    }

    async close() {
        this.readable = this.writable = null; // its last read never ends: the process does
    }
}

// Resolves once `holds` says so, which is asked after every change of the mirror.
async function until(link, holds) {
    while (!(link.mirror && holds(link.mirror))) {
        await (link.mirror ? link.mirror.changed({ timeout: 100 }) : new Promise((done) => setTimeout(done, 10)));
    }
}

const states = [];
const events = [];
const link = await connect(new PtyPort(process.argv[2]), {
    state: (state) => states.push(state),
    event: (kind, arg) => events.push([kind, arg]),
});
await until(link, () => link.state === "LIVE");
const first = link.mirror.neuron_count;
await until(link, (mirror) => mirror.neuron_count !== first); // the board's program goes on

equal(await link.set("memory_usage", 4096), 4096);
equal(await link.add("memory_usage", 4), 4100);
equal(await link.set("burst_frequency", 5.5), 5.5);
equal(await link.set("fatigue_active", true), true);
await until(link, (mirror) => mirror.memory_usage === 4100 && mirror.burst_frequency === 5.5 && mirror.fatigue_active);
await raises(InvalidField, "agent_count", () => link.set("agent_count", 5));
await raises(InvalidOperation, "a mirror shows what its device has", () => (link.mirror.memory_usage = 1));
let digest;
do {
    digest = await link.digest();
} while (digest.mirror === null);
equal(digest.device, digest.mirror);
const { name, npages } = link.hello;
const { profile, unix_time } = link.mirror;
const agents = [...link.mirror.agents].map(({ agent_id }) => agent_id);
const snapshot = link.mirror.snapshot().length;
await link.close();
equal([link.state, link.mirror.memory_usage], ["CLOSED", 4100]);
console.log(JSON.stringify({ name, npages, profile, unix_time, agents, snapshot, states, counters: link.counters, events: events.length }));
process.exit(0);
