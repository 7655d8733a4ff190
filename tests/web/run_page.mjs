// The page host/web/page/ in headless Chromium, with a device in it behind the face of a SerialPort:
//     node run_page.mjs FOLDER   prints what was wrong by check, null where nothing was, as JSON.
// FOLDER: for the browser's profile. host.feagi in it, a state that a host saved, is loaded; saved.feagi and recording.ndjson are written.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CORE_FIELDS } from "../../host/web/index.js";
import { startChromium, startServer } from "./browser.mjs";
import { equal } from "./checks.mjs";
import { badge, contains, listen, rowOf, saveDownload, setter, shows, text, valueOf } from "./page_steps.mjs";

const FOLDER = process.argv[2];
const AXE = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const HOSTILE = "<img src=x onerror=hacked=1>";
const STALE_MS = 2000;

const server = await startServer();
const insecure = server.origin.replace("127.0.0.1", "board.test");
const { page: first, kill } = await startChromium(join(FOLDER, "profile"), ["--host-resolver-rules=MAP board.test 127.0.0.1"]);
const context = first.context();
const requests = new Set();
const faults = []; // of scripts, and what the page's policy refused

context.on("request", (request) => requests.add(request.url()));

// navigator.serial before the page's own scripts run: a device, or nothing as in a browser that has none.
function fakeSerial({ granted, has }) {
    globalThis.hacked = 0;
    if (!has) {
        delete Navigator.prototype.serial;
        return;
    }
    const made = import("/plain/tests/web/page_device.mjs").then(async ({ FakeDevice, FakeSerial }) => {
        globalThis.device = await FakeDevice.make();
        return new FakeSerial(globalThis.device, granted);
    });
    const serial = new EventTarget();
    serial.getPorts = async () => (await made).getPorts();
    serial.requestPort = async () => (await made).requestPort();
    Object.defineProperty(navigator, "serial", { value: serial });
}

/** Opens the page; `granted`: it may have the port already, and connects by itself. */
async function visit({ granted = true, has = true, origin = server.origin, query = "", before = () => {} } = {}) {
    const page = await context.newPage();
    listen(page, faults);
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.addInitScript(before);
    await page.addInitScript(fakeSerial, { granted, has });
    await page.goto(`${origin}/plain/host/web/page/index.html${query}`);
    if (granted && has) {
        await badge(page, "LIVE");
    }
    return page;
}

async function violations(page) {
    await page.evaluate(AXE);
    const { violations: found } = await page.evaluate(() => globalThis.axe.run(document));
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}

