// How much a host may have under way to a device, so that the device's buffer holds it (LINK.md, Flow control).
import { Kind, WINDOW_MS } from "../spec.js";

/**
 * What was sent in the present session and is not known to have been taken. A device takes frames in their order: what is known of one
 * is known of all before it.
 */
export class Window {
    #limit = 0; // bytes
    #used = 0;
    #underWay = []; // {kind, number, length, sentAt}

    /** A session begins, with a device that has taken all that was sent before and can hold `limit` bytes. Before that nothing goes. */
    open(limit) {
        this.#limit = limit;
        this.#used = 0;
        this.#underWay = [];
    }

    /** Whether a frame of this length may go; one that is alone always may. */
    admits(length) {
        return this.#used + length <= this.#limit || this.#underWay.length === 0;
    }

    /** A frame goes. `number`: what `taken` and `heard` know it by, of its kind. */
    sent(kind, number, length, now) {
        this.#used += length;
        this.#underWay.push({ kind, number, length, sentAt: now });
    }

    /** The device has answered the frame with this number: it took the first one that has it. */
    taken(kind, number) {
        this.#release(this.#underWay.findIndex((frame) => frame.kind === kind && frame.number === number) + 1);
    }

    /** The host has stood still: what it reads now may have been said before, so that time counts from here on. */
    pause(now) {
        this.#underWay.forEach((frame) => (frame.sentAt = now));
    }

    /** The device has been heard `at` this time, and what it sent shows that it knows of these acknowledgements. */
    heard(acked, eventAcked, at) {
        const known = new Map([
            [Kind.ACK, acked],
            [Kind.NAK, acked],
            [Kind.EVENT_ACK, eventAcked],
        ]);
        // Of several with the same number one was taken, perhaps the first; of those before it all were.
        const isTaken = ({ kind, number, sentAt }) => {
            const ahead = known.has(kind) ? (known.get(kind) - number) & 255 : 0;
            return at - sentAt >= WINDOW_MS || (ahead > 0 && ahead < 128);
        };
        let count = this.#underWay.length;
        while (count && !isTaken(this.#underWay[count - 1])) {
            count--;
        }
        this.#release(count);
    }

    #release(count) {
        for (const { length } of this.#underWay.splice(0, count)) {
            this.#used -= length;
        }
    }
}
