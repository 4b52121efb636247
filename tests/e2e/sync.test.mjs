// Two pages and a native peer over a real relay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { compare, editLive, entriesOfEdits, fill, joinPage, joinPeer, openPages, within } from "./support/three.mjs";

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

test("two pages and a native peer hold the same after edits from each side", async () => {
  const files = [
    { path: ["empty"], bytes: Buffer.alloc(0) },
    { path: ["notes", "today"], bytes: Buffer.from("hello") },
    { path: ["notes", "Umlaut ä/ö"], bytes: Buffer.from("a slash inside a component") },
    { path: ["large"], bytes: Buffer.alloc(70_000, "x") },
  ];
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, files, 300_001);
    await joinPage(b, relay.url, ticket, files.length + 1);
    const peer = await joinPeer(relay.url, ticket, files.length + 1);
    await editLive(a, b, peer, 3);
    const total = files.length + 1 + entriesOfEdits(3);
    const pagesHold = [a, b].map((page) => page.evaluate((wanted) => harness.holds(wanted), total));
    await within(60_000, "all hold all entries", Promise.all([...pagesHold, peer.holds(total)]));
    const { differences, entries } = await compare(a, b, peer);
    assert.deepEqual(differences, []);
    assert.equal(entries, total);
    assert.deepEqual(pages.errors(), []);
    await peer.stop();
  } finally {
    await pages.close();
  }
});

test("a session that is asked for once ends when both sides have the same", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [{ path: ["one"], bytes: Buffer.from("1") }], 10);
    await b.evaluate(([url, text]) => harness.join([url], text, "once"), [relay.url, ticket]);
    const completion = await within(60_000, "the intent completes", b.evaluate(() => harness.intent.completed));
    assert.deepEqual(completion, { outcome: "complete" });
    assert.equal((await b.evaluate(() => harness.listing())).length, 2);
    const events = await b.evaluate(() => harness.events);
    const order = ["connecting", "established", "overlap", "reconciled", "reconciledAll", "ended"].map((type) => events.indexOf(type));
    assert.deepEqual(order, [...order].sort((one, other) => one - other), events.join(" "));
    assert.ok(order.every((index) => index >= 0), events.join(" "));
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("a page knows how much nobody else holds, until a peer has stored it", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const files = [{ path: ["one"], bytes: Buffer.from("1") }];
    const ticket = await fill(a, relay.url, files, 300_001, { storage: "memory" });
    const watch = (page, wanted) =>
      page.evaluate(async (wanted) => {
        for await (const { storage } of harness.node.watchStatus()) if (storage.unheld === wanted) return storage;
      }, wanted);
    const alone = await within(60_000, "both are unheld", watch(a, files.length + 1));
    assert.deepEqual(alone, { durable: false, state: "ok", reason: null, damaged: 0, unheld: 2 });
    await joinPage(b, relay.url, ticket, files.length + 1);
    await within(60_000, "B has said that it has stored them", watch(a, 0));
    assert.equal((await watch(b, 0)).unheld, 0);
    await a.evaluate(() => harness.add([{ path: ["live"], base64: "bGl2ZQ==" }]));
    await within(60_000, "B has said that it has stored what is new", watch(a, 0));
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("whoever joins with a link for reading cannot write", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    await fill(a, relay.url, [], 10);
    const ticket = await a.evaluate(() => harness.node.share({ namespace: harness.namespace, access: "read" }));
    await joinPage(b, relay.url, ticket, 1);
    const write = () => harness.failure(harness.node.set(harness.namespace, { user: harness.user, path: ["mine"], payload: "no" }));
    assert.equal((await b.evaluate(write)).code, "notAuthorised");
    assert.equal((await b.evaluate(() => harness.listing())).length, 1);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("a page that is closed without a word does not disturb the one it talked to", async () => {
  const pages = await openPages();
  const third = await openProfile();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [{ path: ["one"], bytes: Buffer.from("1") }], 10);
    await joinPage(b, relay.url, ticket, 2);
    await b.close();
    await a.evaluate(() => harness.edit(["two"], "2"));
    const { page: c, errors } = await openHarness(third);
    await joinPage(c, relay.url, ticket, 3);
    assert.deepEqual([...pages.errors(), ...errors], []);
  } finally {
    await third.close();
    await pages.close();
  }
});
