// Nodes in a worker, which can be killed without a word: called by messages `{ call, values }`, each answered with `{ value }` or `{ error }`.
// A worker resolves no import map.
import { WillowNode } from "/osier/index.js";
import initIroh, { RawPeer } from "/modules/iroh/bench_iroh.js";
import { osierHeap, settled } from "./common.mjs";

const held = [];

async function join(relay, ticket, options) {
  const node = await WillowNode.open({ relays: [relay], storage: "memory", ...options });
  await node.online();
  held.push(node);
  return { node, ...(await node.join(ticket)) };
}

const commands = {
  /** A node with something to tell; `dials`: it asks for the session, too. */
  async partner(relay, ticket, secretKey, dials) {
    const { node, namespace, user, peers } = await join(relay, ticket, { secretKey });
    await node.set(namespace, { user, path: ["hello"], payload: "I am here" });
    if (dials) node.sync(peers[0], { mode: "live" });
    return node.id;
  },
  /** So many nodes that have everything and stay. */
  async peers(relay, ticket, count) {
    for (let index = 0; index < count; index += 1) {
      const { node, peers } = await join(relay, ticket);
      for await (const { type } of node.sync(peers[0], { mode: "live" })) if (type === "reconciledAll") break;
    }
  },
  /** Reads the rows of a database, in parts and in order: ms. */
  async readStored(name, count) {
    const began = performance.now();
    const database = await settled(indexedDB.open(name));
    let [read, last] = [0, undefined];
    for (;;) {
      const behind = last && IDBKeyRange.lowerBound(last.slice(0, 32), true); // a row begins with its key
      const rows = await settled(database.transaction("entries").objectStore("entries").getAll(behind, 2_000));
      read += rows.length;
      last = rows.at(-1);
      if (rows.length < 2_000) break;
    }
    const took = performance.now() - began;
    database.close();
    if (read !== count) throw new Error(`${read} of ${count} rows were read`);
    return took;
  },
  /** A node with stored entries, from `open` to its first entry: ms, what its heap grew by, and how many entries it has. */
  async openStored(relay, name, namespace) {
    await (await WillowNode.open({ relays: [relay], storage: "memory" })).shutdown(); // the module is loaded
    const before = await osierHeap();
    const began = performance.now();
    const node = await WillowNode.open({ relays: [relay], storage: { indexedDb: name }, host: "page" });
    for await (const _ of node.entries(namespace, {}, { limit: 1 })) break;
    const took = performance.now() - began;
    const { entries } = await node.storage();
    const grown = (await osierHeap()) - before;
    await node.shutdown();
    return { took, heap: grown, entries };
  },
  /** So many raw endpoints with a connection each. */
  async rawPeers(relay, hub, count) {
    await initIroh();
    for (let index = 0; index < count; index += 1) held.push(await RawPeer.open(relay, hub));
  },
};

onmessage = async ({ data: { call, values } }) => {
  try {
    postMessage({ value: await commands[call](...values) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
postMessage({ value: "ready" });
