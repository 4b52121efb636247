import { $, h } from "./dom.js";
import { bytesText, pathText } from "./text.js";

const REFRESH = 1000; // ms
const KEPT_EVENTS = 60;
const STATES = { connecting: "connecting", establishing: "connecting", active: "connected", terminating: "saying goodbye", waiting: "waiting to try again" };

const CALLS = { dialer: "you called", acceptor: "they called" };

/** The panel of connections: who, in which state, how many bytes each way, and what happens. */
export class Peers {
  #node;
  #seen = "";

  constructor(node) {
    this.#node = node;
    this.#poll();
    this.#incoming();
  }

  /** Follows the events of an intent or an accepted session to its end. */
  async follow(session, label) {
    try {
      for await (const event of session) this.#log(label, event);
    } catch (error) {
      this.#log(label, { type: "error", error });
    }
  }

  async #incoming() {
    for await (const session of this.#node.incoming()) this.follow(session, `from ${session.peer.slice(0, 6)}`);
  }

  async #poll() {
    try {
      for (;;) {
        if (document.visibilityState === "visible") this.#draw(await this.#node.peers());
        await new Promise((resolve) => setTimeout(resolve, REFRESH));
      }
    } catch {
      $("peers").replaceChildren(); // the node was shut down
    }
  }

  #draw(peers) {
    const text = JSON.stringify(peers);
    if (text === this.#seen) return;
    this.#seen = text;
    $("alone").hidden = peers.some((peer) => peer.state === "active");
    $("peers").replaceChildren(...peers.map((peer) =>
      h("li", {},
        h("span", {}, h("span", { className: "peer-id", title: peer.id }, peer.id.slice(0, 10)), " ", h("span", { className: "tag" }, STATES[peer.state] ?? peer.state)),
        h("span", {}, `↑ ${bytesText(peer.bytesSent)}  ↓ ${bytesText(peer.bytesReceived)}`, peer.rtt === null ? "" : `  · ${Math.round(peer.rtt)} ms`),
        h("span", { className: "hint" }, [CALLS[peer.role], peer.relay && `through ${new URL(peer.relay).host}`].filter(Boolean).join(", ")))));
  }

  #log(label, event) {
    const now = new Date();
    const line = h("li", { className: event.type === "error" ? "bad" : "" }, h("time", { dateTime: now.toISOString() }, now.toLocaleTimeString()), `${label}: ${describe(event)}`);
    const newest = $("events").firstElementChild;
    if (event.type === "progress" && newest?.dataset.label === label && newest.dataset.type === "progress") newest.remove();
    line.dataset.label = label;
    line.dataset.type = event.type;
    $("events").prepend(line);
    while ($("events").childElementCount > KEPT_EVENTS) $("events").lastElementChild.remove();
  }
}

function describe(event) {
  switch (event.type) {
    case "overlap":
    case "reconciled":
      return `${event.type} ${event.namespace.slice(0, 6)}${event.area.path.length > 0 ? ` /${pathText(event.area.path)}` : ""}`;
    case "progress":
      return `${event.entriesSent} ${event.entriesSent === 1 ? "entry" : "entries"} sent, ${event.entriesReceived} received`;
    case "payload":
      return `payload ${pathText(event.entry.path)} ${bytesText(event.received)} of ${bytesText(event.total)}`;
    case "ended":
      return `ended: ${event.completion.outcome}`;
    case "error":
      return `${event.error.code}: ${event.error.message}`;
    default:
      return event.type;
  }
}
