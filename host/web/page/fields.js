// The table of the core block's fields: value, unit, age, trend, and a control for those that may be set.
import { CORE_FIELDS } from "../index.js";
import { make, setClass, setText } from "./dom.js";
import { ageText, toneOf, unitOf, valueText } from "./format.js";
import { makeSetter } from "./setter.js";
import "./sparkline.js";

const GROUPS = [
    ["States", ({ enum: kind, type, writable }) => writable && (kind !== "" || type === "bool")],
    ["Amounts", ({ enum: kind, type, unit }) => kind === "" && type !== "bool" && unit !== "" && unit !== "ms"],
    ["Times and version", ({ unit, type }) => unit === "ms" || type === "u64"],
];

const hasTrend = ({ enum: kind, type, unit }) => kind === "" && type !== "bool" && unit !== "ms";

export class FieldsTable {
    #rows = new Map();
    #session = null; // what the ages belong to
    #freeze;
    #autoScale;

    /** `send(name, value)` sets a field, and resolves with the value after it. The two buttons act on all trends. */
    constructor(table, { freeze, autoScale }, send) {
        for (const [title, belongs] of GROUPS) {
            const body = make("tbody", {}, make("tr", {}, make("th", { scope: "rowgroup", colSpan: 6, textContent: title })));
            for (const [name, field] of Object.entries(CORE_FIELDS).filter(([, each]) => belongs(each))) {
                body.append(this.#makeRow(name, field, send));
            }
            table.append(body);
        }
        this.#freeze = freeze;
        this.#autoScale = autoScale;
        freeze.addEventListener("click", () => {
            const frozen = freeze.getAttribute("aria-pressed") !== "true";
            this.#trends().forEach(({ spark }) => spark.toggleAttribute("frozen", frozen));
            this.#showFreeze();
        });
        autoScale.addEventListener("click", () => {
            const on = autoScale.getAttribute("aria-pressed") !== "true";
            autoScale.setAttribute("aria-pressed", on);
            this.#trends().forEach(({ spark }) => spark.toggleAttribute("auto-scale", on));
        });
    }

    #trends() {
        return [...this.#rows.values()].filter(({ spark }) => spark);
    }

    #showFreeze() {
        this.#freeze.setAttribute("aria-pressed", this.#trends().every(({ spark }) => spark.hasAttribute("frozen")));
    }

    #makeRow(name, field, send) {
        const [value, age] = [make("td", { className: "number value" }), make("td", { className: "number age" })];
        const trendCell = make("td");
        const setCell = make("td", { className: "set" });
        const row = { field, value, age, shown: undefined, at: null, isBound: false };
        if (hasTrend(field)) {
            row.spark = make("feagi-sparkline");
            row.spark.toggleAttribute("auto-scale", true);
            if (field.unit === "%") {
                row.spark.setAttribute("maximum", field.maximum);
            }
            row.spark.setAttribute("label", name);
            row.spark.addEventListener("click", () => this.#showFreeze());
            trendCell.append(row.spark);
        }
        if (field.writable) {
            row.setter = makeSetter(name, field, (given) => send(name, given));
            setCell.append(row.setter.form);
        }
        this.#rows.set(name, row);
        const head = make("th", { scope: "row", textContent: name, title: field.doc });
        return make("tr", {}, head, value, make("td", { className: "unit", textContent: unitOf(field) }), age, trendCell, setCell);
    }

    /**
     * Shows a region's values. `session`: something else for every board or saved state; `now` and `deviceNow`: the time by
     * performance.now() and by the region's clock [ms]. Touches only what changed.
     */
    show(region, session, now, deviceNow) {
        const isNew = session !== this.#session;
        this.#session = session;
        // What was there when the page came was written at the block's last write, or before.
        const written = now - Math.max(0, deviceNow - Number(region.last_modified));
        for (const [name, row] of this.#rows) {
            const value = region[name];
            if (isNew) {
                Object.assign(row, { at: region.last_modified ? written : null, isBound: true });
                row.spark?.clear();
            } else if (!Object.is(value, row.shown)) {
                Object.assign(row, { at: now, isBound: false });
            }
            if (isNew || !Object.is(value, row.shown)) {
                row.shown = value;
                setText(row.value, valueText(row.field, value));
                setClass(row.value, `number value ${toneOf(row.field, value)}`.trim());
                showAge(row, now);
            }
        }
    }

    /** Shows the ages as of now. */
    showAges(now) {
        this.#rows.forEach((row) => showAge(row, now));
    }

    /** Takes the values into the trends; a gap if they are not current. */
    sample(now, isLive) {
        for (const { spark, shown } of this.#trends()) {
            spark.push(now, isLive && shown !== undefined ? Number(shown) : null);
        }
    }

    /** Whether values may be set now. */
    enable(isEnabled) {
        this.#rows.forEach(({ setter }) => setter?.enable(isEnabled));
    }
}

// When it was written last; or that it was written no later than then, where nobody saw it.
function showAge({ age, at, isBound }, now) {
    setText(age, at === null ? "–" : `${isBound ? "≥ " : ""}${ageText(now - at)}`);
}
