// `osier/react`: in a page, in strict mode, with real nodes; and on a server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bundleForPage, evaluateInNode } from "./support/bundle.mjs";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage({
  async prepare(page) {
    await page.addScriptTag({ type: "module", content: await bundleForPage('import "./app.mjs"') });
    await page.waitForFunction(() => globalThis.app !== undefined);
  },
});

/** Waits until `body` is true in the page; if it never is, says what the page shows. */
async function becomes(what, body, argument) {
  const waiting = shared.page.waitForFunction(body, argument, { timeout: 60_000 });
  await waiting.catch(async (thrown) => assert.fail(`${what}: ${thrown.message}\n${await shared.page.innerText("body")}`));
}

test("a mounted app opens a node once, sees what another one writes, and closes all of it when it is unmounted", async () => {
  await shared.run(async () => {
    const owner = await harness.owner();
    globalThis.owner = owner;
    await owner.write(["notes", "a"], "hello");
    const link = await owner.node.share({ namespace: owner.space, access: "write" });
    // A second node, or one that did not let go, would find the database open.
    globalThis.options = { relays: [harness.relay], storage: { indexedDb: "react" }, lock: "fail" };
    app.mount("Guest", { link }, { options: globalThis.options });
    globalThis.first = app.text("fallback");
  });
  await becomes("the first note is there", () => app.items().join() === "a: ready hello");
  await becomes("all is said", () => app.text("sync") === "synced some" && app.text("peers") === "ready active" && app.text("status") === "ready connected");
  assert.equal(await shared.run(async () => (await owner.node.peers())[0].state), "active");

  await shared.run(async () => {
    await owner.write(["notes", "b"], "second");
    await owner.write(["notes", "a"], "replaced");
    await owner.write(["elsewhere"], "not shown");
    await owner.node.set(owner.space, { user: owner.user, path: ["notes", "c"], payload: "x".repeat(3_000_000) });
  });
  await becomes("the changes are there", () => app.items().join() === "a: ready replaced,b: ready second,c: ready 3000000");
  await shared.run(() => owner.write(["notes"], "instead of all"));
  await becomes("the pruned ones are gone", () => app.items().join() === "notes: ready instead of all");

  const syncs = await shared.run(async () => {
    const syncs = [...app.syncs];
    app.unmount();
    await harness.alone(owner.node);
    const again = await harness.fresh({ ...globalThis.options, lock: "wait" });
    const held = [];
    for await (const entry of again.entries(owner.space)) held.push(entry.path.join("/"));
    return { syncs, held };
  });
  assert.deepEqual(syncs.held, ["elsewhere", "notes"]);
  assert.deepEqual(syncs.syncs.filter((status) => !["idle", "connecting", "syncing", "synced"].includes(status)), []);
});

test("mounted, unmounted and mounted at once, an app has one node in the end", async () => {
  await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["notes", "a"], "hello");
    const link = await owner.node.share({ namespace: owner.space, access: "write" });
    const options = { relays: [harness.relay], storage: { indexedDb: "react again" } };
    for (let round = 0; round < 5; round += 1) {
      app.mount("Guest", { link }, { options });
      await new Promise((resolve) => requestAnimationFrame(resolve));
      app.unmount();
    }
    app.mount("Guest", { link }, { options });
  });
  await becomes("the note is there", () => app.items().join() === "a: ready hello");
  await shared.run(() => app.unmount());
});

test("a thousand changes are few renders, no second listing, and the right list", async () => {
  const counted = await shared.run(async () => {
    const owner = await harness.owner();
    let listings = 0;
    const node = {
      entries: (...given) => ((listings += 1), owner.node.entries(...given)),
      subscribe: (...given) => owner.node.subscribe(...given),
      get: (...given) => owner.node.get(...given),
      payload: (...given) => owner.node.payload(...given),
    };
    app.mount("Notes", { namespace: owner.space, user: owner.user }, { node });
    const written = [];
    for (let index = 0; index < 1000; index += 1) written.push(owner.write(["notes", `${(index * 7919) % 1000}`.padStart(3, "0")], `${index}`));
    await Promise.all(written);
    await owner.write(["notes", "own"], "12345");
    globalThis.counts = () => ({ listings, renders: app.renders, states: [...app.lists] });
  });
  assert.equal(counted, undefined);
  await becomes("all are there", () => app.items().length === 1001 && app.text("own") === "ready 5" && !app.items().some((item) => item.includes("loading")));
  const { listings, renders, sorted } = await shared.run(() => {
    const { listings, renders, states } = counts();
    const names = states.at(-1).value.map(({ path }) => path.at(-1));
    app.unmount();
    return { listings, renders, sorted: String(names) === String([...names].sort()) };
  });
  assert.equal(listings, 1);
  assert.ok(renders < 400, `${renders} renders`); // strict mode renders twice
  assert.ok(sorted);
});

