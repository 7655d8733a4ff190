// Values, ages and times as people read them, as the command line prints them; and what people write, as values.
import * as feagi from "../index.js";
import { UNIX_LEAST_MS } from "../src/spec.js";

const whole = new Intl.NumberFormat("en");
const fraction = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const WRAP = 2 ** 32;
// What an event's argument is, where this library gives it a meaning.
const ARGUMENTS = { BURST_ENGINE_STATE_CHANGED: "BurstEngineState", GENOME_STATE_CHANGED: "GenomeState" };
const TONES = { ERROR: "bad", DEGRADED: "warn", PAUSED: "warn", READY: "ok", RUNNING: "ok", LOADED: "ok" };

/** The name of an enum's value, or the number if this version does not know it. */
export function enumName(kind, value) {
    return Object.keys(feagi[kind]).find((name) => feagi[kind][name] === value) ?? String(value);
}

/** What an event's argument says: the new state by name, else the number. */
export function argumentText(kindName, arg) {
    return Object.hasOwn(ARGUMENTS, kindName) ? enumName(ARGUMENTS[kindName], arg) : String(arg);
}

/** The unit that is shown beside a field's value: none beside a date. */
export function unitOf(field) {
    return field.unit === "ms" ? "" : field.unit;
}

/** A field's value; its unit stands beside it. */
export function valueText(field, value) {
    if (field.enum) {
        return enumName(field.enum, value);
    }
    if (field.type === "bool") {
        return value ? "yes" : "no";
    }
    if (field.unit === "ms") {
        return timeText(Number(value));
    }
    return field.type === "f32" ? (Number.isFinite(value) ? fraction.format(value) : String(value)) : whole.format(value);
}

/** "ok", "warn" or "bad" where a field's value says how it is, else "". */
export function toneOf(field, value) {
    return field.enum ? (TONES[enumName(field.enum, value)] ?? "") : "";
}

export function countText(value) {
    return whole.format(value);
}

/** A number in few characters. */
export function shortText(value) {
    return Number.isFinite(value) ? short.format(value) : String(value);
}

const two = (number) => String(number).padStart(2, "0");

function clockText(date) {
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function dayText(date) {
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A time of the device [ms]: a date if it counts from the epoch, else the time since the device's start. Told by its size, since an
 * application's own times need not be of the kind that the header says. */
export function timeText(ms) {
    if (ms === 0) {
        return "–";
    }
    const date = new Date(ms);
    if (ms >= UNIX_LEAST_MS && !Number.isNaN(date.getTime())) {
        return `${dayText(date)} ${clockText(date)}`;
    }
    return `${spanText(ms)} after start`;
}

/** An event's time, of which the device says the low 32 bits: `now` is the device's time [ms]. */
export function eventTimeText(low, now) {
    const ms = wholeTime(low, now);
    return ms >= UNIX_LEAST_MS ? `${clockText(new Date(ms))}.${String(ms % 1000).padStart(3, "0")}` : `${(ms / 1000).toFixed(3)} s`;
}

/** The time [ms] nearest to `now` that has these low 32 bits. */
export function wholeTime(low, now) {
    return Math.max(low, low + WRAP * Math.round((now - low) / WRAP));
}

/** A span [ms]: hours, minutes and seconds. */
export function spanText(ms) {
    const seconds = Math.floor(ms / 1000);
    const days = Math.floor(seconds / 86400);
    return `${days ? `${days} d ` : ""}${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** An age [ms]: short, and never more exact than it is of use. */
export function ageText(ms) {
    const seconds = Math.max(0, ms) / 1000;
    if (seconds < 60) {
        return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds)} s`;
    }
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min` : minutes < 1440 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d`;
}

/** The time of day for the name of a file: 20260131-235959. */
export function stamp(date = new Date()) {
    return `${dayText(date)}-${clockText(date)}`.replace(/[-:]/g, "").replace(/^(\d{8})/, "$1-");
}

/** The value that `text` means for a field. Throws RangeError, which says what would be right. */
export function parseValue(name, field, text) {
    const word = text.trim().replace(/[,_ ]/g, "");
    if (field.enum || field.type === "bool") {
        return field.type === "bool" ? word === "1" : Number(word);
    }
    const unit = field.unit === "%" ? " %" : field.unit ? ` of ${field.unit}` : "";
    if (field.type === "f32") {
        const value = Number(word);
        if (word === "" || !Number.isFinite(Math.fround(value))) {
            throw new RangeError(`${name} is a number${unit} that 32 bits hold, not “${text}”`);
        }
        return value;
    }
    if (!/^(\d+|0[xX][\da-fA-F]+)$/.test(word)) {
        throw new RangeError(`${name} is a whole number${unit}, not “${text}”`);
    }
    const value = BigInt(word);
    if (value > BigInt(field.maximum)) {
        throw new RangeError(`${name} is 0 to ${whole.format(field.maximum)}${unit}, not ${text}`);
    }
    return field.type === "u64" ? value : Number(value);
}
