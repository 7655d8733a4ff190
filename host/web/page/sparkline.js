// <feagi-sparkline>: the last minute of a number, on a button that freezes it. Attributes: `label` names the number; `frozen` keeps the
// picture as it is, while numbers go on being taken; `auto-scale` spreads what is there over the height, else the scale begins at 0 and
// ends at `maximum` or the largest value.
import { shortText } from "./format.js";

const SPAN_MS = 60_000;
const [WIDTH, HEIGHT] = [120, 20];
const SVG = "http://www.w3.org/2000/svg";

class Sparkline extends HTMLElement {
    static observedAttributes = ["frozen", "auto-scale", "maximum"];

    #samples = []; // [time in ms, value], null in place of a value where nothing was known
    #path = null;
    #button = document.createElement("button");
    #most = document.createElement("small");

    connectedCallback() {
        if (!this.#path) {
            this.#button.setAttribute("aria-pressed", this.hasAttribute("frozen"));
            const svg = document.createElementNS(SVG, "svg");
            svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
            svg.setAttribute("preserveAspectRatio", "none");
            svg.setAttribute("aria-hidden", "true");
            this.#path = svg.appendChild(document.createElementNS(SVG, "path"));
            this.#most.append(document.createElement("span"), document.createElement("span"));
            this.#button.type = "button";
            this.#button.setAttribute("aria-label", `Freeze the trend of ${this.getAttribute("label")}`);
            this.#button.addEventListener("click", () => this.toggleAttribute("frozen"));
            this.#button.append(svg);
            this.append(this.#button, this.#most);
        }
        this.#draw();
    }

    attributeChangedCallback() {
        this.#button.setAttribute("aria-pressed", this.hasAttribute("frozen"));
        this.#draw();
    }

    /** Takes a value at a time [ms]; null leaves a gap. */
    push(time, value) {
        this.#samples.push([time, value]);
        while (this.#samples[0][0] < time - SPAN_MS) {
            this.#samples.shift();
        }
        this.#draw();
    }

    clear() {
        this.#samples = [];
        this.#draw();
    }

    #draw() {
        if (!this.#path || (this.hasAttribute("frozen") && this.#path.hasAttribute("d"))) {
            return;
        }
        const values = this.#samples.flatMap(([, value]) => (value === null ? [] : [value]));
        let [low, high] = [Math.min(...values), Math.max(...values)];
        if (!this.hasAttribute("auto-scale")) {
            [low, high] = [0, Number(this.getAttribute("maximum")) || Math.max(high, 1)];
        }
        const end = this.#samples.at(-1)?.[0] ?? 0;
        const x = (time) => (((time - end + SPAN_MS) / SPAN_MS) * WIDTH).toFixed(1);
        const y = (value) => (high > low ? HEIGHT - 1 - ((value - low) / (high - low)) * (HEIGHT - 2) : HEIGHT / 2).toFixed(1);
        let pen = "M";
        let line = "";
        for (const [time, value] of this.#samples) {
            if (value !== null) {
                line += `${pen}${x(time)} ${y(value)}`;
            }
            pen = value === null ? "M" : "L";
        }
        this.#path.setAttribute("d", line);
        const [above, below] = this.#most.children;
        above.textContent = values.length ? shortText(high) : "";
        below.textContent = values.length && high > low ? shortText(low) : "";
    }
}

customElements.define("feagi-sparkline", Sparkline);
