// What the page says while there is nothing to show: how to connect, and where this browser or this address is in the way.
import { byId, make } from "./dom.js";

const serve = () => make("kbd", { textContent: "feagi-state serve PORT --http" });
const p = (...parts) => make("p", {}, ...parts);

const TEXTS = {
    "": () => [
        make("h1", { textContent: "No board yet" }),
        p("Plug a board in, press ", make("strong", { textContent: "Connect a board…" }), " and choose its port. The program on it goes on running: it serves the link, and this page listens."),
        p("A port has one reader at a time. Where other programs want the state as well, run ", serve(), " and open the address that it prints: that host shares the board with all of them."),
    ],
    insecure: () => [
        make("h1", { textContent: "This address is not secure, so the browser keeps serial ports from it" }),
        p(`Browsers let pages use serial ports from https, localhost and 127.0.0.1 only. This page came from ${location.origin}.`),
        p("Open it as http://127.0.0.1 with the same port number on the machine that serves it, or bring that port here with ", make("kbd", { textContent: "ssh -L PORT:127.0.0.1:PORT HOST" }), "."),
        p("A board that is on a host needs none of this: run ", serve(), " there and open the address that it prints."),
    ],
    unsupported: () => [
        make("h1", { textContent: "This browser has no Web Serial" }),
        p("Chrome, Edge and other browsers made of Chromium have it, on computers. In this one a board is reached through a host: run ", serve(), " and open the address that it prints, token and all."),
    ],
};

/** Shows what helps, for a fault of `serialFault()`, and what is wrong with the host, if anything is. */
export function showNotice(fault, hostFault) {
    const told = hostFault ? [make("h1", { textContent: "The host does not answer" }), p(hostFault, ". Start it again with ", serve(), " and open the address that it prints.")] : TEXTS[fault]();
    const text = told.map(({ textContent }) => textContent).join("");
    const place = byId("notice");
    if (place.textContent !== text || place.hidden) {
        place.replaceChildren(...told);
    }
    place.hidden = false;
}
