// A SerialPort over a file of /dev, for Node: a pty that stands for a serial port and has the face of Web Serial's.
import { execFileSync } from "node:child_process";
import { constants, openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";

export class PtyPort extends EventTarget {
    opened = []; // options of open()
    signals = 0; // calls of setSignals
    readable = null;
    writable = null;
    #path;
    #file = null;
    #line = null; // what fills `readable`

    constructor(path) {
        super();
        this.#path = path;
    }

    async open(options) {
        this.opened.push(options);
        execFileSync("stty", ["-F", this.#path, "raw", "-echo"]);
        const number = openSync(this.#path, constants.O_RDWR | constants.O_NOCTTY);
        this.#file = new ReadStream(number);
        this.#stream();
        this.#file.on("data", (data) => this.#line?.enqueue(new Uint8Array(data)));
        this.#file.on("error", () => {}); // the pty's other end is gone
        this.writable = new WritableStream({ write: (chunk) => void writeSync(number, chunk) });
    }

    #stream() {
        this.readable = new ReadableStream({
            start: (line) => void (this.#line = line),
            cancel: () => void (this.#line = null),
        });
    }

    /** As a break on the line: an error that is not fatal, after which there is another stream. */
    interrupt() {
        const line = this.#line;
        this.#stream();
        line.error(new DOMException("a break", "BreakError"));
    }

    /** As when the cable is pulled. */
    unplug() {
        const line = this.#line;
        this.#line = this.readable = this.writable = null;
        line.error(new DOMException("The device has been lost.", "NetworkError"));
        this.dispatchEvent(new Event("disconnect"));
    }

    async setSignals() {
        this.signals += 1;
        throw new DOMException("a pty has none", "NetworkError");
    }

    async close() {
        this.#file.destroy();
        this.readable = this.writable = this.#line = null;
    }
}

/** Resolves once `holds` says so, which is asked after every change of the link's mirror. */
export async function until(link, holds) {
    while (!(link.mirror && holds(link.mirror))) {
        await (link.mirror ? link.mirror.changed({ timeout: 100 }) : new Promise((done) => setTimeout(done, 10)));
    }
}
