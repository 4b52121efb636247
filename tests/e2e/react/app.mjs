// The page's half of the tests of `osier/react`: small apps, mounted in strict mode. What tests call is on `globalThis.app`.
import { StrictMode, createElement as h, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { OsierProvider, useEntries, useEntry, useNode, usePayload, usePeers, useStatus, useSync } from "osier/react";

const line = (name, value) => h("p", { id: name }, value);
const show = ({ status, error }) => (status === "error" ? `error ${error.code}` : status);

/** Joins by a link, stays in sync, and shows what there is. */
function Guest({ link }) {
  const { value: node } = useNode();
  const [place, setPlace] = useState();
  useEffect(() => void node?.join(link).then(setPlace), [node, link]);
  const sync = useSync(place?.peers[0]);
  const peers = usePeers();
  const status = useStatus();
  app.syncs.add(sync.status);
  return h("main", null, [
    line("sync", `${show(sync)} ${sync.progress.entriesReceived > 0 ? "some" : "none"}`),
    line("peers", `${show(peers)} ${(peers.value ?? []).map(({ state }) => state).join(" ")}`),
    line("status", `${show(status)} ${status.value?.relay.state}`),
    place && h(Notes, { namespace: place.namespace, user: place.user }),
  ].map((child, key) => h("div", { key }, child)));
}

function Notes({ namespace, user, area = { path: ["notes"] }, options }) {
  app.renders += 1;
  const notes = useEntries(namespace, area, options);
  app.lists.add(notes);
  const own = useEntry(namespace, user, ["notes", "own"]);
  const items = (notes.value ?? []).map((entry) => h(Note, { key: entry.user + entry.path.join("/"), entry }));
  return h("section", null, line("notes", show(notes)), line("own", `${show(own)} ${own.value?.length}`), h("ul", null, items));
}

function Note({ entry }) {
  const text = usePayload(entry, { as: "text" });
  return h("li", null, `${entry.path.at(-1)}: ${show(text)} ${text.value?.length > 100 ? text.value.length : text.value}`);
}

function One({ namespace, entry }) {
  return h("div", null, line("notes", show(useEntries(namespace))), line("payload", show(usePayload(entry, { as: "bytes" }))));
}

function Sync({ peer, init }) {
  const state = useSync(peer, init);
  return line("sync", `${show(state)} ${state.completion?.outcome} ${state.progress.entriesReceived}`);
}

function Orphan() {
  useNode();
}

const apps = { Guest, Notes, One, Sync };
let root;

globalThis.app = {
  renders: 0,
  /** Every state that a list had, and every status of a sync. */
  lists: new Set(),
  syncs: new Set(),
  mount(name, props, provider) {
    root = createRoot(document.body.appendChild(document.createElement("div")));
    const fallback = (state) => line("fallback", show(state));
    root.render(h(StrictMode, null, h(OsierProvider, { fallback, ...provider }, h(apps[name], props))));
  },
  unmount() {
    root.unmount();
    Object.assign(this, { renders: 0, lists: new Set(), syncs: new Set() });
  },
  text: (id) => document.getElementById(id)?.textContent,
  items: () => [...document.querySelectorAll("li")].map((item) => item.textContent),
  /** What a component without a provider above throws. */
  orphan: () =>
    new Promise((resolve) => {
      const onUncaughtError = (error) => resolve(error);
      createRoot(document.createElement("div"), { onUncaughtError }).render(h(Orphan));
    }),
};
