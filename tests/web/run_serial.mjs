// A page with Chromium's own Web Serial, in the namespace of serial_namespace.sh:  node run_serial.mjs FOLDER TTY
// FOLDER: for the browser's profile. A JSON array a line on standard input, [what, arguments...], and its answer on standard output.
import { execFileSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { startChromium, startServer } from "./browser.mjs";
import { readmeTexts } from "./readme.mjs";

const [folder, tty] = process.argv.slice(2);
const PTY_SLAVE = 136; // the first of their major device numbers

const device = `/dev/${tty}`;
const server = await startServer(readmeTexts());
writeFileSync("/etc/chromium/policies/managed/serial.json", JSON.stringify({ SerialAllowAllPortsForUrls: [server.origin] }));
const { page, kill } = await startChromium(folder);
const inPage = (step, ...args) =>
    page.evaluate(async ([name, given]) => (await import("/plain/tests/web/serial_in_page.mjs")).steps[name](...given), [step, args]);

const actions = {
    // The pty is where the serial port is, for whoever opens it from now on.
    plug: (pty) => {
        if (statSync(pty).rdev >> 8 !== PTY_SLAVE) {
            throw new Error(`${pty} is no pty`);
        }
        execFileSync("mount", ["--bind", pty, device]);
    },
    unplug: () => execFileSync("umount", ["--lazy", device]), // somebody may have it open yet
    // The README's example, as it stands there; what it says on the console.
    example: async () => {
        await page.goto(`${server.origin}/plain/`);
        await inPage("prepareExample");
        const said = page.waitForEvent("console", (message) => message.type() === "log");
        await page.evaluate((path) => import(path), "/plain/board.js");
        await page.click("button");
        const heard = (await said).text();
        await page.waitForFunction(() => Number(document.querySelector("output").textContent) > 0);
        return heard;
    },
    open: () => page.goto(`${server.origin}/plain/`).then(() => {}),
};

try {
    console.log("ready");
    for await (const line of createInterface({ input: process.stdin })) {
        const [what, ...args] = JSON.parse(line);
        const answer = await (actions[what] ?? inPage.bind(null, what))(...args);
        console.log(JSON.stringify(answer ?? null));
    }
} finally {
    await kill();
    server.close();
}
process.exit(0);
