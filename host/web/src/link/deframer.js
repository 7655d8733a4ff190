// Tells a stream's frames from the text between them, in constant memory.
import { FRAME_LEN_BYTES } from "../spec.js";
import { joined, mayBeDeviceFrame, NOTHING, ZERO } from "./bytes.js";

const LONGEST = FRAME_LEN_BYTES + 1; // COBS adds a byte

export class Deframer {
    #part = NOTHING; // of the present segment, as far as it was not handed out
    #zero = NOTHING; // in front of the present segment, unless it closed a frame or was handed out
    #inText = false; // the present segment is no frame
    #isFrame = false;

    /** Forgets what is pending, for a line that was opened again. */
    reset() {
        this.#part = this.#zero = NOTHING;
        this.#inText = false;
    }

    /** Takes any number of bytes. Gives what they complete, one after the other: a segment that may be a frame, without its zeros,
     * {bytes, isText: false}, and again as text, with the zeros that belong to no frame, unless `accept` was called meanwhile. What is
     * too long for a frame comes as text, in pieces. */
    *read(data) {
        let from = 0;
        for (let at = data.indexOf(0); at >= 0; at = data.indexOf(0, from)) {
            yield* this.#extend(data.subarray(from, at));
            yield* this.#endSegment();
            from = at + 1;
        }
        yield* this.#extend(data.subarray(from));
    }

    /** The last segment was a frame. */
    accept() {
        this.#isFrame = true;
    }

    /** What is pending, if it is no device's frame: by what it begins with, or because `isOver`: it does not go on. What follows, up to
     * the next zero, is text as well. */
    takeText(isOver = false) {
        const isText = this.#part.length ? this.#inText || isOver || !mayBeDeviceFrame(this.#part) : isOver;
        if (!isText) {
            return NOTHING;
        }
        const text = joined(this.#zero, this.#part);
        this.#inText ||= this.#part.length > 0;
        this.#part = this.#zero = NOTHING;
        return text;
    }

    *#extend(piece) {
        this.#part = joined(this.#part, piece);
        if (this.#part.length > LONGEST) {
            this.#inText = true;
            yield { bytes: this.takeText(), isText: true };
        }
    }

    *#endSegment() {
        const segment = this.#part;
        this.#part = NOTHING;
        if (!this.#inText && segment.length) {
            this.#isFrame = false;
            yield { bytes: segment, isText: false };
            if (this.#isFrame) {
                this.#zero = NOTHING;
                return;
            }
        }
        const text = joined(this.#zero, segment);
        this.#inText = false;
        this.#zero = ZERO;
        if (text.length) {
            yield { bytes: text, isText: true };
        }
    }
}
