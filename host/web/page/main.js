// The page: which board is looked at, and when what is drawn. At most 20 times a second, and not at all while nobody looks.
import { Connection } from "./connection.js";
import { byId, download, make, setText } from "./dom.js";
import { EventList } from "./events.js";
import { FieldsTable } from "./fields.js";
import { stamp } from "./format.js";
import { Header } from "./header.js";
import { hasHost, hostBoards } from "./host.js";
import { showNotice } from "./notice.js";
import { Recording } from "./record.js";
import { SectionPanels } from "./sections.js";
import { choosePort, knownPorts, onPlug, serialFault } from "./serial.js";
import * as snapshots from "./snapshots.js";
import { themeBy } from "./theme.js";

const DRAW_MS = 50; // between two drawings: nobody reads faster
const TICK_MS = 250; // of ages, trends and the header
const HOST_MS = 2000; // between two looks at the host's boards
const NAMES_KEPT = 1000; // of agents
const BAUD_RATES = [115200, 230400, 460800, 921600, 1000000, 2000000, 57600, 38400, 19200, 9600];

const header = new Header();
const fields = new FieldsTable(byId("fields"), { freeze: byId("freeze"), autoScale: byId("auto-scale") }, (name, value) => connection.link.set(name, value));
const sections = new SectionPanels(byId("sections"));
const part = (name) => byId(`events${name}`);
const events = new EventList({ body: part(""), count: part("-count"), none: part("-none"), filter: part("-filter"), clear: part("-clear") });

let connection = null;
let asks = 0; // for a connection, so far
let saved = null; // a saved state that is shown instead: {region, name, savedAt, saved}
let recording = null;
let boards = []; // of the host
let ports = []; // that the person let this page have before
let hostFault = "";
let agentNames = new Map(); // by handle, the last that are gone as well
let frame = 0;
let drawnAt = 0;

// ---- What is shown

function viewOf() {
    if (saved) {
        return { ...saved, state: "SAVED", fault: null, restartedFor: null, session: saved.region, deviceNow: saved.savedAt };
    }
    const { name, state, region, fault, uptime, said, link, deviceNow, source, staleSince, restartedAt } = connection;
    const now = performance.now();
    const staleFor = staleSince === null ? 0 : now - staleSince;
    const restartedFor = restartedAt === null ? null : now - restartedAt;
    const { counters, roundTrip } = link ?? {};
    // Values that were live once and are not now are stale, whatever the link does about it.
    const shown = region && state === "CONNECTING" ? "STALE" : state;
    const heardAt = uptime === null ? null : uptime - staleFor; // nobody knows whether it still runs
    const problem = boards.find((board) => source.isSame(board))?.problem ?? null;
    return { name, state: shown, region, fault: fault ?? problem, uptime: heardAt, said, counters, roundTrip, deviceNow, staleFor, restartedFor, via: source.via, session: region };
}

function draw() {
    const view = connection || saved ? viewOf() : null;
    byId("notice").hidden = view !== null;
    byId("board").hidden = view === null;
    byId("panels").hidden = !view?.region;
    byId("unplug").hidden = view === null;
    setText(byId("unplug"), saved ? "Close saved state" : "Disconnect");
    byId("save").disabled = !view?.region || saved !== null;
    byId("record").disabled = !view?.region || saved !== null;
    showSources();
    if (!view) {
        document.title = "feagi-state";
        showNotice(serialFault(), hostFault);
        return;
    }
    header.show(view);
    byId("panels").classList.toggle("old", view.state !== "LIVE" && view.state !== "SAVED");
    fields.enable(view.state === "LIVE");
    if (view.region) {
        fields.show(view.region, view.session, performance.now(), view.deviceNow);
        sections.show(view.region, view.deviceNow);
        for (const { handle, agent_id: id } of view.region.agents) {
            agentNames.set(handle, id);
        }
        // The oldest first. One that is still there has its name again at the next drawing.
        for (const handle of [...agentNames.keys()].slice(0, -NAMES_KEPT)) {
            agentNames.delete(handle);
        }
        events.show(view.counters?.events_lost ?? 0, (handle) => agentNames.get(handle), view.deviceNow);
    }
}

function onFrame(now) {
    if (now < drawnAt + DRAW_MS) {
        frame = requestAnimationFrame(onFrame);
        return;
    }
    frame = 0;
    drawnAt = now;
    draw();
}

/** Draws in one of the next frames. A page that nobody sees has none. */
function drawSoon() {
    frame ||= requestAnimationFrame(onFrame);
}

function tick() {
    if (document.hidden) {
        return;
    }
    const now = performance.now();
    if (connection || saved) {
        fields.showAges(now);
        if (!saved) {
            fields.sample(now, connection.isLive);
        }
    }
    drawSoon();
}

