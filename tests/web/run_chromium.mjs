// Checks in headless Chromium:  node run_chromium.mjs FOLDER   prints what each run answered, by its name, as JSON.
// FOLDER: for the browser's profile.
import { startChromium, startServer } from "./browser.mjs";

const RUNS = {
    isolated: ["vectors", "vectors_threaded", "single", "threaded", "workers"],
    plain: ["vectors", "single", "falls_back"],
};

const server = await startServer();
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
} finally {
    await kill();
    server.close();
}
console.log(JSON.stringify(answers));
process.exit(0);
