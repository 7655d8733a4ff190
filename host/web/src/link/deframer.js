// Cuts a stream of bytes at its zeros, in constant memory.
import { FRAME_LEN_BYTES } from "../spec.js";

const LONGEST = FRAME_LEN_BYTES + 1; // COBS adds a byte

export class Deframer {
    #part = new Uint8Array(LONGEST);
    #length = 0;
    #inText = false; // within a segment that is too long for a frame

    /** Forgets what is pending, for a line that was opened again. */
    reset() {
        this.#length = 0;
        this.#inText = false;
    }

    /** Takes any number of bytes. Answers the segments that they complete, without the zeros: {bytes, isText}, where text is what is
     * too long for a frame, in as many pieces as it takes. */
    feed(data) {
        const segments = [];
        for (const byte of data) {
            if (byte !== 0) {
                if (this.#length === LONGEST) {
                    this.#inText = true;
                    this.#cut(segments);
                }
                this.#part[this.#length++] = byte;
            } else {
                this.#cut(segments);
                this.#inText = false;
            }
        }
        return segments;
    }

    #cut(segments) {
        if (this.#length) {
            segments.push({ bytes: this.#part.slice(0, this.#length), isText: this.#inText });
            this.#length = 0;
        }
    }
}
