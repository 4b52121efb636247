// What runs in a worker, bundled into one classic script: shared, it serves every page that connects; dedicated, it serves those that knock,
// while the page that started it may run the node.
import { RawNode } from "../../generated/osier.js";
import { onTrap } from "../error.js";
import { load } from "../load.js";
import { VERSION } from "../version.js";
import { namedChannel, portChannel } from "./channel.js";
import { roomOf } from "./elected.js";
import { Host } from "./serve.js";

/** Whether the storage is taken from whoever has it. */
let takes = false;

/** Where pages knock, if this is a dedicated worker that runs the node. */
let lobby;

const host = new Host(VERSION, async (options, accept, onProgress, wasm) => {
  await load(wasm);
  return RawNode.open(takes ? { ...options, lock: "steal" } : options, accept, onProgress, new Promise(() => {}));
});

if ("onconnect" in globalThis) {
  globalThis.onconnect = ({ ports: [port] }) => host.connect(portChannel(port));
  onTrap((message) => {
    host.fail(message);
    close();
  });
} else {
  const commands = {
    run({ lobby: name, takes: isTaken }) {
      takes = isTaken;
      const id = crypto.randomUUID();
      const met = new Set();
      lobby = new BroadcastChannel(name);
      lobby.onmessage = ({ data }) => {
        if (data.type !== "knock") return;
        if (!met.has(data.name)) host.connect(namedChannel(roomOf(name, data.name, id), "host"));
        met.add(data.name);
        lobby.postMessage({ type: "here", name: data.name, host: id });
      };
      lobby.postMessage({ type: "host", host: id });
    },
    async stop() {
      lobby?.close();
      await host.close();
      postMessage({ type: "stopped" });
    },
  };
  globalThis.onmessage = ({ data }) => commands[data.type](data);
  onTrap((message) => {
    host.fail(message);
    // When the pages have been told.
    setTimeout(() => postMessage({ type: "fatal" }));
  });
}
