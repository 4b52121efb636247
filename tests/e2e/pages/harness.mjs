// The page's half of the end-to-end tests: one node, driven through the public API of the packed package. What tests call is
// on `globalThis.harness`; arguments and results are plain data that survive the way into the page and back.
import * as osier from "osier";

const toBase64 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const clock = () => performance.timeOrigin + performance.now(); // one clock for all pages of a machine, in ms
const keyOf = (entry) => entry.path.join("/");

/** Bytes that do not compress and are the same in every run (xorshift32). */
function noise(length) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = 0x9e3779b9;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

class Harness {
  node;
  namespace;
  user;
  intent;
  /** Types of the intent's events, in order. */
  events = [];
  /** When each path was complete here, by the key of the path and the timestamp. */
  arrivals = new Map();

  async open(options) {
    this.node = await osier.WillowNode.open({ storage: "memory", ...options });
    return this.node.id;
  }

  /** Opens a node with a space of its own. */
  async create(relays) {
    await this.open({ relays });
    this.user = await this.node.createUser();
    this.namespace = await this.node.createNamespace({ kind: "owned", owner: this.user });
    this.watch();
  }

  async share() {
    await this.node.online();
    return this.node.share({ namespace: this.namespace, access: "write" });
  }

  /** Opens a node, joins by ticket, and starts to sync with the ticket's first peer. */
  async join(relays, ticket, mode = "live") {
    await this.open({ relays });
    const joined = await this.node.join(ticket);
    this.namespace = joined.namespace;
    this.user = joined.user;
    this.watch();
    this.intent = this.node.sync(joined.peers[0], { mode });
    this.follow();
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

  async addNoise(path, length) {
    await this.node.set(this.namespace, { user: this.user, path, payload: new Blob([noise(length)]) });
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

  /** A payload, as base64. */
  async payload(user, path) {
    return toBase64(await this.node.payload({ namespace: this.namespace, user, path }));
  }

  /** What a promise rejects with, as plain data; fails if it resolves. */
  async failure(promise) {
    const outcome = await promise.then((value) => ({ value }), (error) => ({ error }));
    if (!outcome.error) throw new Error(`expected a failure, got ${String(outcome.value)}`);
    return osier.WillowError.from(outcome.error).toJSON();
  }

  clock() {
    return clock();
  }
}

globalThis.osier = osier;
globalThis.harness = new Harness();
