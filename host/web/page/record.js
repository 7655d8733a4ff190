// A recording: lines of JSON, described in README.md. It is taken at every change that arrives, also while the page is hidden.
import { CORE_FIELDS } from "../index.js";
import { enumName } from "./format.js";

const FORMAT = "feagi-state recording 1";
const PART = 1 << 20; // characters; the browser may put what is in a Blob on the disk

// As JSON has it: enums by name, u64 as texts, since JSON's numbers are not exact there.
function jsonValue(field, value) {
    if (field.enum) {
        return enumName(field.enum, value);
    }
    return typeof value === "bigint" ? String(value) : value;
}

const plain = (_key, value) => (typeof value === "bigint" ? String(value) : value);

// Sections but the core block, by name, as texts: one is written again as a whole when it changed.
function sectionsOf(region) {
    const hashes = {};
    for (const name in region.hashes) {
        hashes[name] = region.hashes[name];
    }
    const agents = [...region.agents].map((agent) => ({ ...agent, agent_type: enumName("AgentType", agent.agent_type) }));
    const windows = { default: region.fcl_windows.default_window, ...Object.fromEntries(region.fcl_windows) };
    const sections = {
        hashes,
        agents,
        cortical_locks: Object.fromEntries(region.cortical_locks),
        fcl_windows: windows,
        area_stats: Object.fromEntries(region.area_stats),
    };
    return Object.fromEntries(Object.entries(sections).map(([name, value]) => [name, JSON.stringify(value, plain)]));
}

export class Recording {
    #parts = [];
    #text = "";
    #fields = {};
    #sections = {};
    #state = null;

    /** Begins with the whole state. `facts`: what the first line says of the board. */
    constructor(facts, region, state) {
        this.#put({ type: "begin", format: FORMAT, ...facts });
        this.state(state);
        this.changed(region);
    }

    /** Takes what changed in the region since the last call. */
    changed(region) {
        const fields = {};
        for (const [name, field] of Object.entries(CORE_FIELDS)) {
            const value = region[name];
            if (!Object.is(this.#fields[name], value)) {
                this.#fields[name] = value;
                fields[name] = jsonValue(field, value);
            }
        }
        if (Object.keys(fields).length) {
            this.#put({ type: "change", device_ms: String(region.last_modified), fields });
        }
        for (const [name, text] of Object.entries(sectionsOf(region))) {
            if (this.#sections[name] !== text) {
                this.#sections[name] = text;
                this.#put({ type: "section", device_ms: String(region.last_modified), name, value: JSON.parse(text) });
            }
        }
    }

    /** Takes an event of the board. */
    event(kind, arg, time) {
        this.#put({ type: "event", device_ms_low32: time, kind: enumName("EventKind", kind), arg });
    }

    /** Takes the state of the link. */
    state(state) {
        if (state !== this.#state) {
            this.#state = state;
            this.#put({ type: "link", state });
        }
    }

    #put(line) {
        const text = `${JSON.stringify({ ...line, host_ms: Date.now() })}\n`;
        this.#text += text;
        if (this.#text.length >= PART) {
            this.#parts.push(new Blob([this.#text]));
            this.#text = "";
        }
    }

    /** What was recorded, for a Blob. */
    end() {
        return [...this.#parts, this.#text];
    }
}
