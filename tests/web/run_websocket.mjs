// A board by way of a host, `feagi-state serve --http`:  node run_websocket.mjs URL [FOLDER]   where URL is the page's address, as the host
// prints it. In Node, or on that page in headless Chromium with its profile in FOLDER. Prints what it sees as it sees it, a JSON object a
// line. Meanwhile somebody is to unplug the board, plug it in again, and end the host.
import { startChromium } from "./browser.mjs";

// Complete in itself: it is sent to a page as text.
async function follow(url, feagi, options, say) {
    const { connect, webSocketPort, EventKind, GenomeState } = feagi;
    const address = new URL(url);
    const { boards } = await (await fetch(new URL(`/boards${address.search}`, address))).json();
    const states = [];
    const events = [];
    let disconnects = 0;
    const port = webSocketPort(new URL(boards[0].url + address.search, address), options);
    port.addEventListener("disconnect", () => disconnects++);
    const link = await connect(port, { state: (state) => states.push(state), event: (kind, arg) => events.push([kind, arg]) });
    const until = async (holds) => {
        while (!holds()) {
            await (link.mirror ? link.mirror.changed({ timeout: 20 }) : new Promise((done) => setTimeout(done, 10)));
        }
    };
    const moves = async () => {
        const before = link.mirror.neuron_count;
        await until(() => link.mirror.neuron_count !== before); // the board's program goes on
    };

    await until(() => link.state === "LIVE");
    await moves();
    const set = [await link.set("memory_usage", 4096), await link.add("memory_usage", 4), await link.set("burst_frequency", 5.5)];
    await until(() => link.mirror.memory_usage === 4100); // burst_frequency is the program's as well
    let digest;
    do {
        digest = await link.digest();
    } while (digest.mirror === null);
    const refused = await link.set("agent_count", 5).then(() => "", (error) => error.name);
    for (const state of [GenomeState.LOADING, GenomeState.LOADED]) {
        await link.set("genome_state", state);
        await until(() => events.some(([kind, arg]) => kind === EventKind.GENOME_STATE_CHANGED && arg === state));
    }
    const { name, npages } = link.hello;
    const { profile, unix_time } = link.mirror;
    const agents = [...link.mirror.agents].length;
    say({ now: "ready", boards, name, npages, profile, unix_time, agents, set, same: digest.device === digest.mirror, refused, isolated: globalThis.crossOriginIsolated });

    await until(() => link.state === "STALE");
    const { sessions } = link.counters;
    say({ now: "stale", set: await link.set("memory_usage", 1, { timeout: 300 }).then(() => "", (error) => error.name) });
    await until(() => link.state === "LIVE" && link.counters.sessions > sessions);
    await moves();
    say({ now: "live", naks: link.counters.naks });

    await until(() => disconnects > 0 && link.state === "STALE");
    const { closed } = port;
    const again = await link.use(port, { baudRate: 115200 }).then(() => "", (error) => `${error.name}: ${error.message}`);
    await link.close();
    say({ now: "ended", closed, again, states });
}

const [url, folder] = process.argv.slice(2);
const say = (told) => console.log(JSON.stringify(told));
if (folder === undefined) {
    const { WebSocket } = await import("ws");
    await follow(url, await import("../../host/web/index.js"), { WebSocket }, say);
} else {
    const { page, kill } = await startChromium(folder);
    try {
        await page.exposeFunction("say", say);
        await page.goto(url);
        await page.evaluate(`import("/index.js").then((feagi) => (${follow})(location.href, feagi, {}, say))`);
    } finally {
        await kill();
    }
}
process.exit(0);
