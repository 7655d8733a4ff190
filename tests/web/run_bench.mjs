// What the package costs in headless Chromium:  node run_bench.mjs FOLDER LOOPS   prints numbers by their names as JSON.
// FOLDER: for the browser's profile.
import { startChromium, startServer } from "./browser.mjs";

const [folder, loops] = process.argv.slice(2);
const server = await startServer();
const { page, kill } = await startChromium(folder);
try {
    await page.goto(`${server.origin}/isolated/`);
    const module = "/isolated/tests/web/measures.mjs";
    const numbers = await page.evaluate(async ([from, count]) => (await import(from)).measure(count), [module, Number(loops)]);
    console.log(JSON.stringify(numbers));
} finally {
    await kill();
    server.close();
}
process.exit(0);
