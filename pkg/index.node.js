// The same as index.js in Node, where a file cannot be fetched. The path is put together in a way that bundlers do not see: what they make
// for servers, which mostly only import the package, has no module then.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { known } from "./lib/load.js";

export * from "./slim.js";

known.beside = () => readFile(join(dirname(fileURLToPath(import.meta.url)), "osier.wasm"));
