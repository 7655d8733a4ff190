// Small helpers for the DOM. Whatever comes from a board goes through textContent only.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; a text is a text, whatever is in it. */
export function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
}

/** Sets an element's text if it is another one. */
export function setText(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

export function setClass(element, name) {
    if (element.className !== name) {
        element.className = name;
    }
}

/** Offers bytes or texts to be saved as a file of this name. */
export function download(name, parts, type) {
    const url = URL.createObjectURL(new Blob(parts, { type }));
    make("a", { href: url, download: name.replace(/[^\w.-]+/g, "_") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser has taken it by then
}

/** Rows of a table body by key, of which only what changed is touched. */
export class Rows {
    #body;
    #classes;
    #rows = new Map(); // key -> {row, shown}

    /** `classes`: those of each column's cells. */
    constructor(body, classes) {
        this.#body = body;
        this.#classes = classes;
    }

    /** Shows these [key, texts], in their order. */
    show(entries) {
        const wanted = new Set(entries.map(([key]) => key));
        for (const [key, { row }] of this.#rows) {
            if (!wanted.has(key)) {
                row.remove();
                this.#rows.delete(key);
            }
        }
        let place = this.#body.firstChild;
        for (const [key, texts] of entries) {
            const { row, shown } = this.#rows.get(key) ?? this.#add(key, texts.length);
            texts.forEach((text, index) => {
                if (shown[index] !== text) {
                    row.cells[index].textContent = shown[index] = text;
                }
            });
            if (row === place) {
                place = row.nextSibling;
            } else {
                this.#body.insertBefore(row, place);
            }
        }
    }

    #add(key, length) {
        const row = make("tr", {}, ...Array.from({ length }, (_, index) => make("td", { className: this.#classes[index] ?? "" })));
        const made = { row, shown: [] };
        this.#rows.set(key, made);
        return made;
    }
}
