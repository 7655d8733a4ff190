// A link whose port has a break, is unplugged, and is another one afterwards:  node run_ports.mjs PTY   of a board.
import { connect, LinkError, SessionLost } from "../../host/web/index.js";
import { equal, raises } from "./checks.mjs";
import { PtyPort, until } from "./pty_port.mjs";

const [first, second] = [new PtyPort(process.argv[2]), new PtyPort(process.argv[2])];
const states = [];
const link = await connect(first, { state: (state) => states.push(state) });
const isLive = () => link.state === "LIVE";
await until(link, isLive);
await raises(LinkError, "has a port", () => link.use(second));

const { sessions } = link.counters;
first.interrupt();
const { neuron_count: before } = link.mirror;
await until(link, ({ neuron_count }) => neuron_count !== before);
equal([link.counters.sessions, link.hasPort, states], [sessions, true, ["LIVE"]], "after a break");

const { mirror } = link;
const command = link.set("fatigue_index", 5);
first.unplug();
await raises(SessionLost, "went away", () => command);
equal([link.state, states.at(-1)], ["STALE", "STALE"]);
while (link.hasPort) {
    await new Promise((done) => setTimeout(done, 1));
}
await raises(Error, "no port", () => link.use({ open: () => Promise.reject(new Error("no port")) }));
await link.use(second, { baudRate: 9600 });
await until(link, isLive);
equal([link.mirror === mirror, await link.set("fatigue_index", 6)], [true, 6], "readers go on reading the same mirror");

equal(first.opened, [{ baudRate: 115200, bufferSize: 4096 }]);
equal([second.opened[0].baudRate, first.signals, second.signals], [9600, 0, 0], "nobody touches the signals, which resets boards");
second.unplug();
while (link.hasPort) {
    await new Promise((done) => setTimeout(done, 1));
}
let finishOpening;
let closes = 0;
const slow = { open: () => new Promise((done) => (finishOpening = done)), close: async () => void closes++ };
const using = link.use(slow);
await link.close();
finishOpening();
await raises(LinkError, "was closed", () => using);
equal([link.state, link.hasPort, closes], ["CLOSED", false, 1], "closed while a port was opened");
await raises(LinkError, "was closed", () => link.use(first));
process.exit(0);
