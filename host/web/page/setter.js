// The control that sets one field: what is typed is checked before it is sent, and what became of it stands beside it.
import * as feagi from "../index.js";
import { make, setClass, setText } from "./dom.js";
import { parseValue, valueText } from "./format.js";

const SHOWN_MS = 4000; // how long an answer stays

function choices(field) {
    const named = field.enum ? Object.entries(feagi[field.enum]) : [["yes", 1], ["no", 0]];
    return [["", ""], ...named].map(([label, value]) => make("option", { value, textContent: label || "–" }));
}

/** A form for a writable field. `send(value)` resolves with the value after it. */
export function makeSetter(name, field, send) {
    const isChoice = field.enum || field.type === "bool";
    const input = isChoice
        ? make("select", {}, ...choices(field))
        : make("input", { type: "text", inputMode: field.type === "f32" ? "decimal" : "numeric", maxLength: 30, autocomplete: "off", spellcheck: false, placeholder: field.unit === "%" ? `0–${field.maximum}` : "" });
    input.setAttribute("aria-label", `New value of ${name}`);
    const button = make("button", { textContent: "Set" });
    button.setAttribute("aria-label", `Set ${name}`);
    const output = make("output", { id: `said-${name}` });
    const form = make("form", { className: "setter", noValidate: true }, input, button, output);
    let asked = 0; // the newest attempt's number

    const tell = (text, tone) => {
        setText(output, text);
        setClass(output, tone);
        if (tone === "bad") {
            input.setAttribute("aria-invalid", "true");
            input.setAttribute("aria-describedby", output.id);
        } else {
            input.removeAttribute("aria-invalid");
            input.removeAttribute("aria-describedby");
        }
    };

    input.addEventListener("input", () => tell("", ""));
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const attempt = ++asked;
        if (input.value === "") {
            tell(isChoice ? "choose a value" : "write a value", "bad");
            input.focus();
            return;
        }
        try {
            const value = parseValue(name, field, input.value);
            tell("sent…", "");
            form.setAttribute("aria-busy", "true");
            const answer = await send(value);
            if (attempt === asked) {
                input.value = "";
                tell(`✓ ${valueText(field, answer)}`, "ok");
                setTimeout(() => attempt === asked && output.className === "ok" && tell("", ""), SHOWN_MS);
            }
        } catch (error) {
            if (attempt === asked) {
                tell(error.message, "bad");
                input.focus();
            }
        } finally {
            if (attempt === asked) {
                form.removeAttribute("aria-busy");
            }
        }
    });

    return {
        form,
        enable(isEnabled) {
            input.disabled = button.disabled = !isEnabled;
        },
    };
}
