// Pages that reload, freeze and are hidden, while their partners stay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openHarness, openMortalProfile, openProfile } from "./support/browser.mjs";
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

// Chromium closes the WebSocket of a page that it freezes, and says so on the console.
const frozenSocket = /WebSocket connection to .* failed: Page entered Back-Forward Cache/;

/** Waits until the page's intent has had an event after the first `from`. Returns how many there were then. */
async function waitFor(page, type, from = 0) {
  const found = ([wanted, start]) => seen.findIndex((event, index) => index >= start && event.type === wanted) + 1;
  const handle = await within(60_000, `the event ${type}`, page.waitForFunction(found, [type, from], { polling: 100, timeout: 0 }));
  return handle.jsonValue();
}

test("reconnect: a page reloads ten times with the same identity while its partner stays", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [{ path: ["one"], bytes: Buffer.from("1") }], 10);
    const secret = Array.from({ length: 32 }, (_, index) => index + 1);
    let id;
    let events = 0;
    for (let round = 0; round <= 10; round += 1) {
      if (round > 0) {
        await b.reload();
        await b.waitForFunction(() => globalThis.harness !== undefined);
      }
      // Every other time the page goes as one that crashed: its node does not hear of it, and says no goodbye.
      if (round % 2 === 0) await b.evaluate(() => addEventListener("pagehide", (event) => event.stopImmediatePropagation()));
      const join = ([url, text, bytes]) => harness.join([url], text, "live", { secretKey: new Uint8Array(bytes) }).then(() => harness.node.id);
      const joined = await b.evaluate(join, [relay.url, ticket, secret]);
      assert.equal(joined, (id ??= joined));
      if (round === 0) await callFrom(a, { id, relays: [relay.url] });
      const before = events;
      events = await waitFor(a, "reconciledAll", before);
      if (round % 2 === 1) {
        // The partner knew of no loss: the new connection took the place of the one that was there, and at once.
        const types = await a.evaluate(([from, to]) => seen.slice(from, to).map(({ type }) => type), [before, events]);
        const own = await b.evaluate(() => harness.events);
        for (const told of [types, own]) assert.ok(!told.includes("disconnected"), told.join(" "));
      }
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
  const [mortal, other] = await Promise.all([openMortalProfile(), openProfile()]);
  try {
    const [{ page: a, errors }, { page: b, errors: errorsOfB }] = [await openHarness(mortal, { expected: frozenSocket }), await openHarness(other)];
    const ticket = await fill(a, relay.url, [], 10);
    const peer = await startPeer(relay.url, ticket);
    await callFrom(a, { id: peer.id, relays: [relay.url] });
    const events = await waitFor(a, "reconciledAll");
    await a.evaluate(() => {
      globalThis.life = [];
      for (const type of ["freeze", "resume", "visibilitychange"]) {
        document.addEventListener(type, () => life.push(type === "visibilitychange" ? document.visibilityState : type));
      }
    });
    const devtools = await mortal.context.newCDPSession(a);
    const freeze = (state) => devtools.send("Page.setWebLifecycleState", { state });
    const front = await mortal.context.newPage();
    await front.bringToFront();
    await freeze("frozen");
    await peer.kill(); // without a word: nobody tells the frozen page
    await freeze("active");
    const lost = await waitFor(a, "reconnecting", events);
    const told = await a.evaluate((index) => seen.slice(index - 2, index), lost);
    // The own probe says so, before the transport does; the page is hidden still, so it waits.
    assert.deepEqual(told.map(({ type, code, retry }) => [type, code, retry]), [["disconnected", "timeout", null], ["reconnecting", "timeout", null]]);
    await a.bringToFront();
    await waitFor(a, "connecting", lost);
    assert.deepEqual(await a.evaluate(() => life), ["hidden", "freeze", "resume", "visible"]);

    // A live connection stays as it is.
    await b.evaluate(([url, text]) => harness.join([url], text), [relay.url, ticket]);
    await within(60_000, "page B holds everything", b.evaluate(() => harness.holds(1)));
    await front.bringToFront();
    await freeze("frozen");
    const { key } = await b.evaluate(() => harness.edit(["while", "frozen"], "news"));
    await freeze("active");
    await a.bringToFront();
    await within(60_000, "the edit arrives after the thaw", a.evaluate((wanted) => harness.arrival(wanted), key));
    assert.ok(!(await b.evaluate(() => harness.events)).includes("disconnected"));
    assert.deepEqual([...errors, ...errorsOfB], []);
  } finally {
    await Promise.all([mortal.close(), other.close()]);
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
    assert.deepEqual(seen.status, {
      relay: { state: "connected", url: new URL(relay.url).href, reason: null },
      storage: { durable: false, state: "ok", reason: null, damaged: 0, unheld: 0 },
    });
    const { state, retry, rtt, intents, relay: through } = seen.present.peer;
    assert.deepEqual([seen.present.type, state, retry, intents, through], ["present", "active", null, 1, new URL(relay.url).href]);
    assert.ok(rtt > 0);
    assert.deepEqual([seen.events, seen.completion, seen.left], [["closed", "gone"], { outcome: "closed" }, []]);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});
