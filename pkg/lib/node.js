import { RawNode } from "../generated/osier.js";
import { abortable, checkSignal, throwIfAborted } from "./abort.js";
import { acceptHandler } from "./accept.js";
import { breathe } from "./breathe.js";
import { dropStream, readDrop } from "./drop.js";
import { WillowError, guarded, invalid, shuttingDown } from "./error.js";
import { openIn, placesFor } from "./host/open.js";
import { IncomingSession } from "./incoming.js";
import { Intent, failedIntent } from "./intent.js";
import { Iteration, mapped } from "./iterate.js";
import { followPage } from "./lifecycle.js";
import { load } from "./load.js";
import { split } from "./options.js";
import { bytesOf, payloadStream, writePayload } from "./payload.js";
import { intentSet } from "./set.js";

/** What `get`, `entries` and `set` return names a payload; so does anything with the same three fields. */
function keyOf(entry) {
  if (entry === null || typeof entry !== "object") throw invalid("entry", "expected an entry");
  const { namespace, user, path } = entry;
  return { namespace, user, path };
}

/** Says that `WillowNode.open` makes a node, and nobody else. */
const OPENED = Symbol("opened");

/** A Willow node: its store, its keys and its connections. See index.d.ts for the contract of every method. */
export class WillowNode {
  #raw;
  #id;
  #host;
  #over = false;
  #leavePage;

