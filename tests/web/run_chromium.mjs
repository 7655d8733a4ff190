// Checks in headless Chromium:  node run_chromium.mjs FOLDER   prints what each run answered, by its name, as JSON.
// FOLDER: for the browser's profile.
import { startChromium, startServer } from "./browser.mjs";
import { readmeTexts } from "./readme.mjs";

const RUNS = {
    isolated: ["vectors", "vectors_threaded", "single", "threaded", "workers", "micropython"],
    plain: ["vectors", "single", "falls_back"],
};

const EXAMPLES = ["one_thread.js", "page.js", "python.js"]; // worker.js is page.js's; board.js needs a board, and runs with Web Serial

const server = await startServer(readmeTexts());
const { page, kill } = await startChromium(process.argv[2]);
const answers = {};
try {
    for (const [prefix, names] of Object.entries(RUNS)) {
        await page.goto(`${server.origin}/${prefix}/`);
        for (const name of names) {
            const module = `/${prefix}/tests/web/in_page.mjs`;
            answers[`${prefix} ${name}`] = await page.evaluate(
                async ([from, run]) => (await import(from)).runs[run](),
                [module, name],
            );
        }
    }
    for (const name of EXAMPLES) {
        await page.goto(`${server.origin}/isolated/`);
        const said = page.waitForEvent("console", (message) => message.type() === "log");
        await page.evaluate((path) => import(path), `/isolated/${name}`);
        answers[`readme ${name}`] = (await said).text();
    }
} finally {
    await kill();
    server.close();
}
console.log(JSON.stringify(answers));
process.exit(0);
