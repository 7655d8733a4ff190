// The page as `feagi-state serve --http` serves it, with a board behind it:
//     node run_page_host.mjs URL FOLDER PICTURES MICROPYTHON
// asks for what happens to the board by a line on standard output, "kill" or "restart", each answered by a line on standard input.
// Then it prints what it found, as JSON. FOLDER: for the browser's profile and saved.feagi. PICTURES: for page-light.png and -dark.png.
// MICROPYTHON: what the header says of it.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startChromium } from "./browser.mjs";
import { equal } from "./checks.mjs";
import { badge, contains, listen, saveDownload, setter, shows, text, valueOf } from "./page_steps.mjs";

const PICTURE_TRENDS_MS = 20_000; // how long trends are on the pictures

const [url, folder, pictures, micropython] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const requests = [];
const faults = [];

async function ask(what) {
    console.log(what);
    await answers.next();
}

const { page, kill } = await startChromium(join(folder, "profile"));
try {
    page.on("request", (request) => requests.push(request.url()));
    page.on("websocket", (socket) => requests.push(socket.url().replace("ws:", "http:")));
    listen(page, faults);
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(url);
    await badge(page, "LIVE");
    const name = await text(page, "#board-name");
    await shows(page, "#sources", `${name} · LIVE`);
    await shows(page, "#sections", "video_agent_01");
    await shows(page, "#events", "AGENT_REGISTERED");
    contains(await text(page, "#facts"), "host");
    await shows(page, "#facts", micropython);

    await setter(page, "memory_usage").fill("123456789");
    await setter(page, "memory_usage").press("Enter");
    await shows(page, "#said-memory_usage.ok", "123,456,789");
    await shows(page, "#fields", "123,456,789");
    await saveDownload(page, "Save snapshot", join(folder, "saved.feagi"));

    await page.waitForFunction((least) => performance.now() > least, PICTURE_TRENDS_MS);
    for (const theme of ["light", "dark"]) {
        await page.getByLabel("Theme").selectOption(theme);
        await page.screenshot({ path: join(pictures, `page-${theme}.png`) });
    }

    await page.evaluate(() => {
        const see = () => document.getElementById("badge").textContent.startsWith("STALE") && (globalThis.staleAt ??= Date.now());
        new MutationObserver(see).observe(document.getElementById("badge"), { childList: true });
    });
    const before = await valueOf(page, "version");
    const killedAt = Date.now();
    await ask("kill");
    await badge(page, "STALE");
    const staleAfter = (await page.evaluate(() => globalThis.staleAt)) - killedAt;
    equal(await page.locator("#panels").getAttribute("class"), "old");
    equal(await setter(page, "memory_usage").isDisabled(), true);
    equal(Number((await valueOf(page, "version")).replaceAll(",", "")) >= Number(before.replaceAll(",", "")), true, "the last values stay");
    await ask("restart");
    await badge(page, "LIVE");
    await shows(page, "#findings", "started again");
    equal(await page.locator("#panels").getAttribute("class"), "");
    equal(requests.filter((each) => !each.startsWith(new URL(url).origin) && !each.startsWith("blob:")), []);
    equal(faults, []);
    console.log(JSON.stringify({ name, staleAfter }));
} finally {
    await kill();
}
process.exit(0);
