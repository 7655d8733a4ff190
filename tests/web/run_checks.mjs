// Checks in Node:  node run_checks.mjs single|threaded|workers   prints [name, null or what is wrong] of each as JSON.
import { Worker } from "node:worker_threads";
import { regionChecks, runRegionChecks, singleChecks } from "./checks.mjs";
import { runWorkerChecks } from "./worker_checks.mjs";

// A worker with a browser's surface.
function startWorker() {
    const worker = new Worker(new URL("worker.mjs", import.meta.url));
    return {
        postMessage: (message) => worker.postMessage(message),
        onAnswer: (listen) => worker.on("message", listen),
        onFailure: (listen) => worker.on("error", listen),
        terminate: () => worker.terminate(),
    };
}

const kinds = {
    single: () => runRegionChecks({ ...regionChecks, ...singleChecks }, false),
    threaded: () => runRegionChecks(regionChecks, true),
    workers: () => runWorkerChecks(startWorker),
};
console.log(JSON.stringify(await kinds[process.argv[2]]()));
process.exit(0);
