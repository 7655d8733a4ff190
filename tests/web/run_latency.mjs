// How soon a browser's mirror shows a change:  node run_latency.mjs URL COUNT   where URL is the address of a page of `serve --http`, and
// genome_timestamp of its only board the time of each change, in us of this machine's monotonic clock. Prints times [us] and bytes.
import { WebSocket } from "ws";
import { connect, webSocketPort } from "../../host/web/index.js";

let bytes = 0;
class Counting extends WebSocket {
    constructor(url) {
        super(url);
        this.on("message", (data) => (bytes += data.byteLength));
    }
}

const [url, count] = process.argv.slice(2);
const { origin, search } = new URL(url);
const { boards } = await (await fetch(origin + "/boards" + search)).json();
const link = await connect(webSocketPort(new URL(boards[0].url + search, origin), { WebSocket: Counting }));
while (link.state !== "LIVE") {
    await new Promise((done) => setTimeout(done, 10));
}
const snapshot = bytes;
bytes = 0;
let last = link.mirror.genome_timestamp;
const times = [];
while (times.length < Number(count)) {
    await link.mirror.changed({ timeout: 1000 });
    const changed = link.mirror.genome_timestamp;
    if (changed !== last) {
        last = changed;
        times.push(Number(process.hrtime.bigint() / 1000n - changed));
    }
}
console.log(JSON.stringify({ times, snapshot, bytes: bytes / times.length }));
process.exit(0);
