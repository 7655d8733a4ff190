// The examples of host/web/README.md.
import { readFileSync } from "node:fs";

/** Their texts by the names in their first lines, with the package's path here in place of its name. */
export function readmeTexts(root = "./host/web/") {
    const readme = readFileSync(new URL("../../host/web/README.md", import.meta.url), "utf8");
    const blocks = [...readme.matchAll(/^```js\n\/\/ (\S+)\n([^]*?)^```/gm)];
    return Object.fromEntries(blocks.map(([, name, text]) => [name, text.replaceAll('"feagi-state"', `"${root}index.js"`)]));
}
