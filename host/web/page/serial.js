// Boards on serial ports, by Web Serial. Opening a port leaves its signals as they are, and the link sends nothing that a prompt obeys.

const NAMES = { 0x0483: "STM32", 0x2e8a: "RP2", 0x303a: "ESP32", 0xf055: "MicroPython", 0x10c4: "CP210x", 0x1a86: "CH34x", 0x0403: "FTDI" };

/** Why this page cannot open serial ports: "", "insecure" or "unsupported". */
export function serialFault() {
    return !window.isSecureContext ? "insecure" : "serial" in navigator ? "" : "unsupported";
}

const hex = (number) => number.toString(16).padStart(4, "0");

function nameOf({ usbVendorId, usbProductId }) {
    return usbVendorId === undefined ? "serial port" : `${NAMES[usbVendorId] ?? "USB"} ${hex(usbVendorId)}:${hex(usbProductId)}`;
}

/** A port, and the one that it is after it was plugged in again. */
class SerialSource {
    #port;
    #info;
    #baudRate;
    via = "Web Serial";

    // `baudRate()`: asked for whenever the port is opened.
    constructor(port, baudRate) {
        this.#port = port;
        this.#info = port.getInfo();
        this.name = nameOf(this.#info);
        this.#baudRate = baudRate;
    }

    get baudRate() {
        return this.#baudRate();
    }

    /** Whether another source is of the same port. */
    isSame(other) {
        return other instanceof SerialSource && other.#port === this.#port;
    }

    async port() {
        const there = await navigator.serial.getPorts();
        const { usbVendorId, usbProductId } = this.#info;
        const isLike = ({ usbVendorId: vendor, usbProductId: product }) => usbVendorId !== undefined && vendor === usbVendorId && product === usbProductId;
        const found = there.find((port) => port === this.#port) ?? there.find((port) => isLike(port.getInfo()));
        if (!found || found.connected === false) {
            return null;
        }
        this.#port = found;
        return found;
    }
}

/** Those ports that the person let this page have before. */
export async function knownPorts(baudRate) {
    return serialFault() ? [] : (await navigator.serial.getPorts()).map((port) => new SerialSource(port, baudRate));
}

/** Asks the person for a port. Null if none was chosen. */
export async function choosePort(baudRate) {
    try {
        return new SerialSource(await navigator.serial.requestPort(), baudRate);
    } catch (error) {
        if (error.name === "NotFoundError") {
            return null;
        }
        throw error;
    }
}

/** Calls back whenever a port that this page may have is plugged in or out. */
export function onPlug(callback) {
    if (!serialFault()) {
        navigator.serial.addEventListener("connect", callback);
        navigator.serial.addEventListener("disconnect", callback);
    }
}
