// As run `micropython` of in_page.mjs, in Node:  node run_micropython.mjs PROGRAM MAIN FEAGI_DEMO
import { readFileSync } from "node:fs";
import { runDemo, runOnPage } from "./micropython.mjs";

const [program, main, demo] = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));
console.log(JSON.stringify({ lines: (await runOnPage(program)).lines, demo: await runDemo(main, demo) }));
process.exit(0);
