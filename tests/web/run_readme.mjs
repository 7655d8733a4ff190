// The examples of host/web/README.md that Node can run, as files of a folder:  node run_readme.mjs FOLDER
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readmeTexts } from "./readme.mjs";

const folder = process.argv[2];
const texts = readmeTexts(new URL("../../", import.meta.url).href);
for (const name of ["one_thread.js", "python.js"]) {
    const file = join(folder, name.replace(/js$/, "mjs"));
    writeFileSync(file, texts[name]);
    await import(pathToFileURL(file));
}
process.exit(0);
