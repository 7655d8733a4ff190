// Boards of the host that served this page: `feagi-state serve PORT --http` prints its address, with a token in it.
import { webSocketPort } from "../index.js";

const SEVERITY = ["STALE", "CLOSED", "CONNECTING", "LIVE"]; // worst first

const token = new URLSearchParams(location.search).get("token");

/** Whether a host served this page. */
export const hasHost = token !== null;

const address = (path) => new URL(`${path}?token=${encodeURIComponent(token)}`, location.origin);

class HostSource {
    baudRate = 115200; // the host's affair
    via = "host";

    // `problem`: why the host does not reach it, or null.
    constructor({ name, state, url, problem }) {
        Object.assign(this, { name, state, url, problem });
    }

    /** Whether another source is of the same board. */
    isSame(other) {
        return other.url === this.url;
    }

    /** A new one each time: a WebSocket that was closed stays so. */
    async port() {
        return webSocketPort(address(this.url));
    }
}

/** The host's boards, worst first. Throws Error with what is wrong. */
export async function hostBoards() {
    const answer = await fetch(address("/boards"), { cache: "no-store" });
    if (!answer.ok) {
        throw new Error(answer.status === 403 ? "the host does not know this page's token: open the address that it printed when it started" : `the host answered ${answer.status}`);
    }
    const { boards } = await answer.json();
    const rank = ({ state }) => SEVERITY.indexOf(state);
    return boards.map((board) => new HostSource(board)).sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}
