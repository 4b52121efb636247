// The page's half of the end-to-end tests: one node, driven through the public API of the packed package. What tests call is
// on `globalThis.harness`; arguments and results are plain data that survive the way into the page and back.
import * as osier from "osier";
import initOsier from "/osier/generated/osier.js";

const toBase64 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const clock = () => performance.timeOrigin + performance.now(); // one clock for all pages of a machine, in ms
const keyOf = (entry) => entry.path.join("/");

/** Bytes that do not compress and are the same in every run (xorshift32); others for each `seed` but 0. */
function noise(length, seed = 0x9e3779b9) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Where nodes run, unless a test says otherwise. */
const host = new URLSearchParams(location.search).get("host") ?? "page";

class Harness {
  /** URL of the test's relay, and the nodes to shut down after the test. */
  relay;
  nodes = new Set();
  node;
  namespace;
  user;
  intent;
  /** Types of the intent's events, in order. */
  events = [];
  /** When each path was complete here, by the key of the path and the timestamp. */
  arrivals = new Map();

  async open(options) {
    this.node = await osier.WillowNode.open({ storage: "memory", host, ...options });
    return this.node.id;
  }

  /** Opens a node with a space of its own. */
  async create(relays, options = {}) {
    await this.open({ relays, ...options });
    this.user = await this.node.createUser();
    this.namespace = await this.node.createNamespace({ kind: "owned", owner: this.user });
    this.watch();
  }

  /** Goes on as the user and in the space that the node has, or makes them. */
  async settle() {
    const [[user], [space]] = [await this.node.users(), await this.node.namespaces()];
    this.user = user ?? (await this.node.createUser());
    this.namespace = space?.id ?? (await this.node.createNamespace({ kind: "owned", owner: this.user }));
  }

  async share() {
    await this.node.online();
    return this.node.share({ namespace: this.namespace, access: "write" });
  }

  /** Opens a node, joins by ticket, and starts to sync with the ticket's first peer. */
  async join(relays, ticket, mode = "live", options = {}) {
    await this.open({ relays, ...options });
    const joined = await this.node.join(ticket);
    this.namespace = joined.namespace;
    this.user = joined.user;
    this.watch();
    this.intent = this.node.sync(joined.peers[0], { mode });
    this.follow();
  }

  /** Opens the node of a page that was reloaded, in the space that it was in, and syncs with a peer if one is given. */
  async resume(relays, { namespace, user, peer }, options) {
    await this.open({ relays, ...options });
    Object.assign(this, { namespace, user });
    this.watch();
    if (peer === undefined) return;
    this.intent = this.node.sync(peer, { mode: "live" });
    this.follow();
  }

  /** What `resume` needs to know. */
  place() {
    return { namespace: this.namespace, user: this.user, peer: this.intent && { id: this.intent.peer, relays: this.node.address().relays } };
  }

  async follow() {
    for await (const event of this.intent) this.events.push(event.type);
  }

  async watch() {
    const complete = (entry, timestamp) => this.arrivals.set(`${keyOf(entry)}@${timestamp}`, clock());
    for await (const event of this.node.subscribe(this.namespace)) {
      if (event.type === "inserted" && event.entry.available === event.entry.length) complete(event.entry, event.entry.timestamp);
      if (event.type === "payload" && event.available === event.total) {
        const entry = await this.node.get(this.namespace, event.entry.user, event.entry.path);
        if (entry) complete(entry, entry.timestamp);
      }
    }
  }

  /** Writes entries: `[{ path: [text], base64 }]`. */
  async add(files) {
    for (const { path, base64 } of files) {
      await this.node.set(this.namespace, { user: this.user, path, payload: fromBase64(base64) });
    }
  }

  async addNoise(path, length, seed) {
    await this.node.set(this.namespace, { user: this.user, path, payload: new Blob([noise(length, seed)]) });
  }

  /** Writes a text. Returns what names the write elsewhere, and when it began. */
  async edit(path, text) {
    const began = clock();
    const { entry } = await this.node.set(this.namespace, { user: this.user, path, payload: text });
    return { key: `${keyOf(entry)}@${entry.timestamp}`, began };
  }

  /** When an edit that was made elsewhere was complete here. */
  async arrival(key) {
    while (!this.arrivals.has(key)) await new Promise((resolve) => setTimeout(resolve, 2));
    return this.arrivals.get(key);
  }

  /** All entries in the order of the store, comparable between nodes. */
  async listing() {
    const entries = [];
    for await (const entry of this.node.entries(this.namespace)) {
      const { user, path, timestamp, length, digest, available } = entry;
      entries.push({ user, path, timestamp: timestamp.toString(), length, digest, available });
    }
    return entries;
  }

