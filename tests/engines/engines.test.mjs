// The package in each engine: what a page does with a node, from opening it to shutting it down. Nothing is left out in any of them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { startRelay } from "../e2e/support/programs.mjs";
import { DIFFERENCES, table } from "./support/differences.mjs";
import { engine, openProfiles } from "./support/engine.mjs";

let relay, profiles;
before(async () => {
  [relay, profiles] = [await startRelay(), await openProfiles()];
});
after(async () => {
  await profiles?.close();
  await relay.stop();
});
const withPages = (body) => profiles.withPages(body);

/** A page with a space of its own, and one of another profile that has joined it and holds what it has. */
async function pair(openA, openB, options = {}) {
  const [a, b] = [await openA(), await openB()];
  await a.run("a opens", (relays, options) => harness.create(relays, options), [relay.url], options);
  await write(a, "first", "of a");
  const ticket = await a.run("a shares", () => harness.share());
  await b.run("b joins", (relays, ticket, options) => harness.join(relays, ticket, "live", options), [relay.url], ticket, options);
  await b.run("b has what a had", () => harness.holds(1));
  return [a, b];
}

const write = (page, path, text) => page.run(`${path} is written`, (path, text) => harness.edit([path], text), path, text);
const paths = (page) => page.run("a listing", async () => (await harness.listing()).map(({ path }) => path.join("/")).sort());
const sends = async (from, to, path, text) => {
  const { key } = await write(from, path, text);
  await to.run(`${path} arrives`, (key) => harness.arrival(key), key);
};

test("two profiles sync live, both ways, and one that is reloaded has everything and goes on", () =>
  withPages(async (openA, openB) => {
    const stored = { storage: { indexedDb: "engines" } };
    const [a, b] = await pair(openA, openB, stored);
    await sends(a, b, "a", "from a");
    await sends(b, a, "b", "from b");
    await sends(a, b, "a", "from a, again");
    const listing = (page) => page.run("a listing", () => harness.listing());
    const before = await listing(b);
    assert.deepEqual(await listing(a), before);
    assert.equal(before.length, 3);
    const place = await b.run("where b is", () => harness.place());
    await b.reload();
    await b.run("b opens again", (relays, options) => harness.open({ relays, ...options }), [relay.url], stored);
    await b.run("b is where it was", (place) => Object.assign(harness, place) && undefined, place);
    assert.deepEqual(await listing(b), before);
    await b.run("b shuts down", () => harness.node.shutdown());
    await write(a, "meanwhile", "while b was away");
    await b.run("b goes on", (relays, place, options) => harness.resume(relays, place, options), [relay.url], place, stored);
    await b.run("b has what came meanwhile", () => harness.holds(4));
    await sends(b, a, "later", "from b");
  }));

for (const host of ["shared", "worker"]) {
  test(`two tabs have one node, host ${host}, which syncs with another profile`, () =>
    withPages(async (openA, openB) => {
      const options = { host, storage: { indexedDb: host } };
      const [one, two, other] = [await openA(), await openA(), await openB()];
      const open = (options) => harness.open(options).then((id) => [id, harness.node.host]);
      const [id, place] = await one.run("one opens", open, { relays: [relay.url], ...options });
      assert.equal(place, host);
      await other.run("the other opens", (relays) => harness.create(relays), [relay.url]);
      await write(other, "first", "of the other");
      const ticket = await other.run("the other shares", () => harness.share());
      await two.run("two joins", (relays, ticket, options) => harness.join(relays, ticket, "live", options), [relay.url], ticket, options);
      assert.deepEqual(await two.run("who two is", () => [harness.node.id, harness.node.host]), [id, host]);
      await two.run("two has what the other had", () => harness.holds(1));
      await one.run("one has the space, too", () => harness.settle());
      await sends(one, two, "one", "from the one tab");
      await sends(one, other, "one", "once more");
      await sends(other, two, "other", "from another profile");
      // Whoever closes leaves the node to the others.
      await one.close();
      await sends(two, other, "later", "still here");
      await sends(other, two, "last", "still in sync");
      assert.deepEqual(await paths(two), ["first", "last", "later", "one", "other"]);
    }));
}

test("8 MiB go in as a Blob, to another profile, and come out as a stream", () =>
  withPages(async (openA, openB) => {
    const [a, b] = await pair(openA, openB);
    const length = 8 * 1024 * 1024;
    await a.run("a long payload is written", (length) => harness.addNoise(["long"], length), length);
    await b.run("the long payload arrives", () => harness.holds(2));
    const seen = await b.run("it is read", async (length) => {
      const entry = await harness.node.get(harness.namespace, (await harness.listing()).find(({ path }) => path[0] === "long").user, ["long"]);
      const reader = harness.node.payloadStream(entry).getReader();
      const [expected, sizes] = [harness.noise(length), []];
      let at = 0;
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        if (!harness.same(value, expected.subarray(at, at + value.length))) throw new Error(`other bytes at ${at}`);
        at += value.length;
        sizes.push(value.length);
      }
      return [at, sizes.length > 10];
    }, length);
    assert.deepEqual(seen, [length, true]);
  }));

test("what is wrong with a relay has a code", () =>
  withPages(async (open) => {
    const page = await open();
    const opening = await page.run("a URL is refused", async () => harness.failure(osier.WillowNode.open({ relays: ["no relay"], storage: "memory" })));
    assert.deepEqual([opening.name, opening.code, opening.argument], ["WillowError", "invalidArgument", "relays"]);
    const gone = await startRelay();
    await gone.stop();
    await page.run("a node opens", (url) => harness.create([url]), gone.url);
    const error = await page.run("an intent fails", async () => {
      const peer = await osier.WillowNode.open({ relays: harness.node.address().relays, storage: "memory" });
      const intent = harness.node.sync(peer.address(), { mode: "once", reconnect: { attempts: 0 } });
      return harness.failure(intent.completed);
    });
    assert.ok(["timeout", "dialFailed"].includes(error.code), JSON.stringify(error));
  }));

test("after it is shut down a node refuses everything, its peers know, and its storage can be opened at once", () =>
  withPages(async (openA, openB) => {
    const stored = { storage: { indexedDb: "shut" } };
    const [a, b] = await pair(openA, openB, stored);
    await a.run("a watches", () => {
      harness.gone = harness.until(harness.node.watchPeers(), ({ type }) => type === "closed");
    });
    const id = await b.run("b shuts down, twice at once", async () => {
      await Promise.all([harness.node.shutdown(), harness.node.shutdown()]);
      return harness.node.id;
    });
    const error = await b.run("b refuses", () => harness.failure(harness.node.namespaces()));
    assert.equal(error.code, "shuttingDown");
    const again = await b.run("b opens again", (relays, options) => harness.open({ relays, ...options }), [relay.url], stored);
    assert.equal(again, id);
    await a.run("a knows", () => harness.gone);
  }));

test(`what ${engine.name} does its own way is what is listed`, () =>
  withPages(async (open) => {
    const page = await open();
    for (const { what, probe, ...answers } of DIFFERENCES) assert.equal(await page.run(what, probe), answers[engine.name], what);
  }));

test("docs/engines.md has the list", async () => {
  const text = await readFile(new URL("../../docs/engines.md", import.meta.url), "utf8");
  assert.ok(text.includes(table()), `the table should be:\n\n${table()}`);
});
