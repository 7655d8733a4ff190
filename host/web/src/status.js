// The core's statuses as errors.
import * as errors from "./errors.js";
import { ERRORS } from "./spec.js";

// The classes of what the spec calls by Python's own names.
const builtins = { ValueError: "InvalidValue", AttributeError: "InvalidField", TypeError: "InvalidOperation" };

/** The core's status of this name in the spec. */
export function statusOf(name) {
    return -Object.keys(ERRORS).find((number) => ERRORS[number][0] === name);
}

/** The error for a negative status of the core; `what` was attempted, and goes in front of its message. */
export function errorFromStatus(status, what) {
    const [, kind, text] = ERRORS[-status] ?? ["", "CommandRejected", `the unknown status ${status}`];
    return new errors[builtins[kind] ?? kind](`${what}: ${text}`);
}

// By FEAGI_IMAGE_* of firmware/core/feagi_image.h, which only messages know here.
const imageFaults = [
    "",
    "it holds no region of this layout",
    "it holds no valid state: a field of the core block is out of its range",
    "it holds no valid state: the agents are not as a region has them",
    "it holds no valid state: the locks or windows are not as a region has them",
    "it holds no valid state: the statistics are not as a region has them",
    "it is not aligned",
    "it is no saved state",
    "another version saved it",
    "it is truncated, or more follows it",
    "it is damaged: its bytes have another CRC than when they were saved",
    "it was saved from a region with another profile",
];

/** What is wrong with an image, by the core's number of it. */
export function imageFault(number) {
    return imageFaults[number] ?? `it is not valid (${number})`;
}
