import { $, h, toast } from "./dom.js";
import { bytesText, pathText } from "./text.js";

const REFRESH = 1000; // ms
const KEPT_EVENTS = 60;
const STATES = { connecting: "connecting", establishing: "connecting", active: "connected", terminating: "saying goodbye", waiting: "waiting" };
const CALLS = { dialer: "you called", acceptor: "they called" };

/** The panel of connections: who, in which state, how many bytes each way, and what happens. */
export class Peers {
  #node;
  #addresses = new Map();
  #rows = new Map();
  #losses = new Map();

  constructor(node) {
    this.#node = node;
    this.#poll();
    this.#watch();
    this.#incoming();
  }

  /** Keeps a live session with a peer: the node dials again by itself, until it is told to disconnect. */
  call(address) {
    this.#addresses.set(address.id, address);
    this.#follow(this.#node.sync(address, { mode: "live" }), `to ${address.id.slice(0, 6)}`);
    this.#refresh();
  }

  /** Follows the events of an intent or an accepted session to its end. */
  async #follow(session, label) {
    try {
      for await (const event of session) this.#log(label, event);
    } catch (error) {
      this.#log(label, { type: "error", error });
    }
  }

  async #incoming() {
    for await (const session of this.#node.incoming()) this.#follow(session, `from ${session.peer.slice(0, 6)}`);
  }

  /** Changes of state are seen at once, ... */
  async #watch() {
    for await (const { type, id, reason } of this.#node.watchPeers()) {
      if (type === "closed") this.#losses.set(id, reason);
      if (type !== "present") await this.#refresh();
    }
  }

  /** ... countdowns and bytes every second. */
  async #poll() {
    while (await this.#refresh()) await new Promise((resolve) => setTimeout(resolve, REFRESH));
  }

  /** False when the node was shut down. */
  async #refresh() {
    try {
      const present = await this.#node.peers();
      const absent = [...this.#addresses.keys()].filter((id) => present.every((peer) => peer.id !== id));
      this.#draw([...present, ...absent.map((id) => ({ id }))]);
      return true;
    } catch {
      this.#draw([]);
      return false;
    }
  }

  /** Rows stay the same elements as long as their peer is there, so that nobody loses the button under their finger. */
  #draw(peers) {
    $("alone").hidden = peers.some((peer) => peer.state === "active");
    for (const [id, row] of this.#rows) {
      if (peers.some((peer) => peer.id === id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const peer of peers) {
      if (!this.#rows.has(peer.id)) {
        const row = new Row(peer.id, (isThere) => this.#toggle(peer.id, isThere));
        this.#rows.set(peer.id, row);
        $("peers").append(row.element);
      }
      this.#rows.get(peer.id).show(peer, this.#losses.get(peer.id) ?? "");
    }
  }

  async #toggle(id, isThere) {
    if (!isThere) return this.call(this.#addresses.get(id));
    await this.#node.disconnect(id).catch((error) => toast(error.message, true));
    return this.#refresh();
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

/** One peer: its state, its traffic, and a button that disconnects it or calls it again. */
class Row {
  #isThere = true;
  #tag = h("span", { className: "tag" });
  #traffic = h("span");
  #way = h("span", { className: "hint" });
  #button;

  constructor(id, toggle) {
    this.name = id.slice(0, 10);
    this.#button = h("button", { type: "button", className: "small", onclick: () => toggle(this.#isThere) });
    const head = h("span", { className: "peer-head" }, h("span", { className: "peer-id", title: id }, this.name), " ", this.#tag);
    this.element = h("li", {}, head, h("span", { className: "peer-facts" }, this.#traffic, this.#way), this.#button);
  }

  /** A peer without a state is one that was called once, and is not now. `loss`: why the last connection with it ended. */
  show({ state, role, relay, rtt, bytesSent, bytesReceived, retry }, loss) {
    this.#isThere = state !== undefined;
    write(this.#button, this.#isThere ? "Disconnect" : "Connect");
    this.#button.setAttribute("aria-label", `${this.#button.textContent} ${this.name}`);
    write(this.#tag, state === "waiting" ? waiting(retry) : STATES[state] ?? "not connected");
    this.#tag.dataset.state = state ?? "absent";
    const isConnected = relay !== undefined && relay !== null;
    write(this.#traffic, isConnected ? `↑ ${bytesText(bytesSent)}  ↓ ${bytesText(bytesReceived)}${rtt === null ? "" : `  · ${Math.round(rtt)} ms`}` : "");
    write(this.#way, isConnected ? [CALLS[role], `through ${new URL(relay).host}`].filter(Boolean).join(", ") : loss);
  }
}

function waiting(retry) {
  return retry === null ? "waits for the network" : `tries again in ${Math.ceil(retry / 1000)} s`;
}

/** Changes a text only if it is another one, so that a selection in it survives. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
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
    case "disconnected":
      return `disconnected: ${event.cause.message}`;
    case "reconnecting":
      return waiting(event.retry);
    case "ended":
      return `ended: ${event.completion.outcome}`;
    case "error":
      return `${event.error.code}: ${event.error.message}`;
    default:
      return event.type;
  }
}
