// A board that is looked at: its link, taken up again by itself, and what was learned of it besides its region.
import { connect } from "../index.js";
import { BoardText } from "./board_text.js";

const LOOK_MS = 250;
const LONGEST_MS = 4000; // between two attempts
const RESTART_MS = 1000; // by so much less is the uptime of a board that started again

/**
 * `source` gives the port: {name, port(): Promise<Port or null>, baudRate}. `observer` hears state(), changed() once something was
 * written to the mirror, event(kind, arg, time_ms) and note(text).
 */
export class Connection {
    #source;
    #observer;
    #link = null;
    #text = new BoardText();
    #timer;
    #closed = false;
    #trying = false;
    #tryAt = 0;
    #pause = LOOK_MS;
    #heard = null; // {uptime, at} of the session's hello

    #portFault = null; // why there is no port
    #versionFault = null; // why there is no session, of a board of another version

    constructor(source, observer) {
        this.#source = source;
        this.#observer = observer;
        /** When the board was seen to start again, by performance.now(); else null. */
        this.restartedAt = null;
        /** Since when it is stale, by performance.now(); null while it is live. */
        this.staleSince = performance.now();
        this.isLive = false;
        this.#timer = setInterval(() => this.#look(), LOOK_MS);
        this.#look();
    }

    get source() {
        return this.#source;
    }

    /** Why there is no link, or null. */
    get fault() {
        return this.#portFault ?? this.#versionFault;
    }

    get link() {
        return this.#link;
    }

    /** The region to show, or null. */
    get region() {
        return this.#link?.mirror ?? null;
    }

    get name() {
        return this.#link?.hello?.name || this.#source.name;
    }

    get state() {
        return this.#closed ? "CLOSED" : (this.#link?.state ?? "CONNECTING");
    }

    /** Since the board's start [ms]; null as long as it has not said. */
    get uptime() {
        return this.#heard && this.#heard.uptime + performance.now() - this.#heard.at;
    }

    /** The time of the region's clock [ms], as far as the page knows it. */
    get deviceNow() {
        return this.region?.unix_time ? Date.now() : (this.uptime ?? 0);
    }

    /** What the board said on its line between frames: {micropython, reset}, "" where it said nothing. */
    get said() {
        return this.#text;
    }

    /** Attempts to connect now: a port came. */
    retry() {
        this.#tryAt = 0;
        this.#pause = LOOK_MS;
        this.#look();
    }

    async close() {
        this.#closed = true;
        clearInterval(this.#timer);
        await this.#link?.close();
    }

    // Takes the port up, again and again with longer pauses, while there is none.
    async #look() {
        if (this.#trying || this.#closed || this.#link?.hasPort || performance.now() < this.#tryAt) {
            return;
        }
        this.#trying = true;
        try {
            const port = await this.#source.port();
            if (!port) {
                throw new Error("the port is not there: plug the board in");
            }
            const options = { baudRate: this.#source.baudRate };
            if (this.#link) {
                await this.#link.use(port, options);
            } else {
                this.#link = await connect(port, { ...options, ...this.#handlers() });
                this.#follow();
            }
            this.#portFault = null;
        } catch (error) {
            this.#portFault = error.message;
            this.#pause = Math.min(this.#pause * 2, LONGEST_MS);
            this.#tryAt = performance.now() + this.#pause;
        } finally {
            this.#trying = false;
        }
        if (this.#closed) {
            await this.#link?.close();
        } else {
            this.#observer.state();
        }
    }

    #handlers() {
        return {
            state: (state) => {
                this.isLive = state === "LIVE";
                this.staleSince = this.isLive ? null : (this.staleSince ?? performance.now());
                this.#pause = this.isLive ? LOOK_MS : this.#pause;
                this.#observer.state();
            },
            sessionStarted: (hello) => {
                const expected = this.uptime;
                if (expected !== null && hello.uptime < expected - RESTART_MS) {
                    this.restartedAt = performance.now();
                }
                this.#heard = { uptime: hello.uptime, at: performance.now() };
                this.#versionFault = null;
            },
            mismatch: ({ proto, schema }) => {
                this.#versionFault = `the board speaks another version (protocol ${proto}, schema 0x${schema.toString(16)}): install the one of this page on it`;
                this.#observer.state();
            },
            event: (kind, arg, time) => this.#observer.event(kind, arg, time),
            text: (bytes) => this.#text.take(bytes),
            log: (_level, message) => {
                this.#text.takeLine(message);
                this.#observer.note(message);
            },
        };
    }

    // Tells of what arrives, also while the page is hidden.
    async #follow() {
        while (!this.#closed) {
            const { mirror } = this.#link;
            if (!mirror) {
                await new Promise((done) => setTimeout(done, LOOK_MS / 5));
            } else if (await mirror.changed({ timeout: 1000 })) {
                this.#observer.changed();
            }
        }
    }
}
