import init, { onPanic } from "../generated/osier.js";
import { WillowError, invalid, trapped } from "./error.js";

/**
 * Where the module is, as the entries that were imported know it: functions that return a source, or a promise of one. What is `inline`
 * needs no network and goes first; what is `beside` is a file of the package. `worker` gives the address of the script for workers.
 */
export const known = {};

let loading;

/**
 * Loads the WebAssembly module once. `source` is a module, its bytes, a Response or a URL; without it an entry must know one. A failed load
 * can be tried again.
 */
export async function load(source) {
  if (source !== undefined && !isSource(source)) throw invalid("wasm", "expected a WebAssembly.Module, its bytes, a Response or a URL");
  loading ??= instantiate(source).catch((thrown) => {
    loading = undefined;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new WillowError("wasmLoadFailed", `wasm: the WebAssembly module could not be loaded (${why})`, { argument: "wasm" });
  });
  return loading;
}

function isSource(source) {
  if (isAddress(source) || isResponse(source) || source instanceof WebAssembly.Module) return true;
  return source instanceof ArrayBuffer || ArrayBuffer.isView(source);
}

const isAddress = (source) => typeof source === "string" || source instanceof URL;
const isResponse = (source) => typeof Response === "function" && source instanceof Response;

async function instantiate(source) {
  const from = source ?? (await (known.inline ?? known.beside)?.());
  if (from === undefined) throw new Error("osier/slim has none: give the option `wasm`, or have the app import `osier` or `osier/inline`");
  const response = isAddress(from) ? await fetch(from) : from;
  await init({ module_or_path: isResponse(response) ? await compile(response) : response });
  onPanic(trapped);
}

/** Compiles what arrives as it arrives, if the server says that it is WebAssembly: browsers insist. Otherwise when all of it is there. */
async function compile(response) {
  if (!response.ok) throw new Error(`${response.url} was answered with the status ${response.status}`);
  const type = response.headers.get("content-type")?.trim().toLowerCase();
  if (type === "application/wasm" && WebAssembly.compileStreaming) return WebAssembly.compileStreaming(response);
  const bytes = await response.arrayBuffer();
  return WebAssembly.compile(bytes).catch((thrown) => Promise.reject(new Error(`${response.url || "the response"}, of the type ${type}: ${thrown.message}`)));
}
