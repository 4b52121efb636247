// The document in which the node lives: an offscreen document in Chromium, the background page in Firefox. Popups come and go; each says
// through a port what it wants, and hears what changes. The messages stand in messages.d.ts.
import { WillowNode, livePeers, liveStatus } from "./osier/index.js";
import { Notes } from "./notes.js";

/** Under this name it is remembered which space this is, and by which relays it is reached; the notes are in the node. */
const REMEMBERED = "osier-notes";
/** A node that broke is opened again after so many milliseconds: not at once, lest one that always breaks keeps the machine busy. */
const RESTART_AFTER = 3000;

let { relays = [], joined } = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}");
let problem, status, peers, notes;
const popups = new Set();

const opened = open();
opened.catch((error) => {
  problem = error.message;
  tellAll();
});

async function open() {
  const node = await WillowNode.open({ relays, storage: { indexedDb: REMEMBERED }, host: "page" });
  [status, peers] = [liveStatus(node), livePeers(node)];
  status.subscribe(() => {
    const { value, error } = status.getSnapshot();
    if (error !== undefined || value?.storage.state === "lost") setTimeout(() => location.reload(), RESTART_AFTER);
    tellAll();
  });
  peers.subscribe(tellAll);
  if (joined !== undefined) enter(node);
  return node;
}

/** Goes into the space: its peers are called, and called again whenever they are lost; the popups see its notes. */
function enter(node) {
  notes = new Notes(node, joined);
  for (const peer of joined.peers) node.sync(peer, { mode: "live" });
  for (const popup of popups) popup.follow();
  tellAll();
}

function remember(changes) {
  ({ relays, joined } = { relays, joined, ...changes });
  localStorage.setItem(REMEMBERED, JSON.stringify({ relays, joined }));
}

/** Begins anew with what has changed. Nothing is answered any more: the popups lose their ports, and ask the next document. */
async function restart(changes) {
  remember(changes);
  await opened.then((node) => node.shutdown(), () => {});
  location.reload();
  return new Promise(() => {});
}

/**
 * What popups ask for. Each may be asked twice, if what was asked first was lost with its answer.
 * @type {import("./messages").Commands<Popup>}
 */
const commands = {
  async create() {
    const node = await opened;
    if (joined !== undefined) return;
    const owner = await node.createUser();
    const namespace = await node.createNamespace({ kind: "owned", owner });
    remember({ joined: { namespace, user: owner, access: "write", peers: [] } });
    enter(node);
  },

  async join({ link }) {
    const invitation = readLink(link);
    if (relays.length === 0 && invitation.relays.length > 0) return restart({ relays: invitation.relays });
    const node = await opened;
    const { namespace, user, access, peers } = await node.join(invitation.ticket);
    remember({ joined: { namespace, user, access, peers } });
    enter(node);
  },

  async share({ access }) {
    const node = await opened;
    const fragment = new URLSearchParams(relays.map((relay) => ["relay", relay]));
    fragment.set("ticket", await node.share({ namespace: joined.namespace, access }));
    return `osier-notes:#${fragment}`;
  },

  async write({ note, text }, popup) {
    await opened;
    await notes.write(popup.page, note, text);
  },

  async leave() {
    if (joined !== undefined) await restart({ joined: undefined });
  },

  async setRelays({ relays: wanted }) {
    if (JSON.stringify(wanted) !== JSON.stringify(relays)) await restart({ relays: wanted });
  },
};

/** Relays and ticket out of a link, of this extension or of the notebook, or a bare ticket. */
function readLink(text) {
  const hash = text.indexOf("#");
  if (hash < 0) return { relays: [], ticket: text.trim() };
  const fragment = new URLSearchParams(text.trim().slice(hash + 1));
  return { relays: fragment.getAll("relay"), ticket: fragment.get("ticket") ?? "" };
}

function state() {
  const { relay, storage } = status?.getSnapshot().value ?? {};
  const connected = (peers?.getSnapshot().value ?? []).filter((peer) => peer.state === "active").length;
  return { type: "state", relays, access: joined?.access, relay, connected, unheld: storage?.unheld ?? 0, storage: storage?.state, problem };
}

function tellAll() {
  for (const popup of popups) popup.tell(state());
}

/** One popup, at the other end of a port. */
class Popup {
  #port;
  #unfollow = () => {};

  constructor(port) {
    this.#port = port;
    popups.add(this);
    port.onDisconnect.addListener(() => {
      popups.delete(this);
      this.#unfollow();
    });
    port.onMessage.addListener((message) => this.#hear(message));
    this.tell(state());
  }

  tell(message) {
    if (popups.has(this)) this.#port.postMessage(message);
  }

  /** Tells the notes of the popup's page, now and whenever they change. */
  follow() {
    this.#unfollow();
    if (notes === undefined || this.page === undefined) return;
    this.#unfollow = notes.follow(this.page, (list) => this.tell({ type: "notes", notes: list }));
  }

  /** @param {import("./messages").ToNode} message */
  async #hear(message) {
    if (message.type === "page") {
      this.page = message.page;
      return this.follow();
    }
    const { id } = message;
    try {
      this.tell({ type: "answer", id, value: await /** @type {any} */ (commands)[message.type](message, this) });
    } catch ({ code, message: text }) {
      this.tell({ type: "answer", id, error: { code, message: text } });
    }
  }
}

chrome.runtime.onConnect.addListener((port) => new Popup(port));
chrome.runtime.onStartup?.addListener(() => {}); // has Firefox load its background page when it starts
