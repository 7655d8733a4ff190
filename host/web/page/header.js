// The board's header: what it is, how the link is, and what needs attention, worst first.
import { CORE_FIELDS } from "../index.js";
import { byId, make, setClass, setText } from "./dom.js";
import { ageText, countText, enumName, spanText, toneOf } from "./format.js";

const RESTART_SHOWN_MS = 60_000;
const NEARLY_FULL = 95; // [%]
const SEVERITY = ["bad", "warn", "ok"];
const TONES = { LIVE: "ok", STALE: "bad", CONNECTING: "warn", CLOSED: "calm", SAVED: "calm" };

function linkFindings({ state, staleFor, fault, restartedFor, counters }) {
    const found = [];
    if (state === "STALE") {
        found.push(["bad", `Nothing heard of the board for ${ageText(staleFor)}: these are its last values`]);
    }
    if (fault) {
        found.push([state === "STALE" ? "bad" : "warn", fault[0].toUpperCase() + fault.slice(1)]);
    } else if (state === "CONNECTING") {
        found.push(["warn", "Waiting for a program on the board that serves the link"]);
    }
    if (restartedFor !== null && restartedFor < RESTART_SHOWN_MS) {
        found.push(["warn", `The board started again ${ageText(restartedFor)} ago`]);
    }
    if (counters?.events_lost) {
        found.push(["warn", `${countText(counters.events_lost)} events were lost`]);
    }
    return found;
}

function stateFindings(region) {
    const found = [];
    for (const [name, field] of Object.entries(CORE_FIELDS)) {
        const value = region[name];
        const tone = toneOf(field, value);
        if (tone === "bad" || tone === "warn") {
            found.push([tone, `${name} is ${enumName(field.enum, value)}`]);
        } else if (name.endsWith("_util") && value >= NEARLY_FULL) {
            found.push(["warn", `${name} is ${value} %`]);
        }
    }
    if (region.fatigue_active) {
        found.push(["warn", `Fatigue slows the engine: fatigue_index is ${region.fatigue_index} %`]);
    }
    if (region.agent_count >= region.agents.capacity) {
        found.push(["warn", `The table of agents is full: ${region.agent_count}`]);
    }
    return found;
}

/** What needs attention, [tone, text], worst first. */
export function findings(view) {
    const found = [...linkFindings(view), ...(view.region ? stateFindings(view.region) : [])];
    return found.sort(([a], [b]) => SEVERITY.indexOf(a) - SEVERITY.indexOf(b));
}

const unknown = "not said";

function factsOf({ region, saved, uptime, said, counters, roundTrip, via }) {
    if (saved) {
        return [["Saved", saved], ["Profile", region.profile], ["Of", "a saved state, for looking at"]];
    }
    return [
        ["MicroPython", said.micropython || unknown],
        ["Uptime", uptime === null ? "–" : spanText(uptime)],
        ["Reset reason", said.reset || unknown],
        ["Round trip", roundTrip ? `${roundTrip.toFixed(1)} ms` : "–"],
        ["Changes", counters ? countText(counters.deltas) : "–"],
        ["Repairs asked", counters ? countText(counters.naks) : "–"],
        ["Sessions", counters ? countText(counters.sessions) : "–"],
        ["Profile", region?.profile ?? "–"],
        ["By", via],
    ];
}

export class Header {
    #values = [];
    #labels = "";
    #findings = "";
    #announced = "";

    /** Shows a view: {name, state, region, ...} as main.js makes it. */
    show(view) {
        const { state, staleFor, name } = view;
        const tone = TONES[state];
        const all = findings(view);
        setClass(byId("board"), all[0]?.[0] ?? tone);
        const badge = byId("badge");
        setClass(badge, `badge ${tone}`);
        setText(badge, state === "STALE" ? `STALE ${ageText(staleFor)}` : state);
        setText(byId("board-name"), name);
        this.#showFacts(factsOf(view));
        this.#showFindings(all);
        // Once for each state, not for each value.
        const said = `${name}: ${state}`;
        if (said !== this.#announced) {
            this.#announced = said;
            setText(byId("said"), said);
            document.title = `${state === "LIVE" ? "" : `${state} · `}${name} · feagi-state`;
        }
    }

    #showFacts(facts) {
        const labels = facts.map(([label]) => label).join();
        if (labels !== this.#labels) {
            this.#labels = labels;
            this.#values = facts.map(() => make("dd"));
            byId("facts").replaceChildren(...facts.map(([label], index) => make("div", {}, make("dt", { textContent: label }), this.#values[index])));
        }
        facts.forEach(([, value], index) => setText(this.#values[index], value));
    }

    #showFindings(found) {
        const list = byId("findings");
        const kinds = found.map(([tone]) => tone).join();
        if (kinds !== this.#findings) {
            this.#findings = kinds;
            list.replaceChildren(...found.map(([tone]) => make("li", { className: tone })));
        }
        found.forEach(([, text], index) => setText(list.children[index], text));
    }
}
