// Debian's Chromium, and a server for what it loads: under /isolated/ the repository with the headers that threads need, under
// /plain/ without them.
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".txt": "text/plain", ".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml" };
const ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves the repository on a free port of the loopback interface, and `texts` by their paths in it. Answers {origin, close}. */
export async function startServer(texts = {}) {
    const server = createServer((request, response) => {
        const [, prefix, path] = /^\/(isolated|plain)\/([^?]*)/.exec(request.url) ?? [];
        if (prefix === undefined) {
            response.writeHead(404).end();
            return;
        }
        const headers = prefix === "isolated" ? ISOLATION : {};
        if (path === "") {
            response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end("<!doctype html><title>tests</title>");
            return;
        }
        if (Object.hasOwn(texts, path)) {
            response.writeHead(200, { ...headers, "Content-Type": TYPES[extname(path)] }).end(texts[path]);
            return;
        }
        const file = createReadStream(join(ROOT, normalize(`/${path}`)));
        file.on("error", () => response.writeHead(404).end());
        file.on("open", () => {
            response.writeHead(200, { ...headers, "Content-Type": TYPES[extname(path)] ?? "application/octet-stream" });
            file.pipe(response);
        });
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** Chromium with its profile in a folder, and these options besides its own. Answers {page, kill, quit}: kill ends it without a chance
 * to tidy up, quit as a person does. */
export async function startChromium(folder, more = []) {
    // It loads nothing but this repository, and a sandbox does not start in every container.
    const options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0"];
    const child = spawn("chromium", [...options, ...more, `--user-data-dir=${folder}`, "about:blank"], {
        detached: true, // a process group, which is killed as a whole
        stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    const endpoint = await new Promise((resolve, reject) => {
        let said = "";
        child.stderr.on("data", (data) => {
            said += data;
            const found = /DevTools listening on (ws:\S+)/.exec(said);
            if (found) {
                resolve(found[1]);
            }
        });
        child.on("error", reject);
        ended.then(() => reject(new Error(`chromium ended: ${said}`)));
    });
    const browser = await chromium.connectOverCDP(endpoint);
    const page = await browser.contexts()[0].newPage();
    page.setDefaultTimeout(60_000);
    const kill = async () => {
        process.kill(-child.pid, "SIGKILL");
        await ended;
        await browser.close().catch(() => {});
    };
    const quit = async () => {
        const session = await browser.newBrowserCDPSession();
        await session.send("Browser.close").catch(() => {}); // it may have ended before it answers
        await ended;
    };
    return { page, kill, quit };
}