  /** @internal Use `WillowNode.open`. */
  constructor(raw, host, opened) {
    if (opened !== OPENED) throw new WillowError("invalidArgument", "use WillowNode.open()");
    this.#raw = raw;
    this.#id = raw.id;
    this.#host = host;
    this.#leavePage = followPage(
      (state) => {
        try {
          raw.notify(state);
        } catch {
          // The module trapped; whoever uses the node next is told so.
        }
      },
      () => this.shutdown().catch(() => {}),
    );
  }

  static async open(options) {
    return guarded(async () => {
      const [own, rest] = split(options, "options", "accept", "onProgress", "signal", "wasm", "host", "worker");
      const accept = acceptHandler(own.accept);
      checkProgress(own.onProgress);
      throwIfAborted(own.signal);
      const places = placesFor(own, rest);
      for (const place of places) {
        try {
          const raw = await openAt(place, own, rest, accept);
          return new WillowNode(raw, place, OPENED);
        } catch (thrown) {
          if (thrown?.code !== "hostFailed" || place === places.at(-1)) throw thrown;
          console.warn(`osier: the node cannot run in a worker of the kind "${place}" (${thrown.message})`);
        }
      }
      return undefined;
    });
  }

  get id() {
    return this.#id;
  }

  get host() {
    return this.#host;
  }

  online(signal) {
    return guarded(() => abortable(checkSignal(signal), this.#raw.online()));
  }

  address() {
    try {
      return this.#raw.address();
    } catch (thrown) {
      throw WillowError.from(thrown);
    }
  }

  peers() {
    return guarded(() => this.#raw.peers());
  }

  watchPeers(signal) {
    return this.#follow(() => [this.#raw.watchPeers(), checkSignal(signal)]);
  }

  watchStatus(signal) {
    return this.#follow(() => [this.#raw.watchStatus(), checkSignal(signal)]);
  }

  storage() {
    return guarded(() => this.#raw.storage());
  }

  requestPersistence() {
    return guarded(() => this.#raw.requestPersistence());
  }

  notify(state) {
    if (this.#over) throw shuttingDown();
    try {
      this.#raw.notify(state);
    } catch (thrown) {
      throw WillowError.from(thrown);
    }
  }

  disconnect(peer) {
    return guarded(() => this.#raw.disconnect(peer));
  }

  createUser() {
    return guarded(() => this.#raw.createUser());
  }

  users() {
    return guarded(() => this.#raw.users());
  }

  createNamespace(options) {
    return guarded(() => this.#raw.createNamespace(options));
  }

  namespaces() {
    return guarded(() => this.#raw.namespaces());
  }

  setQuota(namespace, quota) {
    return guarded(() => this.#raw.setQuota(namespace, quota));
  }

  capabilities(filter) {
    return guarded(() => this.#raw.capabilities(filter ?? {}));
  }

  exportSecret(id) {
    return guarded(() => this.#raw.exportSecret(id));
  }

  importSecret(secret) {
    return guarded(() => this.#raw.importSecret(secret));
  }

  set(namespace, options) {
    return guarded(async () => {
      const [own, rest] = split(options, "options", "payload", "signal", "onProgress");
      const onProgress = quietly(checkProgress(own.onProgress));
      throwIfAborted(own.signal);
      const bytes = bytesOf(own.payload);
      if (bytes !== undefined) {
        const written = await this.#raw.set(namespace, rest, bytes);
        await breathe();
        return written;
      }
      return writePayload(await this.#raw.writer(namespace, rest), own.payload, own.signal, onProgress);
    });
  }

  ingest(entry) {
    return guarded(() => this.#raw.ingest(entry));
  }

  exportEntry(entry) {
    return guarded(() => this.#raw.exportEntry(keyOf(entry)));
  }

  get(namespace, user, path) {
    return guarded(() => this.#raw.get(namespace, user, path));
  }

  entries(namespace, area, options) {
    return this.#follow(() => {
      const [own, rest] = split(options, "options", "signal");
      return [this.#raw.entries(namespace, area ?? {}, rest), own.signal];
    });
  }

  payload(entry, options) {
    return guarded(() => {
      const [own, rest] = split(options, "options", "signal");
      return abortable(own.signal, this.#raw.payload(keyOf(entry), rest));
    });
  }

  payloadStream(entry, options) {
    return payloadStream(() => {
      const [own, rest] = split(options, "options", "signal");
      throwIfAborted(own.signal);
      if (this.#over) throw shuttingDown();
      return [this.#raw.payloadStream(keyOf(entry), rest), own.signal];
    });
  }

  fetchPayload(entry, options) {
    return guarded(() => {
      const [own, rest] = split(options, "options", "signal", "onProgress");
      checkProgress(own.onProgress);
      throwIfAborted(own.signal);
      const fetch = this.#raw.fetchPayload(keyOf(entry), rest, own.onProgress);
      return abortable(own.signal, fetch.done(), () => fetch.cancel());
    });
  }

  exportDrop(namespace, area, options) {
    return dropStream(() => {
      const { onProgress } = callbacks(options, "onProgress");
      if (this.#over) throw shuttingDown();
      return [this.#raw.exportDrop(namespace, area ?? {}), onProgress];
    });
  }

  importDrop(drop, options) {
    return guarded(() => readDrop(() => this.#raw.importDrop(), drop, callbacks(options, "signal", "onProgress")));
  }

  forget(namespace, area) {
    return guarded(() => this.#raw.forget(namespace, area ?? {}));
  }

  subscribe(namespace, area, options) {
    return this.#follow(() => {
      const [own, rest] = split(options, "options", "signal");
      return [this.#raw.subscribe(namespace, area ?? {}, rest), own.signal];
    });
  }

  share(options) {
    return guarded(() => this.#raw.share(options));
  }

  join(ticket, options) {
    return guarded(() => this.#raw.join(ticket, options ?? {}));
  }

  grants(namespace) {
    return guarded(() => this.#raw.grants(namespace));
  }

  /** Returns at once; whatever is wrong with the arguments or the peer rejects `completed`. */
  sync(peer, init) {
    try {
      const [own, rest] = split(init, "init", "signal");
      return new Intent(this.#raw.sync(peer, rest), own.signal);
    } catch (thrown) {
      return new Intent(failedIntent(peer, WillowError.from(thrown)));
    }
  }

  /** One intent per peer, for the same. Throws only if `peers` is no array. */
  syncAll(peers, init) {
    if (!Array.isArray(peers)) throw invalid("peers", "expected an array of peers");
    return intentSet(peers.map((peer) => this.sync(peer, init)));
  }

  incoming(signal) {
    return this.#follow(() => [mapped(this.#raw.incoming(), (raw) => new IncomingSession(raw)), checkSignal(signal)]);
  }

  shutdown() {
    this.#over = true;
    this.#leavePage();
    return guarded(() => this.#raw.shutdown());
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.shutdown();
  }

  /** An iterator over what `open` returns as `[stream, signal]`. */
  #follow(open) {
    return new Iteration(() => {
      if (this.#over) throw shuttingDown();
      const [stream, signal] = open();
      return { stream, signal };
    });
  }
}

/** Opens a node at a place. Aborted, it is let go of as soon as it is there. */
async function openAt(place, own, rest, accept) {
  if (place !== "page") {
    const opening = openIn(place, own, rest, accept);
    return abortable(own.signal, opening, () => opening.then((late) => late.shutdown(), () => {}));
  }
  await abortable(own.signal, load(own.wasm));
  let abandon;
  const abandoned = new Promise((resolve) => (abandon = resolve));
  const opening = RawNode.open(rest, accept, own.onProgress, abandoned);
  return abortable(own.signal, opening, () => {
    abandon();
    opening.then((late) => late.shutdown(), () => {});
  });
}

function checkProgress(onProgress) {
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalid("onProgress", "expected a function");
  return onProgress;
}

/** Options of which the module gets none. What a callback throws is its own business. */
function callbacks(options, ...names) {
  const [own, rest] = split(options, "options", ...names);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw invalid("options", `\`${unknown}\` is no option here; there are: ${names.join(", ")}`);
  return { signal: own.signal, onProgress: quietly(checkProgress(own.onProgress)) };
}

function quietly(onProgress) {
  return (progress) => {
    try {
      onProgress?.(progress);
    } catch {
      // As with the callback of a fetch.
    }
  };
}
