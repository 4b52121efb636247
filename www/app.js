// The shared notebook: what an app on top of Osier looks like. Start reading here.
import { WillowNode } from "osier";
import { Backup } from "./lib/backup.js";
import { $, ask, h, toast } from "./lib/dom.js";
import { Editor } from "./lib/editor.js";
import { Files } from "./lib/files.js";
import { List } from "./lib/list.js";
import { Notebook, READ_ONLY } from "./lib/notebook.js";
import { Peers } from "./lib/peers.js";
import { Share, linkFor, readLink } from "./lib/share.js";
import { Storage, warnOf } from "./lib/storage.js";

const DATABASE = "osier-notebook";
/** Where this browser remembers which notebook it is in; the notebook itself is in the node. */
const REMEMBERED = "osier-notebook";

function status(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

/** Opens the node that lasts; where that does not work, asks what to do instead. */
async function openStored(relays) {
  const storage = { indexedDb: DATABASE };
  try {
    return await WillowNode.open({ relays, storage });
  } catch (error) {
    if (error.code === "alreadyOpen") {
      if (!(await ask("This notebook is open in another tab. Go on in this one instead?", "Go on here"))) throw error;
      return WillowNode.open({ relays, storage, lock: "steal" });
    }
    if (error.code !== "storageUnavailable") throw error;
    if (!(await ask("This browser window keeps nothing. Go on, and lose everything when the page is closed?", "Go on"))) throw error;
    return WillowNode.open({ relays, storage: "memory" });
  }
}

async function openNode(relays) {
  const node = await openStored(relays);
  if (relays.length === 0) {
    status("failed", "no relay");
    toast("Without a relay nobody can join. Name one in the address of this page: #relay=https://…", true);
    return node;
  }
  showStatus(node);
  return node;
}

/** Says how the relay stands, as long as the node is open. */
async function showStatus(node) {
  let stored = "ok";
  for await (const { relay, storage } of node.watchStatus()) {
    if (storage.state !== stored) warnOf(storage);
    stored = storage.state;
    if (stored === "lost") status("failed", "the storage was lost");
    else if (relay.state === "connected") status("online", "online");
    else if (relay.state === "denied") status("failed", `the relay refuses: ${relay.reason}`);
    else status("connecting", "looking for the relay");
  }
  status("failed", "shut down");
}

/** Who this is, in which space, on which node. */
function describeYou(notebook) {
  const { node, namespace, user, readOnly } = notebook;
  const rows = [
    ["name", notebook.ownName],
    ["may", readOnly ? "read" : "read and write"],
    ["user", user.slice(0, 16)],
    ["space", namespace.slice(0, 16)],
    ["node", node.id.slice(0, 16)],
  ];
  $("you").replaceChildren(...rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
}

/** The button and Alt+N. */
function onNew(notebook, start) {
  $("new").addEventListener("click", start);
  addEventListener("keydown", (event) => {
    if (!event.altKey || event.code !== "KeyN") return;
    event.preventDefault();
    if (notebook.readOnly) toast(READ_ONLY, true);
    else start();
  });
}

async function showNotebook(node, joined, name, relays, ticket) {
  const notebook = new Notebook(node, joined);
  $("read-only").hidden = !notebook.readOnly;
  $("read-only").textContent = READ_ONLY;
  for (const id of ["new", "files"]) $(id).disabled = notebook.readOnly;
  const select = (text, { shown = false } = {}) => {
    list.mark(text);
    if (!shown) editor.show(text);
  };
  const list = new List(notebook, select);
  const editor = new Editor(notebook, select);
  const peers = new Peers(node);
  const storage = new Storage(node);
  new Backup(notebook);
  new Files(notebook);
  new Share(notebook, relays);
  onNew(notebook, () => select(undefined));
  notebook.addEventListener("names", () => describeYou(notebook));
  describeYou(notebook);
  await notebook.start();
  $("start").hidden = true;
  $("notebook").hidden = false;
  await editor.show(undefined); // before anybody can type
  for (const peer of joined.peers) peers.call(peer);
  if (name !== "" && !notebook.readOnly) await notebook.rename(name).catch((error) => toast(error.message, true));
  const { namespace, user, access, peers: known } = joined;
  remember({ namespace, user, access, peers: known, relays, ticket });
  $("leave").addEventListener("click", () => leave(node, storage));
  globalThis.notebook = notebook; // at hand in the console
}

function remember(notebook) {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(notebook));
  } catch {
    // Private windows may refuse; then the link leads back.
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Back to the first page. What was written stays in the node, if that lasts. */
async function leave(node, storage) {
  if (storage.atRisk && !(await ask("Something is nowhere but here. Leave, and lose it?", "Leave"))) return;
  storage.letGo();
  localStorage.removeItem(REMEMBERED);
  await node.shutdown();
  location.replace(`${location.pathname}#${new URLSearchParams(here.relays.map((relay) => ["relay", relay]))}`);
  location.reload();
}

/** Goes on in the notebook that this browser was in. */
async function resume({ relays, ticket, ...joined }) {
  const node = await openNode(relays);
  const spaces = await node.namespaces();
  if (!spaces.some(({ id }) => id === joined.namespace)) {
    // The browser has deleted its data since.
    await node.shutdown();
    throw new Error("What was kept of the notebook is gone. Join it again with a link.");
  }
  await showNotebook(node, joined, "", relays, ticket);
}

async function create(relays, name) {
  const node = await openNode(relays);
  const user = await node.createUser();
  const namespace = await node.createNamespace({ kind: "owned", owner: user });
  await showNotebook(node, { namespace, user, access: "write", peers: [] }, name, relays);
}

async function join(relays, ticket, name) {
  const node = await openNode(relays);
  try {
    const joined = await node.join(ticket);
    history.replaceState(null, "", linkFor(ticket, relays));
    await showNotebook(node, joined, name, relays, ticket);
  } catch (error) {
    await node.shutdown();
    throw error;
  }
}

/** Runs what a form asks for, once at a time, and says what went wrong. */
function onSubmit(form, run) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...$("start").querySelectorAll("button")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      await run(new FormData(form));
    } catch (error) {
      status("failed", "not started");
      toast(error.message, true);
    }
    buttons.forEach((button) => (button.disabled = false));
  });
}

const here = readLink(location.hash);
const last = remembered();
const isSame = here.ticket === undefined || last?.ticket === here.ticket;
if (last !== undefined && isSame) {
  status("connecting", "opening");
  await resume(here.relays.length > 0 ? { ...last, relays: here.relays } : last).catch((error) => toast(error.message, true));
}
$("start").hidden = !$("notebook").hidden;
if (!$("start").hidden) status("idle", "not started");
if (here.ticket !== undefined) $("join").elements.ticket.value = location.href;
(here.ticket === undefined ? $("create").elements.name : $("join").elements.name).focus();
onSubmit($("create"), (form) => create(here.relays, String(form.get("name")).trim()));
onSubmit($("join"), (form) => {
  const { relays, ticket } = readLink(String(form.get("ticket")));
  if (ticket === undefined) throw new Error("That link carries no ticket.");
  return join(relays.length > 0 ? relays : here.relays, ticket, String(form.get("name")).trim());
});
