// What a board's MicroPython says between frames when it starts, and feagi_serve in a line of log: which one it is, and how it came
// to start.

const KEPT = 200; // characters that may be the begin of a line
const BANNER = /MicroPython (v\S+)(?: on [\d-]+)?; ([^\r\n;]+?)(?: with ([^\r\n;]+))?[\r\n;]/;
// Lines of MicroPython, of ESP chips' boot loaders, and of feagi_serve.
const RESETS = [
    [/MPY: soft reboot/, () => "soft reset"],
    [/rst:0x[\da-f]+ \((\w+)\)/, ([, reason]) => reason],
    [/^MicroPython v[^\r\n]+; ([\w -]+ reset)$/m, ([, reason]) => reason],
];

export class BoardText {
    #decoder = new TextDecoder();
    #tail = "";
    /** Version and machine of its MicroPython, "" if it did not say. */
    micropython = "";
    /** How it started last, "" if it did not say. */
    reset = "";

    take(bytes) {
        this.#hear(this.#decoder.decode(bytes, { stream: true }));
    }

    takeLine(line) {
        this.#hear(`\n${line}\n`);
    }

    #hear(said) {
        const text = this.#tail + said;
        const banner = BANNER.exec(text);
        if (banner) {
            this.micropython = `${banner[1]}, ${banner[2]}`;
        }
        for (const [pattern, reason] of RESETS) {
            const found = pattern.exec(text);
            this.reset = found ? reason(found) : this.reset;
        }
        this.#tail = text.slice(-KEPT);
    }
}
