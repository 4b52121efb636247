// Pages that reload, freeze and are hidden, while their partners stay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startPeer, startRelay } from "./support/programs.mjs";
import { fill, openPages, within } from "./support/three.mjs";

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Lets the page's node sync live with a peer, and collects the intent's events in `seen`. */
function callFrom(page, peer) {
  return page.evaluate((address) => {
    globalThis.seen = [];
    globalThis.calling = harness.node.sync(address, { mode: "live", reconnect: { firstDelay: 50 } });
    (async () => {
      for await (const { type, cause, retry, error } of calling) seen.push({ type, code: (cause ?? error)?.code, retry });
    })();
  }, peer);
}

/** Waits until the page's intent has had an event after the first `from`. Returns how many there were then. */
async function waitFor(page, type, from = 0) {
  const found = ([wanted, start]) => seen.findIndex((event, index) => index >= start && event.type === wanted) + 1;
  const handle = await within(60_000, `the event ${type}`, page.waitForFunction(found, [type, from], { timeout: 0 }));
  return handle.jsonValue();
}

test("reconnect: a page reloads ten times with the same identity while its partner stays", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [{ path: ["one"], bytes: Buffer.from("1") }], 10);
    const secretKey = Array.from({ length: 32 }, (_, index) => index + 1);
    let id;
    let events = 0;
    for (let round = 0; round <= 10; round += 1) {
      if (round > 0) {
        await b.reload();
        await b.waitForFunction(() => globalThis.harness !== undefined);
      }
      const options = { secretKey };
      const join = ([url, text, { secretKey }]) => harness.join([url], text, "live", { secretKey: new Uint8Array(secretKey) }).then(() => harness.node.id);
      const joined = await b.evaluate(join, [relay.url, ticket, options]);
      assert.equal(joined, (id ??= joined));
      if (round === 0) await callFrom(a, { id, relays: [relay.url] });
      events = await waitFor(a, "reconciledAll", events);
      await within(60_000, "the page holds everything", b.evaluate((count) => harness.holds(count), 2 + round));
      const { key } = await a.evaluate((text) => harness.edit(["rounds", text], text), String(round));
      await within(60_000, "an edit of the partner arrives", b.evaluate((wanted) => harness.arrival(wanted), key));
    }
    const types = await a.evaluate(() => seen.map(({ type }) => type));
    assert.ok(types.filter((type) => type === "established").length >= 11, types.join(" "));
    assert.ok(!types.includes("error") && !types.includes("ended"), types.join(" "));
    const peers = await a.evaluate(() => harness.node.peers());
    assert.deepEqual(peers.map((peer) => [peer.id, peer.state]), [[id, "active"]]);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("reconnect: a page that was hidden and frozen notices at once that its connection is dead", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [], 10);
    const peer = await startPeer(relay.url, ticket);
    await callFrom(a, { id: peer.id, relays: [relay.url] });
    const events = await waitFor(a, "reconciledAll");
    await a.evaluate(() => {
      globalThis.life = [];
      for (const type of ["visibilitychange", "freeze", "resume"]) document.addEventListener(type, () => life.push(type === "freeze" || type === "resume" ? type : document.visibilityState));
    });
    const devtools = await a.context().newCDPSession(a);
    await devtools.send("Emulation.setFocusEmulationEnabled", { enabled: false });
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    await peer.kill(); // without a word: nobody tells the frozen page
    await devtools.send("Page.setWebLifecycleState", { state: "active" });
    await a.bringToFront();
    // The own probe says so, before the transport does.
    const lost = await waitFor(a, "disconnected", events);
    const [life, told] = await a.evaluate((index) => [life, seen[index]], lost - 1);
    assert.ok(life.includes("freeze") && life.includes("resume") && life.includes("hidden"), life.join(" "));
    assert.equal(told.code, "timeout", JSON.stringify(told));
    await waitFor(a, "connecting", lost);

    // A live connection stays as it is.
    await b.evaluate(([url, text]) => harness.join([url], text), [relay.url, ticket]);
    await within(60_000, "page B holds everything", b.evaluate(() => harness.holds(1)));
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    const { key } = await b.evaluate(() => harness.edit(["while", "frozen"], "news"));
    await devtools.send("Page.setWebLifecycleState", { state: "active" });
    await a.bringToFront();
    await within(60_000, "the edit arrives after the thaw", a.evaluate((wanted) => harness.arrival(wanted), key));
    assert.deepEqual(await b.evaluate(() => harness.events.filter((type) => type === "disconnected")), []);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("reconnect: peers and the relay are told as they change, and a peer is disconnected", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [], 10);
    await b.evaluate(([url, text]) => harness.join([url], text), [relay.url, ticket]);
    await within(60_000, "page B holds everything", b.evaluate(() => harness.holds(1)));
    const seen = await within(60_000, "page B's part", b.evaluate(async () => {
      const { value: status } = await harness.node.watchStatus().next();
      const watch = harness.node.watchPeers();
      const { value: present } = await watch.next();
      await harness.node.disconnect(present.peer.id);
      const events = await harness.until(watch, ({ type }) => type === "gone");
      const completion = await harness.intent.completed;
      return { status, present, events: events.map(({ type }) => type), completion, left: await harness.node.peers() };
    }));
    assert.deepEqual(seen.status, { relay: { state: "connected", url: `${new URL(relay.url).href}`, reason: null } });
    const { state, retry, rtt, intents, relay: through } = seen.present.peer;
    assert.deepEqual([seen.present.type, state, retry, intents, through], ["present", "active", null, 1, new URL(relay.url).href]);
    assert.ok(rtt > 0);
    assert.deepEqual([seen.events, seen.completion, seen.left], [["closed", "gone"], { outcome: "closed" }, []]);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});
