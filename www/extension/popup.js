// The popup: the notes on the page of the current tab, or, opened in a tab of its own, on the page that its address names.
import { $, ask, h, toast } from "./lib/dom.js";
import { Link } from "./link.js";
import { pageOf } from "./page.js";

/** What is being written is kept, for a popup closes as soon as one looks elsewhere. */
const DRAFT = "osier-notes draft: ";
const NO_RELAY = "Without a relay nobody is reached: name one in the settings, or join with a link that does.";

const page = pageOf(new URLSearchParams(location.search).get("page") ?? (await chrome.tabs.query({ active: true, currentWindow: true }))[0]?.url);
const rows = new Map();
let state = { relays: [] };

const link = new Link(page, (message) => (message.type === "state" ? show(message) : showNotes(message.notes)));

function show(next) {
  state = next;
  const { access, problem, relay, storage, connected, unheld } = state;
  const [kind, text] = problem !== undefined ? ["failed", "not started"] : storage === "lost" ? ["failed", "the storage was lost"] : ofRelay(relay);
  $("status").dataset.state = kind;
  $("status").textContent = text;
  $("status").title = relay?.reason ?? "";
  $("notice").textContent = problem ?? (relay?.state === "none" ? NO_RELAY : "");
  $("notice").hidden = $("notice").textContent === "";
  $("start").hidden = access !== undefined || relay === undefined;
  $("space").hidden = $("share").hidden = access === undefined;
  $("share").disabled = relay?.state !== "connected"; // a link says by which relay this browser is reached
  $("leave").hidden = access === undefined;
  $("read-only").hidden = access !== "read";
  $("write").hidden = access !== "write" || page === undefined;
  for (const row of rows.values()) row.allow(access === "write");
  $("peers").textContent = access === undefined ? "" : connected === 0 ? "Nobody is connected" : `${connected} connected`;
  $("only-here").textContent = unheld === 0 ? "" : `${unheld} ${unheld === 1 ? "entry is" : "entries are"} nowhere but here`;
}

function ofRelay(relay) {
  switch (relay?.state) {
    case undefined: return ["connecting", "opening"];
    case "none": return ["failed", "no relay"];
    case "connected": return ["online", "online"];
    case "denied": return ["failed", "the relay refuses"];
    default: return ["connecting", "looking for the relay"];
  }
}

