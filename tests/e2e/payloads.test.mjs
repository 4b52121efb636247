// Payloads of any length: written and read a piece at a time, by nodes that never hold them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";
import { sharedPage } from "./support/shared.mjs";
import { within } from "./support/three.mjs";

const shared = sharedPage();

test("a long payload goes in from a Blob or a stream and comes out as a stream", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space } = await harness.owner();
    const bytes = harness.noise(3_333_333);
    const blob = new Blob([bytes]);
    const seen = { told: [], sizes: [] };
    const sources = { blob, stream: blob.stream(), both: new Blob([blob.slice(0, 5), blob.slice(5)]) };
    for (const [name, payload] of Object.entries(sources)) {
      const progress = [];
      const { entry } = await node.set(space, { user, path: [name], payload, onProgress: (step) => progress.push(step) });
      seen.told.push(progress.at(-1), progress.length > 5, progress.every(({ written }, at) => at === 0 || written > progress[at - 1].written));
      seen[name] = harness.same(bytes, await harness.bytes(node.payloadStream(entry))) && harness.same(bytes, await node.payload(entry));
    }
    const entry = await node.get(space, user, ["blob"]);
    const part = await harness.bytes(node.payloadStream(entry, { offset: 1_000_000, length: 700_000 }));
    seen.part = harness.same(part, bytes.subarray(1_000_000, 1_700_000));
    for await (const piece of node.payloadStream(entry)) seen.sizes.push(piece.byteLength);
    seen.empty = (await harness.bytes(node.payloadStream(entry, { offset: bytes.length }))).length;
    return seen;
  });
  const told = [{ written: 3_333_333, total: 3_333_333 }, true, true];
  assert.deepEqual(seen, { told: [...told, ...told, ...told], sizes: seen.sizes, blob: true, stream: true, both: true, part: true, empty: 0 });
  assert.ok(seen.sizes.length > 10 && seen.sizes.every((size) => size <= 256 * 1024), String(seen.sizes));
});

test("what is wrong with a stream of a payload shows when it is read", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space, write } = await harness.owner();
    const bytes = harness.noise(1_000_000);
    const entry = await write(["a"], bytes);
    const read = (...given) => harness.failure(node.payloadStream(...given).getReader().read());
    const abort = new AbortController();
    const aborted = node.payloadStream(entry, { signal: abort.signal }).getReader();
    const replaced = node.payloadStream(entry).getReader();
    const given = node.payloadStream(entry);
    const [first, second, third] = [await aborted.read(), await replaced.read(), await given.getReader().read()];
    abort.abort();
    const seen = {
      firsts: [first, second, third].map(({ value }) => harness.same(value, bytes.subarray(0, value.length))),
      aborted: await harness.failure(aborted.read()),
      nothing: await read({ namespace: space, user, path: ["b"] }),
      offset: await read(entry, { offset: 1_000_001 }),
      option: await read(entry, { from: 5 }),
      signal: await read(entry, { signal: "now" }),
      gone: await read(entry, { signal: AbortSignal.abort() }),
    };
    await write(["a"], harness.noise(1_000_000, 7));
    seen.replaced = await harness.failure(replaced.read());
    await node.shutdown();
    seen.over = await read(entry);
    return Object.fromEntries(Object.entries(seen).map(([name, error]) => [name, error.code ?? error]));
  });
  assert.deepEqual(seen, {
    firsts: [true, true, true], aborted: "aborted", nothing: "noSuchEntry", offset: "invalidArgument", option: "invalidArgument",
    signal: "invalidArgument", gone: "aborted", replaced: "noSuchEntry", over: "shuttingDown",
  });
});

