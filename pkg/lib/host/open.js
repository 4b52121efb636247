import { WillowError, invalid } from "../error.js";
import { known } from "../load.js";
import { VERSION } from "../version.js";
import { electedWorker } from "./elected.js";
import { remoteNode } from "./objects.js";
import { Link } from "./remote.js";
import { sharedWorker } from "./shared.js";

const HOSTS = ["auto", "shared", "worker", "page"];

/** How long a worker may take to start, in milliseconds. */
const STARTING = 20_000;

/** Where a node may run that is opened with these options, the best place first. */
export function placesFor({ host = "auto", worker }, { storage }) {
  if (!HOSTS.includes(host)) throw invalid("host", `expected ${HOSTS.map((name) => `"${name}"`).join(", ")}`);
  if (worker !== undefined && typeof worker !== "string" && !(worker instanceof URL)) throw invalid("worker", "expected a URL");
  if (host !== "auto") return [host];
  // A worker is no place to start another from, and memory is of one page.
  const isPage = typeof document === "object" && storage !== "memory";
  if (!isPage || (worker ?? known.worker) === undefined) return ["page"];
  return ["shared", "worker", "page"].filter(isPossible);
}

function isPossible(place) {
  if (place === "page") return true;
  if (globalThis.navigator?.locks === undefined) return false;
  return place === "shared" ? typeof SharedWorker === "function" : typeof document === "object" && typeof Worker === "function" && typeof BroadcastChannel === "function";
}

/** Opens a node in a worker. `own` are the options that the module does not get, `rest` those that it does. */
export async function openIn(place, own, rest, accept) {
  const url = own.worker ?? known.worker?.();
  if (url === undefined) throw invalid("worker", "osier/slim knows no worker: give its address, or have the app import `osier`");
  if (!isPossible(place)) throw new WillowError("hostFailed", `there is no host of the kind "${place}" here`);
  const key = rest.storage === "memory" ? `memory ${crypto.randomUUID()}` : `database ${rest.storage?.indexedDb ?? "osier"}`;
  const hosts = place === "shared" ? sharedWorker(String(url)) : electedWorker(key, String(url));
  const wasm = await portable(own.wasm ?? (await (known.inline ?? known.beside)?.()), place);
  const opening = () => ({ key, options: rest, wasm, hasAccept: accept !== undefined, hasProgress: own.onProgress !== undefined });
  const link = new Link(hosts, opening, { accept, onProgress: own.onProgress }, VERSION, rest.storage !== "memory");
  hosts.follow?.(link);
  try {
    await link.start(STARTING);
  } catch (thrown) {
    await link.leave();
    throw thrown;
  }
  return remoteNode(link);
}

/** A source of the module that can be sent there. */
async function portable(source, place) {
  if (source === undefined) return undefined;
  if (source instanceof URL || typeof source === "string") return new URL(source, globalThis.location?.href).href;
  if (typeof Response === "function" && source instanceof Response) return source.arrayBuffer();
  if (place === "shared" && source instanceof WebAssembly.Module) {
    throw invalid("wasm", "a shared worker cannot be given a compiled module: give its bytes or its address");
  }
  return source;
}
