// Steps of the checks of Web Serial inside of a page, for run_serial.mjs.
import { connect } from "../../host/web/index.js";

const RETRY_MS = 200;
let link;
let heard = ""; // that was no frame

async function until(holds, timeout) {
    const deadline = performance.now() + timeout;
    while (!holds()) {
        if (performance.now() > deadline) {
            throw new Error(`it is ${link.state} after ${timeout} ms`);
        }
        await new Promise((done) => setTimeout(done, 5));
    }
}

export const steps = {
    ports: async () => (await navigator.serial.getPorts()).length,
    connect: async () => {
        const [port] = await navigator.serial.getPorts();
        link = await connect(port, { text: (bytes) => (heard += String.fromCharCode(...bytes)) });
        // A port that is lost is taken up again by itself.
        setInterval(() => link.hasPort || link.use(port).catch(() => {}), RETRY_MS);
    },
    refuses: async () => {
        const [port] = await navigator.serial.getPorts();
        return connect(port).then(
            () => "connected",
            (error) => error.name,
        );
    },
    live: async (timeout) => {
        await until(() => link.state === "LIVE", timeout);
        const { name } = link.hello;
        return { name, sessions: link.counters.sessions, uptime: link.hello.uptime, prompt: heard.includes(">>>") };
    },
    stale: (timeout) => until(() => link.state === "STALE", timeout),
    follows: async () => {
        const before = link.mirror.neuron_count;
        while (link.mirror.neuron_count === before) {
            await link.mirror.changed({ timeout: 100 });
        }
    },
    digest: () => link.digest(),
    set: (name, value) => link.set(name, value),
    close: async () => {
        await link.close();
        return link.state;
    },
    // What the README's example finds in its page; nobody is there to choose a port.
    prepareExample: () => {
        document.body.innerHTML = '<button id="button">connect</button><output id="counter"></output>';
        navigator.serial.requestPort = async () => (await navigator.serial.getPorts())[0];
    },
};
