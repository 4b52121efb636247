// The runtime, and the module in a file beside this one. It is loaded by the first `WillowNode.open`, not by the import.
import { known } from "./lib/load.js";

export * from "./slim.js";

// Literally so: bundlers look for it.
known.worker = () => new URL("./worker.js", import.meta.url);
known.beside = () => new URL("./osier.wasm", import.meta.url);
