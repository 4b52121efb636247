// The whole runtime, without a WebAssembly module: what libraries import. `WillowNode.open` takes the module from the option `wasm`, or
// from another entry that the app imports. Importing it has no side effect and needs no browser global.
export { WillowNode } from "./lib/node.js";
export { Intent } from "./lib/intent.js";
export { IncomingSession } from "./lib/incoming.js";
export { WillowError } from "./lib/error.js";
export { dateFromTimestamp, timestampFromDate } from "./lib/time.js";
export { liveEntries, liveEntry, livePayload } from "./lib/live-entries.js";
export { livePeers, liveStatus, liveSync } from "./lib/live-node.js";
