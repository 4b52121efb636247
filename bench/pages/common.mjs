// What the measures share, in pages and workers; a worker resolves no import map.
import { WillowNode } from "/osier/index.js";
import initOsier from "/osier/generated/osier.js";

/** The middle of the values. */
export const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

/** How many milliseconds `work` takes. */
export async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Bytes of the heap of the shipped module. */
export const osierHeap = async () => (await initOsier()).memory.buffer.byteLength;

/** A node with a space of its own, and one that joined it and syncs live. */
export async function pair(relay, storages = ["memory", "memory"]) {
  const [a, b] = await Promise.all(storages.map((storage) => WillowNode.open({ relays: [relay], storage, host: "page" })));
  const user = await a.createUser();
  const namespace = await a.createNamespace({ kind: "owned", owner: user });
  await Promise.all([a.online(), b.online()]);
  const ticket = await a.share({ namespace, access: "write" });
  const close = () => Promise.all([a.shutdown(), b.shutdown()]);
  return { a, b, user, namespace, ticket, close };
}

/** Resolves when `node` has all of the payload of the entry at `path`. */
export async function payloadArrives(node, namespace, path) {
  for await (const event of node.subscribe(namespace, { path })) {
    if (event.type === "inserted" && event.entry.available === event.entry.length) return;
    if (event.type === "payload" && event.available === event.total) return;
  }
}

/** The result of a request of IndexedDB. */
export const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("the database is open elsewhere"));
  });

/** A node with a space of so many small entries by one author; `sync` brings them to a node with fresh storage, and takes so many ms. */
export async function manyEntries(relay, count) {
  const { a, b, user, namespace, ticket, close } = await pair(relay);
  await b.shutdown();
  for (let index = 0; index < count; index += 1) {
    await a.set(namespace, { user, path: ["small", String(index)], payload: `the payload of entry ${index}` });
  }
  const sync = async (storage) => {
    const fresh = await WillowNode.open({ relays: [relay], storage, host: "page" });
    await fresh.online();
    const joined = await fresh.join(ticket);
    const took = await timed(() => fresh.sync(joined.peers[0], { mode: "once" }).completed);
    let complete = 0;
    for await (const entry of fresh.entries(namespace)) complete += entry.available === entry.length ? 1 : 0;
    if (complete !== count) throw new Error(`${complete} of ${count} entries arrived`);
    await fresh.shutdown();
    return took;
  };
  return { sync, close };
}

/** A worker with nodes of its own, in a module of its own; `ask` calls one of its commands. */
export async function startWorker() {
  const worker = new Worker("/bench/worker.mjs", { type: "module" });
  const answer = () =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { value, error } }) => (error === undefined ? resolve(value) : reject(new Error(error)));
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  const ask = (call, ...values) => {
    const answered = answer();
    worker.postMessage({ call, values });
    return answered;
  };
  await answer();
  return { ask, kill: () => worker.terminate() };
}
