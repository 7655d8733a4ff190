// The examples of host/web/README.md in headless Chromium:  node run_readme.mjs FOLDER   prints what each says on the console.
// FOLDER: for the browser's profile.
import { startChromium, startServer } from "./browser.mjs";
import { readmeTexts } from "./readme.mjs";

const NOT_RUN = ["worker.js", "board.js"]; // what page.js starts; what needs a board, and runs with Web Serial
const texts = readmeTexts();
const server = await startServer(texts);
const { page, kill } = await startChromium(process.argv[2]);
try {
    for (const name of Object.keys(texts).filter((name) => !NOT_RUN.includes(name))) {
        await page.goto(`${server.origin}/isolated/`);
        const said = page.waitForEvent("console", (message) => message.type() === "log");
        await page.evaluate((path) => import(path), `/isolated/${name}`);
        console.log(`${name}: ${(await said).text()}`);
    }
} finally {
    await kill();
    server.close();
}
process.exit(0);
