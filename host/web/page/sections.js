// The panels of the region's other sections: agents, locks, FCL windows, statistics of areas, hashes.
import { make, Rows, setText } from "./dom.js";
import { ageText, countText, enumName } from "./format.js";

function hashes(region) {
    const rows = [];
    for (const name in region.hashes) {
        rows.push([name, [name, `0x${region.hashes[name].toString(16).padStart(16, "0")}`]]);
    }
    return rows;
}

// `now`: the time by the region's clock [ms].
const agents = (region, now) =>
    [...region.agents].map(({ agent_id: id, agent_type: type, registered_at: since, last_seen: seen, metadata, handle }) => [
        handle,
        [id, enumName("AgentType", type), ageText(now - Number(seen)), ageText(now - Number(since)), metadata],
    ]);

const locks = (region) => [...region.cortical_locks].map(([area, owner]) => [area, [String(area), String(owner)]]);

const windows = (region) => [
    ["default", ["all others", String(region.fcl_windows.default_window)]],
    ...[...region.fcl_windows].map(([area, window]) => [area, [String(area), String(window)]]),
];

const stats = (region) =>
    [...region.area_stats].map(([id, { neuron_count: neurons, incoming_synapse_count: incoming, outgoing_synapse_count: outgoing }]) => [
        id,
        [id, countText(neurons), countText(incoming), countText(outgoing)],
    ]);

const KINDS = [
    { title: "Agents", rows: agents, section: "agents", heads: ["Agent", "Type", "Seen", "Registered", "Metadata"], classes: ["long", "", "number", "number", "long"] },
    { title: "Locks", rows: locks, section: "cortical_locks", heads: ["Cortical area", "Owner"], classes: ["", "number"] },
    { title: "FCL windows", rows: windows, section: "fcl_windows", heads: ["Cortical area", "Window"], classes: ["", "number"], without: 1 },
    { title: "Statistics of areas", rows: stats, section: "area_stats", heads: ["Area", "Neurons", "Synapses in", "out"], classes: ["long", "number", "number", "number"] },
    { title: "Hashes", rows: hashes, heads: ["Of", "Hash"], classes: ["", "number"] },
];

class Panel {
    constructor({ title, rows, section, heads, classes, without = 0 }) {
        const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
        const cells = heads.map((head, index) => make("th", { scope: "col", textContent: head, className: classes[index] === "number" ? "number" : "" }));
        const body = make("tbody");
        this.read = rows;
        this.section = section;
        this.without = without;
        this.rows = new Rows(body, classes);
        this.count = make("p", { className: "count" });
        this.none = make("p", { className: "none", textContent: "None." });
        const scroll = make("div", { className: "scroll short", tabIndex: 0 }, make("table", {}, make("thead", {}, make("tr", {}, ...cells)), body), this.none);
        scroll.setAttribute("role", "region");
        scroll.setAttribute("aria-labelledby", id);
        this.element = make("section", { className: "panel" }, make("header", {}, make("h2", { id, textContent: title }), this.count), scroll);
    }

    show(region, now) {
        const rows = this.read(region, now);
        this.rows.show(rows);
        const used = rows.length - this.without;
        setText(this.count, this.section ? `${used} of ${countText(region[this.section].capacity)}` : "");
        this.none.hidden = rows.length > 0;
    }
}

export class SectionPanels {
    #panels = KINDS.map((kind) => new Panel(kind));

    constructor(place) {
        place.append(...this.#panels.map(({ element }) => element));
    }

    /** Shows a region; `deviceNow`: the time by its clock [ms]. */
    show(region, deviceNow) {
        this.#panels.forEach((panel) => panel.show(region, deviceNow));
    }
}
