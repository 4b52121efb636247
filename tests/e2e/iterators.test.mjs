// Iterators, abort signals, errors on their way between contexts: what holds for every method alike.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

test("leaving an iteration ends that iteration and nothing else", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const guest = await harness.guest(owner);
    const intent = guest.node.sync(guest.peers[0], { mode: "live" });
    const [one, two] = [intent[Symbol.asyncIterator](), intent[Symbol.asyncIterator]()];
    const first = await harness.until(one, () => true);
    const left = await one.next();
    const toAll = harness.until(two, () => false);
    await harness.until(intent, ({ type }) => type === "reconciledAll");
    await owner.write(["a"], "still live");
    await harness.until(guest.node.subscribe(owner.space, {}, { from: 0 }), ({ type }) => type === "inserted");
    await intent.close();
    return { first, left, all: (await toAll).map(({ type }) => type), completion: await intent.completed };
  });
  assert.equal(seen.first.length, 1);
  assert.deepEqual(seen.left, { done: true, value: undefined });
  assert.ok(seen.all.includes("reconciledAll"), seen.all.join(" "));
  assert.equal(seen.all.at(-1), "ended");
  assert.deepEqual(seen.completion, { outcome: "closed" });
});

test("an iterator that comes late begins with what is true and ends with the last item", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["a"], "1");
    const guest = await harness.guest(owner);
    const live = guest.node.sync(guest.peers[0], { mode: "live" });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    const during = await harness.until(live, ({ type }) => type === "reconciledAll");
    const [present] = await harness.until(guest.node.watchPeers(), () => true);
    const [session] = await harness.until(owner.node.incoming(), () => true);
    const atOwner = await harness.until(session, ({ type }) => type === "overlap");
    await live.close();
    const after = await harness.until(live, () => false);
    const failed = guest.node.sync(guest.node.address());
    await failed.completed.catch(() => {});
    const [error] = (await harness.until(failed, () => false)).slice(-1);
    return { during, present, atOwner, after, peer: session.peer, guest: guest.node.id, error: error.error.toJSON(), isError: error.error instanceof osier.WillowError, type: error.type };
  });
  const types = (events) => events.map(({ type }) => type);
  assert.deepEqual(types(seen.during).filter((type) => type !== "progress"), ["established", "overlap", "reconciled", "reconciledAll"]);
  assert.deepEqual([seen.present.type, seen.present.peer.state], ["present", "active"]);
  assert.deepEqual(types(seen.atOwner), ["established", "overlap"]);
  assert.equal(seen.peer, seen.guest);
  assert.deepEqual(seen.after.at(-1), { type: "ended", completion: { outcome: "closed" } });
  assert.deepEqual([seen.type, seen.isError, seen.error.code], ["error", true, "selfPeer"]);
});

test("calls of next that overlap are answered in their order", async () => {
  const seen = await shared.run(async () => {
    const { node, space, write } = await harness.owner();
    for (const name of ["a", "b", "c"]) await write([name], name);
    const entries = node.entries(space);
    const turns = await Promise.all([entries.next(), entries.next(), entries.next(), entries.next(), entries.next()]);
    return turns.map(({ done, value }) => (done ? "done" : value.path[0]));
  });
  assert.deepEqual(seen, ["a", "b", "c", "done", "done"]);
});

test("a subscription misses nothing between its call and its first next", async () => {
  const paths = await shared.run(async () => {
    const { node, space, write } = await harness.owner();
    const changes = node.subscribe(space);
    for (const name of ["a", "b"]) await write([name], name);
    return (await harness.until(changes, (_, items) => items.length === 2)).map(({ entry }) => entry.path[0]);
  });
  assert.deepEqual(paths, ["a", "b"]);
});

