// Drops: what goes out of one node as a stream comes into another, from a stream, a Blob or bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

/** In the page: a node with two small entries and one of 3 MB, and ways to look at another. */
const prepare = () =>
  shared.run(async () => {
    const node = await harness.fresh();
    const user = await node.createUser();
    const namespace = await node.createNamespace({ kind: "owned", owner: user });
    await node.set(namespace, { user, path: ["a"], payload: "hello" });
    await node.set(namespace, { user, path: ["b", "empty"], payload: "" });
    await node.set(namespace, { user, path: ["b", "large"], payload: new Blob([harness.noise(3_000_000)]) });
    const contents = async (of) => {
      const seen = [];
      for await (const entry of of.entries(namespace)) {
        const bytes = await of.payload(entry);
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        seen.push([entry.path.join("/"), bytes.length, [...digest.subarray(0, 8)].join()]);
      }
      return seen;
    };
    // Not by a Response: it hides why a stream fails.
    const collect = async (stream) => {
      const [reader, pieces] = [stream.getReader(), []];
      for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value);
      return new Uint8Array(await new Blob(pieces).arrayBuffer());
    };
    globalThis.drops = { node, namespace, user, contents, collect };
  });

test("a drop comes back from a stream, a Blob and bytes, with progress", async () => {
  await prepare();
  const seen = await shared.run(async () => {
    const { node, namespace, contents, collect } = drops;
    const written = [];
    const bytes = await collect(node.exportDrop(namespace, undefined, { onProgress: (progress) => written.push(progress) }));
    const sources = { stream: () => node.exportDrop(namespace), blob: () => new Blob([bytes]), bytes: () => bytes };
    const results = {};
    for (const [name, source] of Object.entries(sources)) {
      const other = await harness.fresh();
      const read = [];
      const first = await other.importDrop(source(), { onProgress: (progress) => read.push(progress) });
      results[name] = { first, again: await other.importDrop(source()), last: read.at(-1), steps: read.length, same: JSON.stringify(await contents(other)) === JSON.stringify(await contents(node)) };
    }
    const part = await (await harness.fresh()).importDrop(node.exportDrop(namespace, { path: ["b"] }));
    return { length: bytes.length, written: written.at(-1), growing: written.every(({ bytes }, index) => index === 0 || bytes >= written[index - 1].bytes), results, part };
  });
  assert.ok(seen.length > 3_000_000 && seen.growing);
  assert.deepEqual(seen.written, { entries: 3, withoutPayload: 0, bytes: seen.length });
  assert.deepEqual(seen.part, { inserted: 2, skipped: 0 });
  for (const [name, { first, again, last, steps, same }] of Object.entries(seen.results)) {
    assert.deepEqual([first, again], [{ inserted: 3, skipped: 0 }, { inserted: 0, skipped: 3 }], name);
    assert.deepEqual(last, { inserted: 3, skipped: 0, bytes: seen.length }, name);
    assert.ok(steps > 2 && same, name);
  }
});

test("a drop is made no faster than it is read, and a reader that leaves ends it", async () => {
  await prepare();
  const seen = await shared.run(async () => {
    const { node, namespace } = drops;
    let made = 0;
    const reader = node.exportDrop(namespace, {}, { onProgress: ({ bytes }) => (made = bytes) }).getReader();
    const before = made;
    const first = (await reader.read()).value.length;
    await new Promise((resolve) => setTimeout(resolve));
    const after = made;
    await reader.cancel();
    const entry = await node.set(namespace, { user: drops.user, path: ["later"], payload: "still at work" });
    return { before, first, after, pruned: entry.pruned };
  });
  assert.deepEqual(seen, { before: 0, first: 65_536, after: 65_536, pruned: 0 });
});

test("what is no drop, or a damaged one, is refused; what cannot be read or is given up ends", async () => {
  await prepare();
  const seen = await shared.run(async () => {
    const { node, namespace, contents, collect } = drops;
    const bytes = await collect(node.exportDrop(namespace));
    const changed = (at) => bytes.with(bytes.length + at, bytes.at(at) ^ 1);
    const failing = () => new ReadableStream({ pull: (controller) => controller.error(new Error("the disk is gone")) });
    const locked = new Blob([bytes]).stream();
    locked.getReader();
    const aborted = new AbortController();
    const late = { signal: aborted.signal, onProgress: () => aborted.abort() };
    const soon = new AbortController();
    // The first bytes are asked for at the start, more once they were taken.
    const standing = new ReadableStream({ start: (controller) => controller.enqueue(bytes.slice(0, -9)), pull: () => setTimeout(() => soon.abort()) });
    const other = await harness.fresh();
    const wrong = {
      "no drop": ["a drop"], "nothing": [undefined], "no stream of bytes": [new ReadableStream({ start: (controller) => controller.enqueue("text") })],
      "a locked stream": [locked], "a wrong option": [bytes, { area: {} }], "no callback": [bytes, { onProgress: 5 }],
      "other bytes": [new Uint8Array([200, 1, 2])], "no bytes": [new Uint8Array()], "cut short": [bytes.subarray(0, -1)], "a changed payload": [changed(-9)],
      "a stream that stands still": [standing, { signal: soon.signal }], "a stream that fails": [failing()], "aborted before": [bytes, { signal: AbortSignal.abort() }], "aborted meanwhile": [bytes, late],
    };
    const seen = {};
    for (const [name, [drop, options]] of Object.entries(wrong)) seen[name] = await harness.failure(other.importDrop(drop, options));
    const exporting = { "no space": ["x"], "no area": [namespace, { path: "x" }], "no options": [namespace, {}, { signal: aborted.signal }] };
    for (const [name, words] of Object.entries(exporting)) seen[`export: ${name}`] = await harness.failure(collect(node.exportDrop(...words)));
    // Nothing is in the way of a good one, at once.
    const result = await other.importDrop(bytes);
    const same = JSON.stringify(await contents(other)) === JSON.stringify(await contents(node));
    let cancelled;
    const endless = new ReadableStream({ start: (controller) => controller.enqueue(bytes.slice(0, -9)), cancel: () => (cancelled = true) });
    const ending = harness.failure(node.importDrop(endless));
    await node.shutdown();
    seen["at the end"] = await ending;
    seen["after the end"] = await harness.failure(node.importDrop(bytes));
    seen["export: after the end"] = await harness.failure(collect(node.exportDrop(namespace)));
    return { seen, result, same, cancelled };
  });
  const codes = Object.fromEntries(Object.entries(seen.seen).map(([name, { code, argument }]) => [name, [code, argument]]));
  const invalid = (argument) => ["invalidArgument", argument];
  const bad = ["invalidDrop", "drop"];
  const [aborted, over] = [["aborted", undefined], ["shuttingDown", undefined]];
  assert.deepEqual(codes, {
    "no drop": invalid("drop"), "nothing": invalid("drop"), "no stream of bytes": invalid("drop"), "a locked stream": invalid("drop"),
    "a wrong option": invalid("options"), "no callback": invalid("onProgress"), "other bytes": bad, "no bytes": bad, "cut short": bad, "a changed payload": bad,
    "a stream that stands still": aborted, "a stream that fails": ["payloadUnreadable", "drop"], "aborted before": aborted, "aborted meanwhile": aborted,
    "export: no space": invalid("namespace"), "export: no area": invalid("path"), "export: no options": invalid("options"),
    "at the end": over, "after the end": over, "export: after the end": over,
  });
  assert.ok(seen.same && seen.cancelled && seen.result.inserted + seen.result.skipped === 3, JSON.stringify(seen.result));
});