const checks = {
    "the header says what the board is and how it is, worst first": async () => {
        const page = await visit();
        await page.evaluate(() => {
            const { device } = globalThis;
            device.say("rst:0x10 (RTCWDT_RTC_RESET),boot:0x13\r\nMicroPython v1.28.0 on 2026-04-06; Generic ESP32 module with ESP32\r\n");
            Object.assign(device.region, { zmq_state: 3, genome_state: 4 });
        });
        await shows(page, "#findings li + li", "zmq_state is DEGRADED");
        equal(await page.locator("#findings li").allTextContents(), ["genome_state is ERROR", "zmq_state is DEGRADED"]);
        equal(await page.locator("#board").getAttribute("class"), "bad");
        await shows(page, "#facts", "RTCWDT_RTC_RESET");
        equal([await text(page, "#badge"), await text(page, "#board-name")], ["LIVE", "fake"]);
        contains(await text(page, "#facts"), "v1.28.0, Generic ESP32 module");
        await page.waitForFunction(() => /Uptime0:00:0\d/.test(document.getElementById("facts").textContent) && /\d ms/.test(document.getElementById("facts").textContent));
        equal(await text(page, "#said"), "fake: LIVE");
    },
    "a line of the board's log is listed, and may say what the board is": async () => {
        const page = await visit();
        await page.evaluate(() => {
            globalThis.device.log(20, "MicroPython v1.25.0; PYBv1.1 with STM32F405RG; soft reset");
            globalThis.device.log(30, "no camera");
        });
        await shows(page, "#events", "no camera");
        contains(await text(page, "#facts"), "v1.25.0, PYBv1.1");
        contains(await text(page, "#facts"), "soft reset");
    },
    "the table has every field with unit and age, and touches only what changed": async () => {
        const page = await visit();
        equal(await page.locator("#fields tbody th[scope=row]").allTextContents().then((names) => names.sort()), Object.keys(CORE_FIELDS).sort());
        equal(await text(page, `${rowOf("burst_frequency")} .unit`), "Hz");
        equal(await valueOf(page, "fatigue_active"), "no");
        await page.evaluate(() => {
            globalThis.touched = new Set();
            const see = ({ target }) => globalThis.touched.add((target.parentElement.closest("tr") ?? target.closest("tr")).cells[0].textContent);
            const observer = new MutationObserver((records) => records.forEach(see));
            document.querySelectorAll("#fields td.value").forEach((cell) => observer.observe(cell, { childList: true, characterData: true, attributes: true }));
            Object.assign(globalThis.device.region, { burst_engine_state: 3, neuron_count: 1234567, burst_frequency: 30.5 });
        });
        await shows(page, rowOf("burst_frequency").replace(/:text-is.*$/, "[title='bursts per second']) .value"), "30.50");
        equal([await valueOf(page, "neuron_count"), await valueOf(page, "burst_engine_state")], ["1,234,567", "RUNNING"]);
        contains(await text(page, `${rowOf("neuron_count")} .age`), "s");
        equal(await text(page, `${rowOf("synapse_count")} .age`).then((age) => age === "–" || age.startsWith("≥")), true);
        const touched = await page.evaluate(() => [...globalThis.touched].sort());
        equal(touched, ["burst_engine_state", "burst_frequency", "last_modified", "neuron_count", "version"]);
    },
    "a value is set, and one that cannot be is refused beside its input": async () => {
        const page = await visit();
        await setter(page, "fatigue_index").fill("30");
        await setter(page, "fatigue_index").press("Enter");
        await shows(page, "#said-fatigue_index.ok", "30");
        equal(await page.evaluate(() => globalThis.device.region.fatigue_index), 30);
        await setter(page, "burst_engine_state").selectOption("PAUSED");
        await page.getByRole("button", { name: "Set burst_engine_state" }).click();
        await shows(page, "#said-burst_engine_state.ok", "PAUSED");
        await setter(page, "genome_timestamp").fill("18446744073709551615");
        await setter(page, "genome_timestamp").press("Enter");
        await page.waitForFunction(() => globalThis.device.region.genome_timestamp === 2n ** 64n - 1n);
        for (const [name, given, said] of [
            ["fatigue_index", "101", "0 to 100 %"],
            ["neuron_count", "-1", "whole number"],
            ["neuron_count", "4294967296", "4,294,967,295"],
            ["burst_frequency", "1e39", "32 bits"],
            ["neuron_count", "", "write a value"],
        ]) {
            await setter(page, name).fill(given);
            await setter(page, name).press("Enter");
            await shows(page, `#said-${name}.bad`, said);
            equal(await setter(page, name).getAttribute("aria-describedby"), `said-${name}`);
        }
        equal(await page.evaluate(() => globalThis.device.region.fatigue_index), 30);
        await page.evaluate(() => (globalThis.device.refuses = true));
        await setter(page, "synapse_count").fill("5");
        await setter(page, "synapse_count").press("Enter");
        await shows(page, "#said-synapse_count.bad", "out of the field's range");
    },
    "a value waits for its answer, and is of unknown outcome when the board goes": async () => {
        const page = await visit();
        await page.evaluate(() => (globalThis.device.isQuiet = true));
        await setter(page, "memory_usage").fill("7");
        await setter(page, "memory_usage").press("Enter");
        await shows(page, "#said-memory_usage", "sent…");
        await page.evaluate(() => globalThis.device.unplug());
        await shows(page, "#said-memory_usage.bad", "outcome is unknown");
    },
    "what a board calls its agents is text": async () => {
        const page = await visit();
        await page.evaluate((name) => {
            const { device } = globalThis;
            device.name = "<b>bold</b>";
            device.region.agents.register(name, 1, name.slice(0, 20));
            device.region.area_stats.init("<i>area</i>");
            device.event(3, [...device.region.agents][0].handle);
        }, HOSTILE);
        await shows(page, "#sections tbody", HOSTILE);
        await shows(page, "#events", HOSTILE);
        await page.evaluate(() => (globalThis.device.session = 0, globalThis.device.line.error(new Error("lost"))));
        await shows(page, "#board-name", "<b>bold</b>");
        equal(await page.evaluate(() => [document.querySelectorAll("img, b, i").length, globalThis.hacked]), [0, 0]);
    },
    "an unplugged board is stale at once, never live with old values, and comes back by itself": async () => {
        const page = await visit();
        await page.evaluate(() => (globalThis.device.region.neuron_count = 41));
        await shows(page, "#fields", "41");
        const took = await page.evaluate(async () => {
            const begun = performance.now();
            globalThis.device.unplug();
            while (!document.getElementById("badge").textContent.startsWith("STALE")) {
                await new Promise(requestAnimationFrame);
            }
            return performance.now() - begun;
        });
        equal(took < STALE_MS, true, `STALE after ${took} ms`);
        equal(await page.locator("#panels").getAttribute("class"), "old");
        equal([await valueOf(page, "neuron_count"), await setter(page, "neuron_count").isDisabled()], ["41", true]);
        equal(await text(page, "#said"), "fake: STALE");
        contains(await page.title(), "STALE");
        await shows(page, "#findings", "plug the board in");
        await page.evaluate(() => ((globalThis.device.region.neuron_count = 42), globalThis.device.plug()));
        await badge(page, "LIVE");
        await shows(page, "#fields", "42");
        equal(await page.locator("#panels").getAttribute("class"), "");
        equal(await page.locator("#findings").textContent(), "");
    },
    "a board that falls silent is stale, and live when it goes on": async () => {
        const page = await visit();
        await page.evaluate(() => (globalThis.device.isQuiet = true));
        await badge(page, "STALE");
        contains(await text(page, "#findings"), "Nothing heard of the board for");
        await page.evaluate(() => (globalThis.device.isQuiet = false));
        await badge(page, "LIVE");
    },
    "a board that starts again is said to have": async () => {
        const page = await visit();
        await page.waitForFunction(() => performance.now() - globalThis.device.started > 2000);
        await page.evaluate(() => globalThis.device.start().then(() => globalThis.device.offer()));
        await shows(page, "#findings", "started again");
        await badge(page, "LIVE");
    },
    "a board of another version is named": async () => {
        const page = await visit({ granted: false });
        await page.evaluate(() => navigator.serial.getPorts().then(() => (globalThis.device.schema = 5)));
        await page.getByRole("button", { name: "Connect a board" }).click();
        await shows(page, "#findings", "schema 0x5");
    },
    "events are listed and filtered": async () => {
        const page = await visit();
        await page.evaluate(() => [[1, 3], [256, 5], [300, 6]].forEach((event) => globalThis.device.event(...event)));
        await shows(page, "#events-count", "3");
        const rows = () => page.locator("#events tr").evaluateAll((all) => all.map((row) => [row.cells[1].textContent, row.cells[2].textContent]));
        equal(await rows(), [["300", "6"], ["256", "5"], ["BURST_ENGINE_STATE_CHANGED", "RUNNING"]]);
        const filter = page.getByLabel("Show only events with");
        await filter.fill("running");
        equal(await rows(), [["BURST_ENGINE_STATE_CHANGED", "RUNNING"]]);
        await page.evaluate(() => [[301, 1], [1, 3]].forEach((event) => globalThis.device.event(...event)));
        await shows(page, "#events-count", "5");
        equal((await rows()).length, 2);
        await filter.fill("-running -256");
        equal(await rows(), [["301", "1"], ["300", "6"]]);
        await filter.fill("nothing");
        await shows(page, "#events-none", "No event passes");
        await page.getByRole("button", { name: "Clear" }).click();
        equal(await text(page, "#events-none"), "No event yet.");
    },
    "trends freeze one by one and all at once": async () => {
        const page = await visit();
        const line = () => page.locator(`${rowOf("neuron_count")} path`).getAttribute("d");
        const grows = async () => {
            const before = await line();
            await page.evaluate(() => (globalThis.device.region.neuron_count += 5));
            await page.waitForFunction(([was]) => document.querySelector("#fields tr:has([title='neurons in the connectome']) path").getAttribute("d") !== was, [before]);
        };
        await grows();
        await page.getByRole("button", { name: "Freeze the trend of neuron_count" }).click();
        const frozen = await line();
        const other = () => page.locator(`${rowOf("version")} path`).getAttribute("d");
        const was = await other();
        await page.evaluate(() => (globalThis.device.region.neuron_count += 5));
        await page.waitForFunction(([before]) => document.querySelector("#fields tr:has([title^='+1 for every write']) path").getAttribute("d") !== before, [was]);
        equal(await line(), frozen);
        const all = page.getByRole("button", { name: "Freeze trends" });
        await all.click();
        equal([await all.getAttribute("aria-pressed"), await page.locator("feagi-sparkline:not([frozen])").count()], ["true", 0]);
        await all.click();
        await grows();
        await page.getByRole("button", { name: "Auto-scale" }).click();
        await shows(page, "#fields tr:has([title='neurons in the connectome']) small span:last-child", "0");
    },
    "a snapshot is saved, kept, and loaded as one that is not live": async () => {
        const page = await visit();
        await page.evaluate(() => {
            globalThis.device.region.neuron_count = 777;
            globalThis.device.region.agents.register("caméra", 1, "160x120");
        });
        await shows(page, "#sections", "caméra");
        contains(await saveDownload(page, "Save snapshot", join(FOLDER, "saved.feagi")), ".feagi");
        await shows(page, "#told", "kept in this browser");
        await page.evaluate(() => (globalThis.device.region.neuron_count = 778));
        await shows(page, "#fields", "778");
        await page.getByRole("button", { name: "Last saved" }).click();
        await badge(page, "SAVED");
        equal([await valueOf(page, "neuron_count"), await setter(page, "neuron_count").isDisabled()], ["777", true]);
        await page.getByLabel("File with a saved state").setInputFiles(join(FOLDER, "host.feagi"));
        await shows(page, "#board-name", "a saved state of host.feagi");
        equal(await valueOf(page, "synapse_count"), "4,242");
        equal(await page.locator("#sections section").first().locator("tbody tr").count(), 256);
        contains(await text(page, "#told"), "for looking at");
        await page.getByLabel("File with a saved state").setInputFiles({ name: "noise", mimeType: "", buffer: Buffer.from("no state") });
        await shows(page, "#told.bad", "noise: ");
        await page.getByRole("button", { name: "Close saved state" }).click();
        await badge(page, "LIVE");
        equal(await valueOf(page, "neuron_count"), "778");
    },
    "what happens is recorded": async () => {
        const page = await visit();
        await page.getByRole("button", { name: "Record" }).click();
        await page.evaluate(() => {
            globalThis.device.region.neuron_count = 5;
            globalThis.device.region.genome_timestamp = 2n ** 60n;
            globalThis.device.region.agents.register("cam");
            globalThis.device.event(256, 9);
        });
        await shows(page, "#sections", "cam");
        await page.evaluate(() => globalThis.device.unplug());
        await badge(page, "STALE");
        contains(await saveDownload(page, "Stop recording", join(FOLDER, "recording.ndjson")), ".ndjson");
    },
    "an insecure origin and a browser without Web Serial are told what to do": async () => {
        const poor = await visit({ has: false, granted: false, origin: insecure });
        await shows(poor, "#notice", "not secure");
        contains(await text(poor, "#notice"), "ssh -L");
        const old = await visit({ has: false });
        await shows(old, "#notice", "no Web Serial");
        contains(await text(old, "#notice"), "feagi-state serve");
        equal(await old.getByRole("button", { name: "Connect a board" }).isDisabled(), true);
        equal([...(await violations(poor)), ...(await violations(old))], []);
    },
    "the boards of a host are there to choose from, worst first": async () => {
        const boards = ["LIVE", "STALE", "CONNECTING"].map((state) => ({ name: `<i>${state}</i>`, state, url: `/boards/${state}`, problem: null }));
        await context.route("**/boards?token=right", (route) => route.fulfill({ json: { boards } }));
        await context.route("**/boards?token=wrong", (route) => route.fulfill({ status: 403 }));
        const page = await visit({ granted: false, query: "?token=right" });
        await shows(page, "#sources", "LIVE");
        equal(await page.locator("#sources button").allTextContents(), ["STALE", "CONNECTING", "LIVE"].map((state) => `<i>${state}</i> · ${state}`));
        equal(await page.locator("#board").isVisible(), false);
        const stranger = await visit({ granted: false, query: "?token=wrong" });
        await shows(stranger, "#notice", "does not know this page's token");
        faults.splice(faults.findIndex((fault) => fault.includes("403")), 1); // which the browser logs
    },
    "all of it can be done by keyboard": async () => {
        const page = await visit({ granted: false });
        const tabTo = async (wanted) => {
            const passed = [];
            for (let presses = 0; presses < 120; presses++) {
                await page.keyboard.press("Tab");
                const label = await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
                if (label.startsWith(wanted)) {
                    return;
                }
                passed.push(label);
            }
            throw new Error(`Tab does not lead to ${wanted}: ${passed}`);
        };
        await shows(page, "#notice", "No board yet");
        await tabTo("Connect a board");
        await page.keyboard.press("Enter");
        await badge(page, "LIVE");
        await tabTo("New value of fatigue_index");
        await page.keyboard.type("12");
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => globalThis.device.region.fatigue_index === 12);
        await tabTo("Show only events with");
        equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid");
    },
    "connecting leaves the port's signals and the program alone": async () => {
        const page = await visit();
        equal(await page.evaluate(() => [globalThis.device.signals, globalThis.device.opened.map(({ baudRate, flowControl }) => [baudRate, flowControl])]), [0, [[115200, undefined]]]);
    },
    "a hidden page, whose timers are held up, keeps the session": async () => {
        const holdUp = () => {
            const { setInterval: real } = globalThis;
            globalThis.setInterval = (action, ms) => (new Error().stack.includes("link.js") ? 0 : real(action, ms));
        };
        const page = await visit({ before: holdUp });
        await page.waitForFunction(() => globalThis.device.pings >= 3);
        equal(await text(page, "#badge"), "LIVE");
    },
    "both themes are readable, live and stale": async () => {
        const page = await visit();
        await page.evaluate((name) => {
            const { region } = globalThis.device;
            Object.assign(region, { burst_engine_state: 3, genome_state: 4, zmq_state: 3, neuron_count: 4000 });
            region.agents.register(name);
            globalThis.device.event(256, 1);
        }, HOSTILE);
        await shows(page, "#events", "256");
        for (const state of ["live", "stale"]) {
            for (const theme of ["light", "dark"]) {
                await page.getByLabel("Theme").selectOption(theme);
                equal(await violations(page), [], `${state}, ${theme}`);
            }
            await page.evaluate(() => globalThis.device.connected && globalThis.device.unplug());
            await badge(page, "STALE");
        }
        await page.reload();
        equal(await page.getByLabel("Theme").inputValue(), "dark");
    },
    "no request leaves the machine, and no script fails": async () => {
        const elsewhere = [...requests].filter((url) => !url.startsWith("blob:") && !url.startsWith(server.origin) && !url.startsWith(insecure));
        equal(elsewhere, []);
        equal(requests.size > 20, true);
        equal(faults, []);
    },
};

const results = {};
try {
    for (const [name, check] of Object.entries(checks)) {
        try {
            await check();
            results[name] = null;
        } catch (error) {
            results[name] = error.stack;
        }
        for (const page of context.pages().slice(1)) {
            await page.close(); // its store with it
        }
    }
} finally {
    await kill();
    server.close();
}
console.log(JSON.stringify(results));
process.exit(0);
