// Nodes in workers, which sync with a node in a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

/** Starts the worker and defines `ask(call, argument)` in the page. */
async function startWorker(kind) {
  await shared.run(async (which) => {
    const options = { type: "module", name: which };
    const worker = which === "shared" ? new SharedWorker("/e2e/worker.mjs", options) : new Worker("/e2e/worker.mjs", options);
    const port = which === "shared" ? worker.port : worker;
    const answer = () =>
      new Promise((resolve, reject) => {
        port.onmessage = ({ data }) => (data.error ? reject(osier.WillowError.from(data.error)) : resolve(data.value));
        worker.onerror = (event) => reject(new Error(`the worker: ${event.message}`));
      });
    globalThis.ask = (call, argument) => {
      const promise = answer();
      port.postMessage({ call, argument });
      return promise;
    };
    await answer();
  }, kind);
}

for (const kind of ["dedicated", "shared"]) {
  test(`a node in a ${kind} worker syncs with one in a page`, async () => {
    await startWorker(kind);
    const seen = await shared.run(async () => {
      const id = await ask("open", harness.relay);
      const owner = await harness.owner();
      await owner.write(["from", "page"], "hello, worker");
      const met = await ask("join", await owner.node.share({ namespace: owner.space, access: "write" }));
      const text = await ask("text", "from/page");
      await ask("write", [["from", "worker"], "hello, page"]);
      const isIt = ({ type, entry }) => type === "inserted" && entry.path.join("/") === "from/worker";
      const [{ entry, origin }] = (await harness.until(owner.node.subscribe(owner.space, {}, { from: 0 }), isIt)).slice(-1);
      await owner.node.fetchPayload(entry);
      const back = new TextDecoder().decode(await owner.node.payload(entry));
      const error = await harness.failure(ask("fail"));
      const [peer] = await owner.node.peers();
      await ask("shutdown");
      return { id, owner: owner.node.id, met, text, origin, back, error, peer: peer.id };
    });
    assert.match(seen.id, /^[0-9a-f]{64}$/);
    assert.deepEqual([seen.met, seen.peer], [seen.owner, seen.id]);
    assert.deepEqual([seen.text, seen.back, seen.origin], ["hello, worker", "hello, page", "peer"]);
    assert.deepEqual([seen.error.code, seen.error.argument], ["invalidArgument", "namespace"]);
  });
}

test("a page joins a space that a node in a shared worker made", async () => {
  await startWorker("shared");
  const text = await shared.run(async () => {
    await ask("open", harness.relay);
    const ticket = await ask("create");
    await ask("write", [["a"], "made in a worker"]);
    const node = await harness.fresh();
    const joined = await node.join(ticket);
    await node.sync(joined.peers[0], { mode: "once" }).completed;
    const { value: entry } = await node.entries(joined.namespace).next();
    await ask("shutdown");
    return new TextDecoder().decode(await node.payload(entry));
  });
  assert.equal(text, "made in a worker");
});
