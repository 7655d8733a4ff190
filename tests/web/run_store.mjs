// Saved states in headless Chromium:  node run_store.mjs FOLDER   prints how long a save takes, or fails.
// FOLDER: for the browser's profile, which several runs of the browser have one after the other.
import { startChromium, startServer } from "./browser.mjs";

const server = await startServer();
const folder = process.argv[2];

const SAVES = 5; // in a row, before the browser is killed

// A page of a new browser; step(name, ...arguments) does a step of store_in_page.mjs in it.
async function start() {
    const { page, kill, quit } = await startChromium(folder);
    const stepIn = async (where) => {
        await where.goto(`${server.origin}/plain/`);
        return (name, ...args) =>
            where.evaluate(
                async ([step, given]) => (await import("/plain/tests/web/store_in_page.mjs")).steps[step](...given),
                [name, args],
            );
    };
    // Saves states from `first` on, one after the other, and kills the browser when the last of SAVES was saved, while it saves the
    // next one. The last one that was saved.
    const killWhileItSaves = async (first) => {
        let last = 0;
        const enough = new Promise((resolve) => {
            page.on("console", (message) => {
                last = Number(/^saved (\d+)$/.exec(message.text())?.[1] ?? last);
                if (last >= first + SAVES) {
                    resolve();
                }
            });
        });
        page.evaluate(async (from) => (await import("/plain/tests/web/store_in_page.mjs")).steps.keep_saving(from), first).catch(() => {});
        await enough;
        await kill();
        return last;
    };
    return { step: await stepIn(page), newTab: async () => stepIn(await page.context().newPage()), kill, quit, killWhileItSaves, page };
}

let { step, newTab, kill, quit, killWhileItSaves, page } = await start();
try {
    await step("open");
    await step("is_empty");
    await step("save", 1);
    await step("save", 2);
    await quit();

    ({ step, newTab, kill, quit, killWhileItSaves, page } = await start());
    await step("open");
    await step("holds", 2);
    const last = await killWhileItSaves(100);

    ({ step, newTab, kill, quit, killWhileItSaves, page } = await start());
    await step("open");
    await step("holds_at_least", last);
    await step("save", 1);
    await step("save", 2);
    await step("spoil", "current");
    await kill();

    ({ step, newTab, kill, quit, killWhileItSaves, page } = await start());
    await step("open");
    await step("holds_previous", 1);
    await step("save", 3); // in place of the spoiled one: the good one before it stays
    await step("holds", 3);
    await step("spoil", "current");
    await step("holds_previous", 1);
    await step("save", 4);
    await step("refuses_what_is_no_state");
    await step("holds", 4);

    const inSecondTab = await newTab();
    await inSecondTab("is_taken");
    await step("close");
    await inSecondTab("open");
    await inSecondTab("holds", 4);
    await inSecondTab("close");
    await step("open");
    await inSecondTab("is_taken");
    await page.close(); // a tab that is gone has no store any more
    await inSecondTab("until_it_is_free");
    await inSecondTab("open");
    await inSecondTab("holds", 4);
    const inThirdTab = await newTab();
    await inThirdTab("delete_database"); // from under the second tab's connection
    await inSecondTab("is_empty");
    await inSecondTab("save", 5);
    await inSecondTab("holds", 5);
    await inSecondTab("save", 6);
    await inSecondTab("spoil", "current", "previous");
    await inSecondTab("cannot_be_loaded");
    await inSecondTab("close");

    await inThirdTab("open");
    const took = await inThirdTab("time");
    await inThirdTab("is_in_memory_where_storage_is_refused");
    console.log(`a save takes ${took.toFixed(1)} ms`);
} finally {
    await kill();
    server.close();
}
process.exit(0);
