// The list of events, the newest first, of which a filter shows some.
import { make, setText } from "./dom.js";
import { argumentText, countText, enumName, eventTimeText } from "./format.js";

const KEPT = 2000;
const SHOWN = 200;
const UNNAMED = 64; // agents whose names are waited for

export class EventList {
    #body;
    #count;
    #none;
    #filter = []; // words that are there, and with a - in front words that are not
    #events = []; // texts of the columns, the oldest first
    #fresh = []; // {texts, time}, not shown yet
    #unnamed = []; // [handle, texts] of events that came before their agents did
    #total = 0;

    constructor({ body, count, none, filter, clear }) {
        [this.#body, this.#count, this.#none] = [body, count, none];
        filter.addEventListener("input", () => {
            this.#filter = filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "" && word !== "-");
            this.#showAll();
        });
        clear.addEventListener("click", () => this.clear());
    }

    clear() {
        this.#events = [];
        this.#fresh = [];
        this.#unnamed = [];
        this.#total = 0;
        this.#showAll();
    }

    /** Takes an event of the board. */
    add(kind, arg, time) {
        const name = enumName("EventKind", kind);
        const texts = ["", name, argumentText(name, arg)];
        if (name.startsWith("AGENT_")) {
            this.#unnamed = [...this.#unnamed, [arg, texts]].slice(-UNNAMED);
        }
        this.#put(texts, time);
    }

    /** Takes a message that a board logged. */
    addNote(text) {
        this.#put(["", "log", text]);
    }

    #put(texts, time = null) {
        this.#total += 1;
        this.#fresh.push({ texts, time });
        if (this.#fresh.length > KEPT) {
            this.#fresh.shift();
        }
    }

    /** Shows what came since the last call. `nameOf(handle)`: an agent's id, or undefined; `deviceNow`: the time by the board's clock [ms]. */
    show(lost, nameOf, deviceNow) {
        const count = `${countText(this.#total)}${lost ? `, ${countText(lost)} lost` : ""}`;
        setText(this.#count, count);
        if (this.#name(nameOf)) {
            this.#showAll();
        }
        if (!this.#fresh.length) {
            return;
        }
        const fresh = this.#fresh.splice(0).map(({ texts, time }) => {
            texts[0] = time === null ? "" : eventTimeText(time, deviceNow);
            return texts;
        });
        this.#events.push(...fresh);
        this.#events.splice(0, this.#events.length - KEPT);
        const rows = fresh.filter((texts) => this.#passes(texts)).slice(-SHOWN).reverse();
        this.#body.prepend(...rows.map(makeRow));
        while (this.#body.rows.length > SHOWN) {
            this.#body.lastElementChild.remove();
        }
        this.#sayNone();
    }

    // Whether an agent's name was found.
    #name(nameOf) {
        const known = this.#unnamed.filter(([handle]) => nameOf(handle) !== undefined);
        for (const [handle, texts] of known) {
            texts[2] = nameOf(handle);
        }
        this.#unnamed = this.#unnamed.filter((each) => !known.includes(each));
        return known.length > 0;
    }

    #passes(texts) {
        const text = texts.join(" ").toLowerCase();
        return this.#filter.every((word) => (word.startsWith("-") ? !text.includes(word.slice(1)) : text.includes(word)));
    }

    #showAll() {
        const rows = this.#events.filter((texts) => this.#passes(texts)).slice(-SHOWN).reverse();
        this.#body.replaceChildren(...rows.map(makeRow));
        this.#sayNone();
    }

    #sayNone() {
        this.#none.hidden = this.#body.rows.length > 0;
        setText(this.#none, this.#events.length ? "No event passes the filter." : "No event yet.");
    }
}

function makeRow(texts) {
    return make("tr", {}, ...texts.map((text, index) => make("td", { textContent: text, className: index === 2 ? "long" : "" })));
}
