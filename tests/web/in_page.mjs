// Runs checks inside of a page, for run_chromium.mjs.
import { open } from "../../host/web/index.js";
import { equal, regionChecks, runRegionChecks, singleChecks } from "./checks.mjs";
import { runVectors } from "./golden.mjs";
import { runDemo, runOnPage } from "./micropython.mjs";
import { runWorkerChecks } from "./worker_checks.mjs";

function startWorker() {
    const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
    return {
        postMessage: (message) => worker.postMessage(message),
        onAnswer: (listen) => (worker.onmessage = listen),
        onFailure: (listen) => (worker.onerror = listen),
        terminate: () => worker.terminate(),
    };
}

async function vectors(threaded) {
    const folder = new URL("../../shared_spec/vectors/", import.meta.url);
    const texts = await Promise.all(["frames.txt", "regions.txt"].map(async (name) => (await fetch(new URL(name, folder))).text()));
    return (await runVectors(...texts, threaded)).join("\n");
}

async function fallsBack() {
    const region = await open({ threaded: true });
    equal([region.threaded, region.reason.includes("Cross-Origin-Opener-Policy: same-origin"), crossOriginIsolated], [false, true, false]);
    const asked = await open();
    equal([asked.threaded, asked.reason], [false, null]);
    return [["without isolation a region is of one thread and says why", null]];
}

const textOf = async (path) => (await fetch(new URL(`../../${path}`, import.meta.url))).text();

async function micropython() {
    const demo = await runDemo(await textOf("boards/unix/main.py"), await textOf("firmware/python/feagi_demo.py"));
    return { lines: (await runOnPage(await textOf("tests/web/on_either.py"))).lines, demo };
}

/** By name: what answers a JSON value. */
export const runs = {
    vectors: () => vectors(false),
    vectors_threaded: () => vectors(true),
    single: () => runRegionChecks({ ...regionChecks, ...singleChecks }, false),
    threaded: () => runRegionChecks(regionChecks, true),
    workers: () => runWorkerChecks(startWorker),
    falls_back: fallsBack,
    micropython,
};
