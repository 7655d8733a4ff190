// feagi-state/micropython: a board's module feagi_state for MicroPython's WebAssembly port.
import type { Region } from "./index.js";

/** What is used of the object that `loadMicroPython` of @micropython/micropython-webassembly-pyscript resolves with. */
export interface MicroPython {
    registerJsModule(name: string, module: object): void;
    runPython(code: string): unknown;
    readonly FS: { mkdirTree(path: string): void; writeFile(path: string, text: string): void };
}

/**
 * From now on `import feagi_state` gives this MicroPython the module that boards have, and `StateManager.instance()` is this region: names,
 * arguments, results and exceptions are a board's. Called again, for another region, it is for who imports the module afterwards.
 *
 * Different from a board: `StateManager(...)` and `StateManager.load(...)` raise NotImplementedError, since `open` makes regions; a `Link` has
 * nobody at its other end, `poll()` and `up` are False; files that `save` writes are in memory; `memoryview(state)` is a TypeError, where
 * `readinto` copies; `frame_encode` and `frame_decode` are an AttributeError; `tick(now)` is a TypeError unless the region was opened with
 * `manualClock`; and `asyncio.run` does not wait, since a page does not stand still. The region may be of several threads.
 */
export function install(mp: MicroPython, region: Region): void;