test("an intent begins and is closed with its component", async () => {
  await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["a"], "hello");
    globalThis.guest = await harness.guest(owner);
    app.mount("Sync", { peer: guest.peers[0] }, { node: guest.node });
  });
  await becomes("it is synced", () => app.text("sync") === "synced undefined 1");
  assert.equal(await shared.run(async () => (await guest.node.peers())[0].intents), 1);
  await shared.run(async () => {
    app.unmount();
    await harness.alone(guest.node);
    app.mount("Sync", { peer: guest.peers[0].id, init: { mode: "once" } }, { node: guest.node });
  });
  await becomes("it has ended", () => app.text("sync")?.startsWith("ended complete"));
  await shared.run(() => (app.unmount(), app.mount("Sync", { peer: guest.node.id }, { node: guest.node })));
  await becomes("it has failed", () => app.text("sync")?.startsWith("error selfPeer"));
  await shared.run(() => (app.unmount(), app.mount("Sync", {}, { node: guest.node })));
  await becomes("it has not begun", () => app.text("sync")?.startsWith("idle"));
  await shared.run(() => app.unmount());
});

test("what is wrong is told as a state, beside what was known", async () => {
  const shown = async (name, props, provider, id, wanted) => {
    await shared.run(([name, props, provider]) => app.mount(name, props, provider), [name, props, provider]);
    await becomes(`${id} says ${wanted}`, ([id, wanted]) => app.text(id) === wanted, [id, wanted]);
    await shared.run(() => app.unmount());
  };
  const memory = { options: { relays: [shared.relay], storage: "memory" } };
  await shown("Notes", {}, { options: { storage: { indexedDb: "" } } }, "fallback", "error invalidArgument");
  await shown("One", { namespace: "nonsense" }, memory, "notes", "error invalidArgument");
  await shown("One", {}, memory, "notes", "loading");
  const place = { namespace: "11".repeat(32), user: "22".repeat(32), path: ["x"] };
  await shown("One", { entry: place }, memory, "payload", "error noSuchEntry");
  await shown("One", { entry: place }, { options: { storage: { indexedDb: "" } }, fallback: undefined }, "payload", "error invalidArgument");
  assert.equal(await shared.run(async () => (await app.orphan()).code), "invalidArgument");

  await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["notes", "a"], "hello");
    app.mount("Notes", { namespace: owner.space, user: owner.user }, { node: owner.node });
    globalThis.owner = owner;
  });
  await becomes("the note is there", () => app.items().join() === "a: ready hello");
  await shared.run(() => owner.node.shutdown());
  await becomes("the list says that the node is gone, and has its last value", () => app.text("notes") === "error shuttingDown" && app.items().length === 1);
  await shared.run(() => app.unmount());
});

test("on a server everything is loading, and nothing is touched", async () => {
  const before = Object.getOwnPropertyNames(globalThis);
  const { pages } = await evaluateInNode(`
    import { createElement as h } from "react";
    import { renderToString } from "react-dom/server";
    import { OsierProvider, useEntries, useEntry, useNode, usePayload, usePeers, useStatus, useSync } from "osier/react";
    const id = "00".repeat(32);
    function All() {
      const entry = { namespace: id, user: id, path: [] };
      const states = [useNode(), useEntries(id), useEntry(id, id, []), usePayload(entry), usePeers(), useStatus(), useSync(id)];
      return states.map(({ status }) => status).join(" ");
    }
    const render = (props) => renderToString(h(OsierProvider, props, h(All)));
    export const pages = [render({}), render({ fallback: "wait" }), render({ fallback: (state) => "it is " + state.status })];
  `);
  assert.deepEqual(pages, ["loading loading loading loading loading loading idle", "wait", "it is loading"]);
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
});
