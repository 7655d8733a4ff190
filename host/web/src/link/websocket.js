// A WebSocket with the face of a SerialPort: what `connect` takes, to reach a board through a host (`feagi-state serve --http`).
import { LinkError } from "../errors.js";

const OPEN = 1; // a WebSocket's readyState

class WebSocketPort extends EventTarget {
    #url;
    #WebSocket;
    #socket = null;
    #refuse = null; // rejects what waits for the socket to open
    readable = null;
    writable = null;
    closed = null;

    constructor(url, WebSocket) {
        super();
        this.#url = new URL(url);
        this.#url.protocol = this.#url.protocol.replace("http", "ws"); // what a page makes of its own location
        this.#WebSocket = WebSocket;
    }

    async open() {
        if (this.#socket) {
            throw new LinkError("the WebSocket is open already");
        }
        const socket = new this.#WebSocket(this.#url.href);
        this.#socket = socket;
        this.closed = null;
        socket.binaryType = "arraybuffer";
        await new Promise((resolve, reject) => {
            socket.onopen = resolve;
            this.#refuse = reject;
            socket.onerror = () => {}; // its close follows
            socket.onclose = ({ code, reason }) => {
                this.#ended(socket, code, reason);
                reject(new LinkError(`no WebSocket at ${this.#url.origin}: ${reason || "it was refused, or nobody is there"} (${code})`));
            };
        });
        this.readable = new ReadableStream({
            start: (controller) => {
                socket.onmessage = ({ data }) => {
                    if (data instanceof ArrayBuffer) {
                        controller.enqueue(new Uint8Array(data));
                    }
                };
                socket.onclose = ({ code, reason }) => {
                    controller.close();
                    this.#ended(socket, code, reason);
                };
            },
            cancel: () => this.#leave(socket),
        });
        this.writable = new WritableStream({
            write: (chunk) => {
                if (socket.readyState !== OPEN) {
                    throw new LinkError("the WebSocket was closed");
                }
                socket.send(chunk);
            },
        });
    }

    async close() {
        this.readable = this.writable = null;
        this.#leave(this.#socket);
    }

    getInfo() {
        return {};
    }

    async setSignals() {} // the host has the board's port

    // The other side has ended it, or the line between.
    #ended(socket, code, reason) {
        if (this.#socket === socket) {
            this.#socket = null;
            this.closed = { code, reason };
            this.dispatchEvent(new Event("disconnect"));
        }
    }

    // This side ends it, and hears nothing more of it.
    #leave(socket) {
        if (socket) {
            this.#socket = null;
            socket.onmessage = null;
            socket.onclose = null;
            this.#refuse(new LinkError("the WebSocket was closed while it opened"));
            socket.close();
        }
    }
}

/** A port for `connect` over a WebSocket that carries the link's frames. See index.d.ts. */
export function webSocketPort(url, { WebSocket = globalThis.WebSocket } = {}) {
    if (!WebSocket) {
        throw new LinkError("there is no WebSocket here: give one, webSocketPort(url, { WebSocket }), or use Node 22 or later");
    }
    return new WebSocketPort(url, WebSocket);
}
