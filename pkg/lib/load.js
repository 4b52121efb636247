import init, { onPanic } from "../generated/osier.js";
import { WillowError, invalid, trapped } from "./error.js";

let loading;

/**
 * Loads the WebAssembly module once. `source` is a module, its bytes, a Response or a URL; without it the file beside this
 * script is fetched. A failed load can be tried again.
 */
export async function load(source) {
  if (source !== undefined && !isSource(source)) throw invalid("wasm", "expected a WebAssembly.Module, its bytes, a Response or a URL");
  loading ??= instantiate(source).catch((thrown) => {
    loading = undefined;
    throw thrown;
  });
  return loading;
}

function isSource(source) {
  if (typeof source === "string" || source instanceof URL || source instanceof WebAssembly.Module) return true;
  if (typeof Response === "function" && source instanceof Response) return true;
  return source instanceof ArrayBuffer || ArrayBuffer.isView(source);
}

async function instantiate(source) {
  const from = source ?? new URL("../generated/osier_bg.wasm", import.meta.url);
  try {
    await init({ module_or_path: from });
    onPanic(trapped);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new WillowError("wasmLoadFailed", `wasm: the WebAssembly module could not be loaded (${why})`, { argument: "wasm" });
  }
}
