// A node in a dedicated or a shared worker, driven by messages `{ call, argument }`; each is answered with `{ value }` or `{ error }`.
import { WillowError, WillowNode } from "/osier/index.js";

let node, space, user, intent;

const commands = {
  async open(relay) {
    node = await WillowNode.open({ relays: [relay], storage: "memory" });
    await node.online();
    return node.id;
  },
  async create() {
    user = await node.createUser();
    space = await node.createNamespace({ kind: "owned", owner: user });
    return node.share({ namespace: space, access: "write" });
  },
  async join(ticket) {
    const joined = await node.join(ticket);
    ({ namespace: space, user } = joined);
    intent = node.sync(joined.peers[0], { mode: "live" });
    for await (const event of intent) if (event.type === "reconciledAll") return joined.peers[0].id;
    throw await intent.completed.catch((error) => error);
  },
  async write([path, text]) {
    await node.set(space, { user, path, payload: new Blob([text]) });
  },
  /** Waits for a path of whomever, and returns its text. */
  async text(path) {
    for (;;) {
      for await (const entry of node.entries(space)) {
        if (entry.path.join("/") === path && entry.available === entry.length) return new TextDecoder().decode(await node.payload(entry));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  async fail() {
    await node.get("no namespace", user, []);
  },
  shutdown: () => node.shutdown(),
};

function serve(port) {
  port.onmessage = async ({ data: { call, argument } }) => {
    try {
      port.postMessage({ value: await commands[call](argument) });
    } catch (error) {
      port.postMessage({ error: WillowError.from(error).toJSON() });
    }
  };
  port.postMessage({ value: "ready" });
}

if ("onconnect" in self) self.onconnect = ({ ports: [port] }) => serve(port);
else serve(self);
