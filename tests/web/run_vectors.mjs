// The golden vectors in Node:  node run_vectors.mjs FOLDER single|threaded
import { readFileSync } from "node:fs";
import { runVectors } from "./golden.mjs";

const [folder, build] = process.argv.slice(2);
const texts = ["frames.txt", "regions.txt"].map((name) => readFileSync(`${folder}/${name}`, "utf8"));
console.log((await runVectors(...texts, build === "threaded")).join("\n"));