function tell(text, isBad = false) {
    setText(byId("told"), text);
    byId("told").classList.toggle("bad", isBad);
}

// Does what a button says; what goes wrong is told.
function onClick(id, action) {
    byId(id).addEventListener("click", async () => {
        try {
            tell("");
            await action();
        } catch (error) {
            tell(error.message, true);
        }
        drawSoon();
    });
}

// ---- Boards

// What can be connected to without a choice of the browser's.
const sources = () => [...boards, ...ports];

function showSources() {
    const place = byId("sources");
    const all = sources();
    if (place.childElementCount !== all.length) {
        const buttons = all.map(() => make("button", { type: "button" }));
        buttons.forEach((button, index) => button.addEventListener("click", () => lookAt(sources()[index])));
        place.replaceChildren(...buttons);
    }
    all.forEach((source, index) => {
        setText(place.children[index], source.state ? `${source.name} · ${source.state}` : source.name);
        place.children[index].setAttribute("aria-current", connection?.source.isSame(source) ?? false);
    });
}

async function lookAt(source) {
    saved = null;
    const asked = ++asks;
    await leave();
    if (asked !== asks) {
        return; // for another one meanwhile
    }
    agentNames = new Map();
    events.clear();
    const mine = new Connection(source, {
        state() {
            recording?.state(mine.state);
            drawSoon();
        },
        changed() {
            recording?.changed(mine.region);
            drawSoon();
        },
        event(kind, arg, time) {
            recording?.event(kind, arg, time);
            events.add(kind, arg, time);
            drawSoon();
        },
        note(text) {
            events.addNote(text);
            drawSoon();
        },
    });
    connection = mine;
    drawSoon();
}

async function leave() {
    const left = connection;
    connection = null;
    if (recording) {
        endRecording(left);
    }
    await left?.close();
}

const baudRate = () => Number(byId("baud").value);

async function refreshHost() {
    try {
        boards = await hostBoards();
        hostFault = "";
    } catch (error) {
        hostFault = error.message;
    }
    drawSoon();
}

async function refreshPorts() {
    ports = await knownPorts(baudRate);
    connection?.retry();
    drawSoon();
}

// ---- Snapshots and recordings

async function showSaved(bytes, name) {
    saved = await snapshots.show(bytes, `a saved state of ${name}`);
    tell("A saved state is for looking at: the link has no command that writes one to a board. Its values can be set one by one, or by StateManager.restore.");
}

function endRecording(of) {
    download(`${of.name}-${stamp()}.ndjson`, recording.end(), "application/x-ndjson");
    byId("record").setAttribute("aria-pressed", "false");
    setText(byId("record"), "Record");
    recording = null;
}

onClick("plug", async () => {
    const source = await choosePort(baudRate);
    if (source) {
        await refreshPorts();
        await lookAt(source);
    }
});
onClick("unplug", async () => {
    if (saved) {
        saved = null;
    } else {
        await leave();
    }
});
onClick("save", async () => {
    const bytes = connection.region.snapshot();
    const name = `${connection.name}-${stamp()}.feagi`;
    download(name, [bytes], "application/octet-stream");
    tell(`${name} was downloaded ${await snapshots.keep(bytes)}${connection.isLive ? "" : "; its values were stale"}.`);
});
onClick("load", () => byId("file").click());
onClick("last", async () => {
    const bytes = await snapshots.kept();
    if (!bytes) {
        throw new Error("No state was saved in this browser yet.");
    }
    await showSaved(bytes, "this browser");
});
byId("file").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    target.value = "";
    try {
        await showSaved(new Uint8Array(await file.arrayBuffer()), file.name);
    } catch (error) {
        tell(`${file.name}: ${error.message}`, true);
    }
    drawSoon();
});
onClick("record", () => {
    if (recording) {
        endRecording(connection);
        return;
    }
    const { name, region, state, link } = connection;
    recording = new Recording({ board: name, unix_time: region.unix_time, session: link.hello.boot }, region, state);
    byId("record").setAttribute("aria-pressed", "true");
    setText(byId("record"), "Stop recording");
});

// ---- Start

byId("unserved").remove();
byId("baud").append(...BAUD_RATES.map((rate) => make("option", { textContent: rate })));
byId("plug").disabled = byId("baud").disabled = serialFault() !== "";
themeBy(byId("theme"));
setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", () => !document.hidden && drawSoon());
onPlug(refreshPorts);
if (hasHost) {
    setInterval(() => !document.hidden && refreshHost(), HOST_MS);
    await refreshHost();
}
await refreshPorts();
const offered = hasHost ? boards : ports; // a port that this page may have is perhaps the host's at the moment
if (offered.length === 1) {
    await lookAt(offered[0]);
}