  /** Waits until there are so many entries, each with all of its payload. Returns the time. */
  async holds(count) {
    for (;;) {
      const entries = await this.listing();
      if (entries.length === count && entries.every((entry) => entry.available === entry.length)) return clock();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until more than so many bytes of payloads are here. Returns how many. */
  async receives(bytes) {
    for (;;) {
      const sum = (await this.listing()).reduce((total, { available }) => total + available, 0);
      if (sum > bytes) return sum;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Collects the items of an iteration as they come, with errors as their codes. Resolves to all of them when it ends. */
  async collect(iterable, items = []) {
    for await (const { error, cause, ...rest } of iterable) items.push({ ...rest, ...(error && { error: error.code }), ...(cause && { cause: cause.code }) });
    return items;
  }

  /** The same for every session that peers open: a list for each. */
  async collectIncoming(sessions) {
    for await (const session of this.node.incoming()) this.collect(session, sessions[sessions.push([]) - 1]);
  }

  /** Waits until a node has nothing to do with any peer. */
  async alone(node = this.node) {
    while ((await node.peers()).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** A payload, as base64. */
  async payload(user, path) {
    return toBase64(await this.node.payload({ namespace: this.namespace, user, path }));
  }

  /** A node at the test's relay that is shut down after the test. */
  async fresh(options) {
    const node = await osier.WillowNode.open({ relays: [this.relay], storage: "memory", host, ...options });
    this.nodes.add(node);
    return node;
  }

  async shutdownAll() {
    await Promise.all([...this.nodes].map((node) => node.shutdown()));
    this.nodes.clear();
  }

  /** A node with a user, an owned space and a way to write into it, online. */
  async owner(options) {
    const node = await this.fresh(options);
    const user = await node.createUser();
    const space = await node.createNamespace({ kind: "owned", owner: user });
    await node.online();
    const write = async (path, payload) => (await node.set(space, { user, path, payload })).entry;
    return { node, user, space, write };
  }

  /** A node that joined an owner's space by a link. */
  async guest(owner, access = "write") {
    const link = await owner.node.share({ namespace: owner.space, access });
    const node = await this.fresh();
    await node.online();
    return { node, link, ...(await node.join(link)) };
  }

  /** The items of an iteration, up to the one that `isLast` says. The iteration is left then. */
  async until(iterable, isLast) {
    const items = [];
    for await (const item of iterable) {
      items.push(item);
      if (isLast(item, items)) break;
    }
    return items;
  }

  /** Everything that a node holds, comparable. */
  async contents(node) {
    const spaces = await node.namespaces();
    const entries = [];
    const grants = [];
    for (const { id } of spaces) {
      for await (const entry of node.entries(id)) entries.push({ ...entry, timestamp: String(entry.timestamp) });
      grants.push(...(await node.grants(id)));
    }
    const text = (_, value) => (typeof value === "bigint" ? String(value) : value);
    return JSON.stringify({ users: await node.users(), spaces, capabilities: await node.capabilities(), grants, entries }, text);
  }

  /** What a promise rejects with, as plain data; fails if it resolves, or rejects with anything but a WillowError. */
  async failure(promise) {
    const outcome = await promise.then((value) => ({ value }), (error) => ({ error }));
    if (!outcome.error) throw new Error(`expected a failure, got ${String(outcome.value)}`);
    if (!(outcome.error instanceof osier.WillowError)) throw outcome.error;
    return outcome.error.toJSON();
  }

  noise(length, seed) {
    return noise(length, seed);
  }

  /** A Blob of so many MiB, which is not held by the page. */
  async largeBlob(mebibytes) {
    let blob = new Blob([]);
    for (let seed = 1; seed <= mebibytes; seed += 1) blob = new Blob([blob, noise(1024 * 1024, seed)]);
    return blob;
  }

  /** How many MiB the heap of the module has. It never shrinks. */
  async heap() {
    return (await initOsier()).memory.buffer.byteLength / 1024 / 1024;
  }

  /** All bytes of a stream. */
  async bytes(stream) {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Whether two arrays of bytes are the same. */
  same(one, other) {
    return one.length === other.length && one.every((byte, at) => byte === other[at]);
  }

  /** How many values an object store of a database has. */
  count(database, store) {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open(database);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const counting = opening.result.transaction(store).objectStore(store).count();
        counting.onerror = () => reject(counting.error);
        counting.onsuccess = () => {
          opening.result.close();
          resolve(counting.result);
        };
      };
    });
  }

  clock() {
    return clock();
  }
}

globalThis.osier = osier;
globalThis.harness = new Harness();
