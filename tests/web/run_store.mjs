// Saved states in headless Chromium:  node run_store.mjs FOLDER   prints how long a save takes, or fails.
// FOLDER: for the browser's profile, which several runs of the browser have one after the other.
import { startChromium, startServer } from "./browser.mjs";

const server = await startServer();
const folder = process.argv[2];

// A page of a new browser; step(name, ...arguments) does a step of store_in_page.mjs in it.
async function start() {
    const { page, kill } = await startChromium(folder);
    const stepIn = async (where) => {
        await where.goto(`${server.origin}/plain/`);
        return (name, ...args) =>
            where.evaluate(
                async ([step, given]) => (await import("/plain/tests/web/store_in_page.mjs")).steps[step](...given),
                [name, args],
            );
    };
    return { step: await stepIn(page), secondTab: async () => stepIn(await page.context().newPage()), kill };
}

let { step, secondTab, kill } = await start();
try {
    await step("open");
    await step("is_empty");
    await step("save", 1);
    await step("save", 2);
    await kill();

    ({ step, secondTab, kill } = await start());
    await step("open");
    await step("holds", 2);
    await step("spoil", "current");
    await step("holds_previous", 1);
    await step("save", 3); // in place of the spoiled one: the good one before it stays
    await step("holds", 3);
    await step("spoil", "current");
    await step("holds_previous", 1);
    await step("save", 4);
    await step("refuses_what_is_no_state");
    await step("holds", 4);

    const inSecondTab = await secondTab();
    await inSecondTab("is_taken");
    await step("close");
    await inSecondTab("open");
    await inSecondTab("holds", 4);
    await step("delete_database"); // from under the second tab's connection
    await inSecondTab("is_empty");
    await inSecondTab("save", 5);
    await inSecondTab("holds", 5);
    await inSecondTab("save", 6);
    await inSecondTab("spoil", "current", "previous");
    await inSecondTab("cannot_be_loaded");
    await inSecondTab("close");

    await step("open");
    const took = await step("time");
    await step("is_in_memory_where_storage_is_refused");
    console.log(`a save takes ${took.toFixed(1)} ms`);
} finally {
    await kill();
    server.close();
}
process.exit(0);