/** Rows stay the same elements as long as their note is there, so that nobody loses what they write in one. */
function showNotes(notes) {
  for (const [id, row] of rows) {
    if (notes.some((note) => note.id === id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  notes.forEach((note, at) => {
    if (!rows.has(note.id)) rows.set(note.id, new Row(state.access === "write"));
    const row = rows.get(note.id);
    row.show(note);
    if ($("notes").children[at] !== row.element) $("notes").insertBefore(row.element, $("notes").children[at] ?? null);
  });
  showEmpty();
}

function showEmpty() {
  $("empty").hidden = rows.size > 0;
  $("empty").textContent = page === undefined ? "There are no notes on pages of this kind." : "No notes on this page yet.";
}

class Row {
  #note;
  #who = h("span", { className: "who" });
  #when = h("time");
  #text = h("p");
  #field = h("textarea", { ariaLabel: "Text of the note" });
  #actions = h("span", { className: "buttons" }, this.#button("Edit", () => this.#edit(true)), this.#button("Delete", () => this.#delete()));
  #editing = h("div", { className: "buttons", hidden: true }, this.#button("Save", () => this.#save()), this.#button("Cancel", () => this.#edit(false)));

  constructor(mayWrite) {
    this.#field.hidden = true;
    this.element = h("li", { className: "note" }, h("header", {}, this.#who, this.#when, this.#actions), this.#text, this.#field, this.#editing);
    this.allow(mayWrite);
  }

  allow(mayWrite) {
    this.#actions.hidden = !mayWrite || !this.#editing.hidden;
  }

  show(note) {
    this.#note = note;
    this.#who.textContent = note.isOwn ? "you" : note.user.slice(0, 6);
    this.#who.title = note.user;
    this.#who.style.setProperty("--hue", String(Number.parseInt(note.user.slice(0, 4), 16) % 360));
    const date = new Date(note.at);
    this.#when.dateTime = date.toISOString();
    this.#when.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    this.#text.textContent = note.text ?? "It has not arrived yet.";
  }

  #button(name, onclick) {
    return h("button", { type: "button", className: "small", onclick }, name);
  }

  #edit(isEditing) {
    this.#text.hidden = isEditing;
    this.#field.hidden = this.#editing.hidden = !isEditing;
    this.allow(state.access === "write");
    if (!isEditing) return;
    this.#field.value = this.#note.text ?? "";
    this.#field.focus();
  }

  async #save() {
    if (this.#field.value.trim() === "") return this.#delete();
    await link.ask({ type: "write", note: this.#note.id, text: this.#field.value }).then(() => this.#edit(false), complain);
  }

  async #delete() {
    if (await ask("Delete this note, for everybody?", "Delete")) await link.ask({ type: "write", note: this.#note.id, text: "" }).catch(complain);
  }
}

const complain = (error) => toast(error.message, true);

/** Ids sort by time; no two people make the same. */
const newId = () => `${new Date().toISOString()} ${crypto.randomUUID().slice(0, 8)}`;

/** Runs what a button or form asks for, which cannot be asked for meanwhile, and says what went wrong. */
async function run(button, work) {
  button.disabled = true;
  await work().catch(complain);
  button.disabled = false;
}

function onSubmit(id, work) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    run(event.submitter ?? $(id).querySelector("button"), work);
  });
}

if (page !== undefined) {
  const draft = DRAFT + page.join(" ");
  const keep = () => ($("draft").value === "" ? localStorage.removeItem(draft) : localStorage.setItem(draft, $("draft").value));
  $("draft").value = localStorage.getItem(draft) ?? "";
  $("draft").addEventListener("input", keep);
  $("draft").addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && $("write").requestSubmit());
  onSubmit("write", async () => {
    const text = $("draft").value;
    if (text.trim() !== "") await link.ask({ type: "write", note: newId(), text });
    $("draft").value = "";
    keep();
  });
  const address = page[1] + page[2];
  $("page").textContent = address.replace(/^https?:\/\//, "");
  $("tab").hidden = location.search !== "";
  $("tab").href = `popup.html?${new URLSearchParams({ page: address })}`;
}
showEmpty();

$("create").addEventListener("click", () => run($("create"), () => link.ask({ type: "create" })));
onSubmit("join", () => link.ask({ type: "join", link: $("link").value }));

async function invite() {
  $("invitation").value = "";
  const access = $("access").value;
  const invitation = await link.ask({ type: "share", access });
  if ($("access").value === access) $("invitation").value = invitation;
}
$("share").addEventListener("click", () => {
  $("share-dialog").showModal();
  invite().catch(complain);
});
$("access").addEventListener("change", () => invite().catch(complain));
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("invitation").value);
    $("share-note").textContent = "Copied. Whoever has this link can join, on every page.";
  } catch {
    $("invitation").select();
    $("share-note").textContent = "Press Ctrl+C to copy.";
  }
});

$("settings").addEventListener("click", () => {
  $("relays").value = state.relays.join("\n");
  $("settings-dialog").showModal();
});
$("close-settings").addEventListener("click", () => $("settings-dialog").close());
onSubmit("relays-form", async () => {
  await link.ask({ type: "setRelays", relays: $("relays").value.split(/\s+/).filter((relay) => relay !== "") });
  $("settings-dialog").close();
});
$("leave").addEventListener("click", async () => {
  if (!(await ask("Leave this space? Its notes are shown again once you join it with a link.", "Leave"))) return;
  $("settings-dialog").close();
  await run($("leave"), () => link.ask({ type: "leave" }));
});
