// A link with a board on a pty, in Node:  node run_link.mjs PTY   prints what it found as JSON.
import { connect, InvalidField, InvalidOperation } from "../../host/web/index.js";
import { equal, raises } from "./checks.mjs";
import { PtyPort, until } from "./pty_port.mjs";

const states = [];
const events = [];
let text = "";
const link = await connect(new PtyPort(process.argv[2]), {
    state: (state) => states.push(state),
    event: (kind, arg) => events.push([kind, arg]),
    text: (bytes) => (text += String.fromCharCode(...bytes)),
});
await until(link, () => link.state === "LIVE");
const first = link.mirror.neuron_count;
await until(link, (mirror) => mirror.neuron_count !== first); // the board's program goes on

equal(await link.set("memory_usage", 4096), 4096);
equal(await link.add("memory_usage", 4), 4100);
equal(await link.set("burst_frequency", 5.5), 5.5);
equal(await link.set("fatigue_active", true), true);
await until(link, (mirror) => mirror.memory_usage === 4100); // the others are the program's as well
await raises(InvalidField, "agent_count", () => link.set("agent_count", 5));
await raises(InvalidOperation, "a mirror shows what its device has", () => (link.mirror.memory_usage = 1));
let digest;
do {
    digest = await link.digest();
} while (digest.mirror === null);
equal(digest.device, digest.mirror);
equal(text.includes(">>>"), false, "the program was ended, and the prompt came");
const { name, npages } = link.hello;
const { profile, unix_time } = link.mirror;
const agents = [...link.mirror.agents].map(({ agent_id }) => agent_id);
const snapshot = link.mirror.snapshot().length;
await link.close();
equal([link.state, link.mirror.memory_usage], ["CLOSED", 4100]);
console.log(JSON.stringify({ name, npages, profile, unix_time, agents, snapshot, states, counters: link.counters, events: events.length }));
process.exit(0);
