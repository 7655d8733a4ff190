// For test_with_host.py:  node reopen.mjs single|threaded region|snapshot FILE OUT
//
// Opens what the host's C core wrote, prints what is in it as JSON, and writes a region's bytes or a snapshot back: as it is to OUT,
// and after changes to OUT.changed.
import { readFileSync, writeFileSync } from "node:fs";
import { CORE_FIELDS, open } from "../../host/web/index.js";

const [build, what, file, out] = process.argv.slice(2);
const region = await open({ threaded: build === "threaded", [what]: readFileSync(file) });
const write = (name) => writeFileSync(name, what === "region" ? region.bytes() : region.snapshot());
write(out);

const found = {
    fields: Object.fromEntries(Object.keys(CORE_FIELDS).map((name) => [name, region[name]])),
    hashes: Object.fromEntries(["brain_regions", "agent_data"].map((name) => [name, region.hashes[name]])),
    agents: [...region.agents],
    locks: [...region.cortical_locks],
    windows: [...region.fcl_windows, ["default", region.fcl_windows.default_window]],
    stats: [...region.area_stats],
    events: region.drain(),
};
region.neuron_count = 77;
region.hashes.morphologies = 0xfedcba9876543210n;
region.agents.register("from the browser", 3, "wasm");
region.area_stats.init("v9");
region.area_stats.change("v9", { neuron_count: 9 });
write(`${out}.changed`);
console.log(JSON.stringify(found, (_key, value) => (typeof value === "bigint" ? Number(value) : value)));
