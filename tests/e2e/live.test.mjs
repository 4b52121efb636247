// The live lists of the package against a model of a store, through many random histories: what a list shows in the end is what the store has.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageFolder } from "./support/environment.mjs";
import { random } from "./support/random.mjs";

const load = (file) => import(pathToFileURL(join(packageFolder(), file)));
const { liveEntries } = await load("index.js");
const { Listing } = await load("lib/listing.js");
const { live } = await load("lib/live.js");

const bytes = (path) => path.map((part) => Buffer.from(part));
const isPrefix = (short, long) => short.length <= long.length && bytes(short).every((part, at) => part.equals(bytes(long)[at]));
/** The order of a store, written down in another way than in the package. */
function compare(one, other) {
  if (one.user !== other.user) return one.user < other.user ? -1 : 1;
  const [left, right] = [bytes(one.path), bytes(other.path)];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const order = Buffer.compare(left[at], right[at]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** A store with the rules of a node: newer entries prune what is below them; the history is short. */
class Store {
  entries_ = [];
  history = [];
  progress = 0;
  /** The last change before the history. */
  since = 0;
  clock = 0n;
  listings = 0;
  wake = () => {};

  tell(event) {
    this.progress += 3; // numbers have gaps
    this.history.push({ progress: this.progress, ...event });
    if (this.history.length > 40) this.since = this.history.shift().progress;
    this.wake();
  }

  set(user, path, length) {
    this.clock += 1n;
    const entry = { namespace: "n", user, path, timestamp: this.clock, length, digest: `${this.clock}`, available: 0 };
    this.entries_ = this.entries_.filter((old) => {
      const isPruned = old.user === user && isPrefix(path, old.path);
      if (isPruned) this.tell({ type: "pruned", entry: { namespace: "n", user, path: old.path } });
      return !isPruned;
    });
    this.entries_.push(entry);
    this.entries_.sort(compare);
    this.tell({ type: "inserted", entry: { ...entry }, origin: "peer" });
  }

  arrive(index) {
    const entry = this.entries_[index];
    if (entry === undefined || entry.available === entry.length) return;
    entry.available += 1;
    this.tell({ type: "payload", entry: { namespace: "n", user: entry.user, path: entry.path }, available: entry.available, total: entry.length });
  }

  forget(user, path) {
    const isGone = (entry) => (user === null || entry.user === user) && isPrefix(path, entry.path);
    const before = this.entries_.length;
    this.entries_ = this.entries_.filter((entry) => !isGone(entry));
    this.tell({ type: "forgotten", area: { user, path, from: 0n, to: null }, count: before - this.entries_.length });
  }

  list({ order, limit = Infinity }) {
    const all = this.entries_.map((entry) => ({ ...entry }));
    return (order === "descending" ? all.reverse() : all).slice(0, limit);
  }

  /** As the node does: in pages, between which the store may change. */
  async *entries(_namespace, _area, options) {
    this.listings += 1;
    let last;
    for (;;) {
      await turn();
      const sign = options.order === "descending" ? -1 : 1;
      const next = this.list({ order: options.order }).filter((entry) => last === undefined || compare(entry, last) * sign > 0);
      const page = next.slice(0, Math.min(3, options.limit ?? Infinity));
      if (page.length === 0) return;
      yield* page;
      last = page.at(-1);
      if (options.limit !== undefined && (options = { ...options, limit: options.limit - page.length }).limit <= 0) return;
    }
  }

  subscribe(_namespace, _area, { from, signal }) {
    let seen = from ?? this.progress;
    signal.addEventListener("abort", () => this.wake());
    return {
      next: async () => {
        for (;;) {
          if (signal.aborted) return { done: true };
          if (seen < this.since) return { done: false, value: { type: "lagged", progress: (seen = this.progress) } };
          const value = this.history.find(({ progress }) => progress > seen);
          if (value !== undefined) return { done: false, value: ((seen = value.progress), value) };
          await new Promise((resolve) => {
            const before = this.wake;
            this.wake = () => (before(), resolve());
          });
        }
      },
    };
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const names = ["a", "b", "ab", "\uffff", "\u{1f600}", "é", ""];

/** Resolves when the list shows what the store has. */
async function agrees(list, store, options) {
  const wanted = JSON.stringify(store.list(options), plain);
  for (let waited = 0; waited < 400; waited += 1) {
    const { value } = list.getSnapshot();
    if (JSON.stringify(value, plain) === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(list.getSnapshot().value, store.list(options));
}
const plain = (_, value) => (typeof value === "bigint" ? `${value}` : value);

for (const options of [{}, { order: "descending" }, { limit: 5 }, { order: "descending", limit: 3 }]) {
  test(`a list is what the store has, after any history: ${JSON.stringify(options)}`, async () => {
    await Promise.all(Array.from({ length: 60 }, async (_, seed) => {
      const next = random(seed + 1);
      const below = (count) => Math.floor(next() * count);
      const pick = (list) => list[below(list.length)];
      const store = new Store();
      const list = liveEntries(store, "n", {}, options);
      const act = async () => {
        const user = pick(["u", "v"]);
        const path = Array.from({ length: below(3) }, () => pick(names));
        const kind = below(20);
        if (kind < 12) store.set(user, path, below(3));
        else if (kind < 17) store.arrive(below(store.entries_.length + 1));
        else if (kind === 17) store.forget(pick([null, user]), path);
        else await turn();
      };
      for (let round = 0; round < 6; round += 1) {
        const leave = list.subscribe(() => {});
        for (let step = below(40); step > 0; step -= 1) await act();
        if (below(2) === 0) await agrees(list, store, options);
        leave();
        for (let step = below(60); step > 0; step -= 1) await act();
      }
      const leave = list.subscribe(() => {});
      await agrees(list, store, options);
      leave();
    }));
  });
}

test("a list is read once, goes on where it was left, and is the same object until it changes", async () => {
  const store = new Store();
  const list = liveEntries(store, "n");
  const seen = [];
  const leave = list.subscribe(() => seen.push(list.getSnapshot()));
  assert.equal(list.getSnapshot().status, "loading");
  store.set("u", ["a"], 0);
  await agrees(list, store, {});
  for (let index = 0; index < 30; index += 1) store.set("u", ["b", `${index}`], 0);
  await agrees(list, store, {});
  assert.ok(seen.length <= 3, `${seen.length} changes told`);
  const before = list.getSnapshot();
  leave();
  await turn();
  const again = list.subscribe(() => {});
  assert.equal(list.getSnapshot(), before);
  store.set("u", ["c"], 0);
  await agrees(list, store, {});
  again();
  assert.equal(store.listings, 1);
  assert.equal(list.getSnapshot().value[0], before.value[0]); // what has not changed is the same
});

test("a list that is cut reads again what moves up, and not for what is replaced in its place", async () => {
  const store = new Store();
  for (let index = 0; index < 9; index += 1) store.set("u", [`${index}`], 0);
  const options = { limit: 4 };
  const list = liveEntries(store, "n", {}, options);
  const leave = list.subscribe(() => {});
  await agrees(list, store, options);
  for (let index = 0; index < 9; index += 1) store.set("u", [`${index}`], 1);
  await agrees(list, store, options);
  assert.equal(store.listings, 1);
  store.forget("u", ["1"]);
  store.forget("u", ["2"]);
  await agrees(list, store, options);
  assert.equal(store.listings, 2);
  leave();
});

test("a list that is ahead of what it is told stays as it is", () => {
  const listing = new Listing();
  const entry = { namespace: "n", user: "u", path: ["a"], timestamp: 5n, length: 9, digest: "5", available: 9 };
  listing.reset([entry]);
  const before = listing.state;
  listing.apply({ type: "inserted", entry: { ...entry, timestamp: 4n } });
  listing.apply({ type: "inserted", entry: { ...entry, available: 0 } });
  listing.apply({ type: "payload", entry, available: 3, total: 9 });
  listing.apply({ type: "payload", entry, available: 10, total: 10 });
  listing.apply({ type: "pruned", entry: { ...entry, path: ["b"] } });
  assert.equal(listing.state, before);
});

test("listeners are told once a frame, whatever the pace of the changes", async () => {
  const store = new Store();
  const list = liveEntries(store, "n");
  let told = 0;
  const began = performance.now();
  const leave = list.subscribe(() => (told += 1));
  for (let index = 0; index < 300; index += 1) {
    store.set("u", [`${index}`], 0);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await agrees(list, store, {});
  const frames = (performance.now() - began) / 16;
  assert.ok(told <= frames * 1.2 + 2, `${told} in ${frames} frames`);
  leave();
});

test("no run begins before the one before has ended, and none for a listener who is back at once", async () => {
  const log = [];
  const follow = async (_, signal) => {
    log.push("begin");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await turn();
    log.push("end");
  };
  const { subscribe } = live(follow);
  subscribe(() => {})();
  const leave = subscribe(() => {});
  await turn();
  assert.deepEqual(log, ["begin"]);
  leave();
  const again = subscribe(() => {});
  while (log.length < 3) await turn();
  again();
  while (log.length < 4) await turn();
  assert.deepEqual(log, ["begin", "end", "begin", "end"]);
});