test("durable: a long payload that changes, is aborted or cut off leaves nothing behind", async () => {
  const profile = await openProfile();
  try {
    const { page, errors } = await openHarness(profile);
    const seen = await within(60_000, "the page's part", page.evaluate(async () => {
      await harness.open({ relays: [], storage: { indexedDb: "pieces" } });
      await harness.settle();
      const { node, namespace, user } = harness;
      await harness.edit(["a"], "older");
      const set = (payload, more) => node.set(namespace, { user, path: ["a"], payload, ...more });
      const bytes = harness.noise(5_000_000);
      let turn = 0;
      const changing = new Blob([bytes]);
      changing.stream = () => new Blob([bytes.subarray(0, 4_999_999), new Uint8Array([turn++])]).stream();
      const abort = new AbortController();
      const onProgress = ({ written }) => written > 3_000_000 && abort.abort();
      const codes = [(await harness.failure(set(changing))).code, (await harness.failure(set(new Blob([bytes]), { signal: abort.signal, onProgress }))).code];
      // Writes come one after another: when this one is done, so is the tidying up.
      await harness.edit(["b"], "");
      const left = await harness.count("pieces", "payloads");
      const { entries, payloadBytes } = await node.storage();
      // What follows is cut off by leaving the page: read for the second time, it stands still in the middle.
      const standing = new Blob([bytes]);
      standing.stream = () => {
        standing.stream = () => new ReadableStream({ start: (to) => to.enqueue(bytes.subarray(0, 4_000_000)) });
        return new Blob([bytes]).stream();
      };
      await new Promise((resolve) => set(standing, { onProgress: ({ written }) => written === 4_000_000 && resolve() }).catch(() => {}));
      return { codes, left, entries, payloadBytes, cut: await harness.count("pieces", "payloads") };
    }));
    assert.ok(seen.cut > seen.left + 2, JSON.stringify(seen));
    assert.deepEqual(seen, { codes: ["payloadUnreadable", "aborted"], left: seen.left, entries: 2, payloadBytes: 5, cut: seen.cut });
    await page.reload();
    await page.waitForFunction(() => globalThis.harness !== undefined);
    const after = await within(60_000, "the page's part", page.evaluate(async () => {
      await harness.open({ relays: [], storage: { indexedDb: "pieces" } });
      await harness.settle();
      const left = await harness.count("pieces", "payloads");
      const older = (await harness.node.get(harness.namespace, harness.user, ["a"])).length;
      const bytes = harness.noise(5_000_000);
      const { entry, pruned } = await harness.node.set(harness.namespace, { user: harness.user, path: ["a"], payload: new Blob([bytes]) });
      return { left, older, pruned, whole: harness.same(bytes, await harness.bytes(harness.node.payloadStream(entry))) };
    }));
    assert.deepEqual(after, { left: seen.left, older: 5, pruned: 1, whole: true });
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
  }
});

/** MiB that go from page to page, and by how many the heaps of the modules may grow meanwhile. */
const LARGE = 64;
const GROWTH = 16;

test("durable: a large payload goes from page to page, through modules that do not hold it, and on after a reload", async () => {
  const profiles = await Promise.all([openProfile(), openProfile()]);
  try {
    const [a, b] = await Promise.all(profiles.map((profile) => openHarness(profile)));
    const options = { storage: { indexedDb: "large" } };
    const ticket = await a.page.evaluate(async ([url, options]) => {
      await harness.create([url], options);
      harness.began = await harness.heap();
      return harness.share();
    }, [shared.relay, options]);
    await a.page.evaluate(async (mebibytes) => {
      const { node, namespace, user } = harness;
      harness.written = (await node.set(namespace, { user, path: ["large"], payload: await harness.largeBlob(mebibytes) })).entry;
    }, LARGE);
    const place = await b.page.evaluate(async ([url, ticket, options]) => {
      await harness.join([url], ticket, "live", options);
      await harness.receives(16 * 1024 * 1024);
      return harness.place();
    }, [shared.relay, ticket, options]);
    await b.page.reload();
    await b.page.waitForFunction(() => globalThis.harness !== undefined);
    const [here, received] = await b.page.evaluate(async ([url, place, options]) => {
      await harness.resume([url], place, options);
      harness.began = await harness.heap();
      const [{ available }] = await harness.listing();
      await harness.holds(1);
      const [{ bytesReceived }] = await harness.node.peers();
      return [available, bytesReceived];
    }, [shared.relay, place, options]);
    const rest = LARGE * 1024 * 1024 - here;
    assert.ok(here > 16 * 1024 * 1024 && received < 1.2 * rest, `${received} bytes came, though ${here} were here`);
    const heaps = await Promise.all([a, b].map(({ page }) => page.evaluate(async () => (await harness.heap()) - harness.began)));
    const [read, size] = await b.page.evaluate(async () => {
      const [{ path, user }] = await harness.listing();
      let [read, same, seed] = [0, true, 1];
      let expected = harness.noise(1024 * 1024, seed);
      for await (const piece of harness.node.payloadStream({ namespace: harness.namespace, user, path })) {
        const from = read % expected.length;
        same &&= harness.same(piece, expected.subarray(from, from + piece.length));
        read += piece.length;
        if (read % expected.length === 0) expected = harness.noise(1024 * 1024, (seed += 1));
      }
      return [same, read];
    });
    assert.deepEqual([read, size], [true, LARGE * 1024 * 1024]);
    assert.ok(heaps.every((growth) => growth < GROWTH), `the heaps have grown by ${heaps.join(" and ")} MiB`);
    assert.deepEqual([...a.errors, ...b.errors], []);
  } finally {
    await Promise.all(profiles.map((profile) => profile.close()));
  }
});
