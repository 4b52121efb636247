// Nodes in a worker, which can be killed without a word: called by messages `{ call, values }`, each answered with `{ value }` or `{ error }`.
// A worker resolves no import map.
import { WillowNode } from "/osier/index.js";
import initIroh, { RawPeer } from "/modules/iroh/bench_iroh.js";

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
