// What the package does once the module has trapped. A module that traps at will is not to be had: this is the package's half alone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageFolder } from "./support/environment.mjs";

const part = (name) => import(pathToFileURL(join(packageFolder(), "lib", name)));
const never = () => new Promise(() => {});

test("a module that traps leaves nobody waiting", async () => {
  const { guarded, trapped } = await part("error.js");
  const { Iteration } = await part("iterate.js");
  const { Intent } = await part("intent.js");
  const { dropStream, readDrop } = await part("drop.js");
  let [closed, cancelled] = [0, 0];
  const stream = { next: never, close: () => (closed += 1) };
  const iteration = new Iteration(() => ({ stream }));
  const intent = new Intent({ peer: "", completed: never, events: () => stream, close() {} });
  const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));
  const raw = { next: never, push: never, ended: never, cancel: () => (cancelled += 1) };
  const exported = dropStream(() => [raw, () => {}]).getReader();
  const imported = readDrop(() => raw, new Uint8Array(1), { onProgress() {} });
  const waiting = { call: guarded(never), next: iteration.next(), completed: intent.completed, close: intent.close(), exported: exported.read(), imported };
  const outcomes = Object.entries(waiting).map(([name, promise]) => [name, outcome(promise)]);
  assert.equal(await guarded(async () => "in time"), "in time");

  trapped("unreachable");
  trapped("again");
  outcomes.push(["a later call", outcome(guarded(() => assert.fail("the module is not called any more")))]);
  outcomes.push(["a later event", outcome(intent[Symbol.asyncIterator]().next())]);
  for (const [name, promise] of outcomes) {
    const { error } = await promise;
    assert.equal(error?.code, "fatal", name);
    assert.match(error.message, /unreachable.*reload the page/, name);
  }
  assert.deepEqual([closed, cancelled], [2, 2]);
  assert.deepEqual(await iteration.next(), { done: true, value: undefined });
});
