// The package's main entry. Importing it has no side effect and needs no browser global: the WebAssembly module is
// loaded by the first `WillowNode.open`.
export { WillowNode } from "./lib/node.js";
export { Intent } from "./lib/intent.js";
export { IncomingSession } from "./lib/incoming.js";
export { WillowError } from "./lib/error.js";
export { dateFromTimestamp, timestampFromDate } from "./lib/time.js";
export { liveEntries, liveEntry, livePayload } from "./lib/live-entries.js";
export { livePeers, liveStatus, liveSync } from "./lib/live-node.js";