test("signals end iterations, before and while they wait", async () => {
  const seen = await shared.run(async () => {
    const { node, space, write } = await harness.owner();
    await write(["a"], "1");
    const streams = (signal) => ({
      watchPeers: node.watchPeers(signal),
      incoming: node.incoming(signal),
      subscribe: node.subscribe(space, {}, { signal }),
      entries: node.entries(space, {}, { signal }),
    });
    const results = {};
    for (const [name, stream] of Object.entries(streams(AbortSignal.abort()))) results[`${name} before`] = (await stream.next()).done;
    const control = new AbortController();
    const { entries, ...waiting } = streams(control.signal);
    await entries.next();
    const turns = Object.entries(waiting).map(([name, stream]) => [`${name} waiting`, stream.next()]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    control.abort();
    for (const [name, turn] of [...turns, ["entries waiting", entries.next()]]) results[name] = (await turn).done;
    return results;
  });
  assert.equal(Object.keys(seen).length, 8);
  for (const [name, done] of Object.entries(seen)) assert.equal(done, true, name);
});

test("signals abort promises with a code and leave nothing half done", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const entry = await owner.write(["a"], "1");
    const { node, space, user } = owner;
    const codes = {};
    const code = async (name, promise) => (codes[name] = (await harness.failure(promise)).code);
    const gone = AbortSignal.abort(new Error("because"));
    await code("open", osier.WillowNode.open({ relays: [harness.relay], signal: gone }));
    const opening = new AbortController();
    const late = osier.WillowNode.open({ relays: [harness.relay], signal: opening.signal });
    opening.abort();
    await code("open meanwhile", late);
    const offline = await harness.fresh({ relays: [] });
    await code("online", offline.online(gone));
    await code("online meanwhile", offline.online(AbortSignal.timeout(50)));
    await code("set", node.set(space, { user, path: ["b"], payload: "x", signal: gone }));
    const stalled = new Blob(["never"]);
    stalled.stream = () => new ReadableStream({ pull: () => new Promise(() => {}) });
    await code("set meanwhile", node.set(space, { user, path: ["b"], payload: stalled, signal: AbortSignal.timeout(50) }));
    await code("payload", node.payload(entry, { signal: gone }));
    await code("fetchPayload", node.fetchPayload(entry, { signal: gone }));
    const guest = await harness.guest(owner);
    const closed = {};
    const init = (signal) => ({ mode: "live", signal });
    closed.before = await guest.node.sync(guest.peers[0], init(gone)).completed;
    const control = new AbortController();
    const intent = guest.node.sync(guest.peers[0], init(control.signal));
    await harness.until(intent, ({ type }) => type === "reconciledAll");
    control.abort();
    closed.meanwhile = await intent.completed;
    const afterwards = new AbortController();
    const done = guest.node.sync(guest.peers[0], { signal: afterwards.signal });
    const completion = await done.completed;
    afterwards.abort();
    return { codes, closed, completion, again: await done.completed, nothing: await node.get(space, user, ["b"]) };
  });
  for (const [name, code] of Object.entries(seen.codes)) assert.equal(code, "aborted", name);
  assert.equal(Object.keys(seen.codes).length, 8);
  assert.deepEqual(seen.closed, { before: { outcome: "closed" }, meanwhile: { outcome: "closed" } });
  assert.deepEqual([seen.completion, seen.again], [{ outcome: "complete" }, { outcome: "complete" }]);
  assert.equal(seen.nothing, undefined);
});

test("an intent that nobody looks at fails without an unhandled rejection", async () => {
  const codes = await shared.run(async () => {
    const { node } = await harness.owner();
    let unhandled = 0;
    addEventListener("unhandledrejection", () => (unhandled += 1));
    for (const peer of ["zz", node.address(), 5]) node.sync(peer);
    const open = node.sync("00".repeat(32));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await node.shutdown();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { unhandled, code: (await harness.failure(open.completed)).code };
  });
  assert.equal(codes.unhandled, 0);
  assert.equal(codes.code, "shuttingDown");
});

test("an error keeps its code on the way through postMessage and JSON", async () => {
  const seen = await shared.run(async () => {
    const node = await harness.fresh();
    const error = await node.get("xyz", "", []).catch((thrown) => thrown);
    const { port1, port2 } = new MessageChannel();
    const arrived = new Promise((resolve) => (port2.onmessage = ({ data }) => resolve(data)));
    port1.postMessage(error.toJSON());
    const back = osier.WillowError.from(await arrived);
    const again = osier.WillowError.from(JSON.parse(JSON.stringify(error)));
    port1.close();
    return {
      error: error.toJSON(), back: back.toJSON(), again: again.toJSON(),
      classes: [back, again].map((it) => it instanceof osier.WillowError && it instanceof Error && it.name),
      same: osier.WillowError.from(error) === error,
      unknown: osier.WillowError.from(Object.assign(new Error("x"), { code: "ENOENT" })).code,
      string: osier.WillowError.from("thrown text").toJSON(),
    };
  });
  assert.deepEqual([seen.error.code, seen.error.argument], ["invalidArgument", "namespace"]);
  assert.deepEqual([seen.back, seen.again], [seen.error, seen.error]);
  assert.deepEqual(seen.classes, ["WillowError", "WillowError"]);
  assert.deepEqual([seen.same, seen.unknown, seen.string.code, seen.string.message], [true, "internal", "internal", "thrown text"]);
});
