/**
 * What a page says to a node that runs in a worker, and how it is answered. Messages are plain data with a `type`:
 *
 *     page → host  hello {version, life} · open {id, key, options, wasm, hasProgress, hasAccept} · call {id, on, method, args} ·
 *                  make {handle, on, method, args} · tell {on, method, args} · pull {id, on} · said {id, answer} · takeBack {id} ·
 *                  ping {id} · bye {id}
 *     host → page  welcome {version, life} · answer {id, value | error, progress?} · event {on, value} · ask {id, peer} · forget {id} ·
 *                  over {id} · address {address} · pong {id} · fatal {message}
 *
 * `on` and `handle` number the objects of the module that a page holds; 0 is the node. The page gives the numbers of what it makes, so that it
 * has the object at once; the host gives negative ones to sessions, which come as items of a stream.
 */

/**
 * The methods of each kind of object: `calls` are answered, `tells` are not, `makes` give another object. A call that is in `once` may have
 * happened although its answer was lost, and is not repeated; `resumes` says what is made again at a new host,
 * `pulls` how many items of a stream come at a time, at most.
 */
export const KINDS = {
  node: {
    calls: [
      "online", "storage", "peers", "disconnect", "createUser", "users", "createNamespace", "namespaces", "setQuota",
      "capabilities", "exportSecret", "importSecret", "set", "ingest", "exportEntry", "get", "payload", "forget", "share", "join", "grants",
    ],
    once: ["createUser", "createNamespace", "share", "join"],
    tells: ["notify"],
    makes: {
      watchPeers: "stream", watchStatus: "stream", entries: "query", payloadStream: "pieces", subscribe: "changes", incoming: "sessions",
      writer: "writer", fetchPayload: "fetch", exportDrop: "export", importDrop: "import", sync: "intent",
    },
  },
  stream: { pulls: 64, resumes: true },
  changes: { pulls: 64, resumes: true },
  sessions: { pulls: 64, resumes: true },
  query: { pulls: 64 },
  pieces: { pulls: 1 },
  intent: { calls: ["completed", "addInterests"], tells: ["close"], makes: { events: "stream" }, resumes: true },
  session: { makes: { events: "query" } },
  writer: { calls: ["prepare", "push", "finish"], once: ["prepare", "push", "finish"], tells: ["abort"] },
  fetch: { calls: ["done"], tells: ["cancel"], resumes: true },
  export: { calls: ["next"], once: ["next"], tells: ["cancel"], hasProgress: true },
  import: { calls: ["push", "finish", "ended"], once: ["push", "finish", "ended"], tells: ["cancel"], hasProgress: true },
};

/** The buffers of bytes that were made for this message, and need not be copied on the way. */
export function transferable(value) {
  return value instanceof Uint8Array && value.byteLength === value.buffer.byteLength ? [value.buffer] : [];
}

/** The name of a lock that lives as long as who holds it. */
export const lifeOf = (who) => `osier: ${who} lives`;

/** Holds a lock as long as this page or worker lives, or until the returned function is called. Resolves when it is held. */
export function hold(name) {
  return new Promise((held, failed) => {
    navigator.locks
      .request(name, () => new Promise((release) => held(release)))
      .catch(failed);
  });
}

/** Calls `gone` when whoever holds the lock does not any more. Returns a function that ends the waiting. */
export function whenGone(name, gone) {
  const stop = new AbortController();
  navigator.locks.request(name, { mode: "shared", signal: stop.signal }, gone).catch(() => {});
  return () => stop.abort();
}
