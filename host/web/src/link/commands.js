// Commands to a device: one at a time, repeated until they are answered, given up at their deadlines.
import { CommandTimeout, LinkError, SessionLost } from "../errors.js";
import { CommandOp, Kind, RETRANSMIT_MS } from "../spec.js";

const MOST = 1000; // that wait

const frameItems = ({ op, args }) => [op, ...args];

export class CommandQueue {
    #send;
    #hasRoom;
    #waiting = [];
    #current = null; // was sent in the present session, and not answered
    #seq = 0;

    /** `send(kind, seq, items, now)` puts a frame on the line of the present session, if there is room, and says whether;
     * `hasRoom(items)`: whether there is. */
    constructor(send, hasRoom) {
        this.#send = send;
        this.#hasRoom = hasRoom;
    }

    /** Resolves with the reply, {status, values, digest}. Throws CommandTimeout, SessionLost or LinkError. */
    add(op, args, deadline) {
        return new Promise((resolve, reject) => {
            if (this.#waiting.length >= MOST) {
                throw new LinkError(`${MOST} commands wait for the device already: this one was not sent`);
            }
            this.#waiting.push({ op, args, deadline, resolve, reject, seq: 0, sendAt: 0 });
        });
    }

    /** Sends, repeats and gives up what is due. `isLive`: whether there is a session that a command can be sent in. */
    serve(now, isLive) {
        if (this.#current && now >= this.#current.deadline) {
            this.#finish(new CommandTimeout("the device did not answer the command in time: its outcome is unknown"));
        }
        for (const command of this.#waiting.filter(({ deadline }) => now >= deadline)) {
            command.reject(new CommandTimeout("the command was not sent, since the link was not free in time"));
        }
        this.#waiting = this.#waiting.filter(({ deadline }) => now < deadline);
        if (!isLive) {
            return;
        }
        if (!this.#current && this.#waiting.length && this.#hasRoom(frameItems(this.#waiting[0]))) {
            this.#current = this.#waiting.shift();
            // A reply to an earlier command, late or repeated, has another number.
            this.#current.seq = this.#seq = (this.#seq + 1) & 255;
            this.#current.sendAt = now;
        }
        const current = this.#current;
        if (current && now >= current.sendAt && this.#send(Kind.COMMAND, current.seq, frameItems(current), now)) {
            current.sendAt = now + RETRANSMIT_MS;
        }
    }

    /** Takes a reply. Whether it answered the command that waits. `digest`: gives the mirror's, as of the reply. */
    reply(seq, [status, ...values], digest) {
        const current = this.#current;
        if (!current || seq !== current.seq) {
            return false;
        }
        this.#current = null;
        // A SET's reply has no value where it is the one that was asked for.
        const isAsAsked = current.op === CommandOp.SET && status === 0 && values.length === 0;
        const after = isAsAsked ? current.args.slice(1) : values;
        current.resolve({ status, values: after, digest: current.op === CommandOp.DIGEST ? digest(values) : null });
        return true;
    }

    /** The session ended: what was sent in it has an unknown outcome. The others wait for the next one. */
    failSent(reason) {
        this.#finish(new SessionLost(`${reason} before the command was answered: its outcome is unknown`));
    }

    /** There will be no session any more. */
    failAll(reason) {
        this.failSent(reason);
        this.#waiting.splice(0).forEach(({ reject }) => reject(new LinkError(`${reason}: the command was not sent`)));
    }

    #finish(error) {
        const current = this.#current;
        this.#current = null;
        current?.reject(error);
    }
}
