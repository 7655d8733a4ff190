// The examples of host/web/README.md.
import { readFileSync } from "node:fs";

// Where what they import lies in the repository.
const PLACES = {
    "feagi-state": "host/web/index.js",
    "feagi-state/micropython": "host/web/src/micropython.js",
    "@micropython/micropython-webassembly-pyscript/micropython.mjs":
        "tests/web/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs",
};

/** Their texts by the names in their first lines. `root`: the repository, for who imports them. */
export function readmeTexts(root = "./") {
    const readme = readFileSync(new URL("../../host/web/README.md", import.meta.url), "utf8");
    const blocks = [...readme.matchAll(/^```js\n\/\/ (\S+)\n([^]*?)^```/gm)];
    return Object.fromEntries(blocks.map(([, name, text]) => [name, withPlaces(text, root)]));
}

function withPlaces(text, root) {
    return text.replace(/(?<=from ")[^"]+(?=";)/g, (name) => root + PLACES[name]);
}
