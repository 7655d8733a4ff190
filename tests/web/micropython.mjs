// A program for boards in MicroPython's WebAssembly port, on a region of its own: no Node and no browser in here.
import { loadMicroPython } from "./node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { open } from "../../host/web/index.js";
import { install } from "../../host/web/src/micropython.js";

/** Runs `program` with modules by their names. What it printed, and the region. */
export async function runOnPage(program, modules = {}) {
    const region = await open();
    const lines = [];
    const mp = await loadMicroPython({ stdout: (line) => lines.push(line), linebuffer: true });
    install(mp, region);
    for (const [name, text] of Object.entries(modules)) {
        mp.FS.writeFile(`/lib/${name}.py`, text);
    }
    await mp.runPythonAsync(program);
    return { lines, region };
}

/** The demo of boards as it stands in its folder: what became of the region's state after some changes of it. */
export async function runDemo(main, demo) {
    const { lines, region } = await runOnPage(main, { feagi_demo: demo });
    while (region.burst_engine_state !== 3 || region.agent_count === 0) {
        await region.changed({ timeout: 1000 });
    }
    return { lines, burst_engine_state: region.burst_engine_state, agents: [...region.agents].length };
}
