// Relays that are down, come up, and go away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { fill, joinPage, openPages, within } from "./support/three.mjs";

// A browser logs each WebSocket and each request that fails.
const expected = /WebSocket connection to .* failed|net::ERR_/;

/** The URL and port of a relay that is down, and stays free for one that is started there. */
async function absentRelay() {
  const relay = await startRelay();
  await relay.stop();
  return relay;
}

test("a node opens while its relay is down, and is online once the relay is up", async () => {
  const { url, port } = await absentRelay();
  const profile = await openProfile();
  let relay;
  try {
    const { page, errors } = await openHarness(profile, { expected });
    await page.evaluate((relays) => harness.open({ relays }), [url]);
    await page.evaluate(() => {
      harness.online = false;
      harness.node.online().then(() => {
        harness.online = true;
      });
    });
    await page.waitForTimeout(1_000);
    assert.equal(await page.evaluate(() => harness.online), false);
    relay = await startRelay(port);
    await within(60_000, "the node is online", page.waitForFunction(() => harness.online));
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
    await relay?.stop();
  }
});

test("a sync through a relay that is down fails with a code on its own deadline", async () => {
  const { url } = await absentRelay();
  const profile = await openProfile();
  try {
    const { page, errors } = await openHarness(profile, { expected });
    await page.evaluate((relays) => harness.create(relays), [url]);
    const attempt = async (relay) => {
      const peer = await osier.WillowNode.open({ relays: [relay], storage: "memory" });
      const began = harness.clock();
      const intent = harness.node.sync(peer.address(), { mode: "once", reconnect: { attempts: 0 } });
      const types = [];
      const following = (async () => {
        for await (const event of intent) types.push(event.type);
      })();
      const error = await harness.failure(intent.completed);
      await following;
      await peer.shutdown();
      return { error, types, milliseconds: harness.clock() - began };
    };
    const { error, types, milliseconds } = await within(30_000, "the intent fails", page.evaluate(attempt, url));
    assert.ok(["timeout", "dialFailed"].includes(error.code), error.code);
    assert.equal(types[0], "connecting");
    assert.equal(types.at(-1), "error");
    assert.ok(milliseconds < 15_000, `${milliseconds} ms`);
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
  }
});

test("a live session goes on after its relay was restarted", async () => {
  let relay = await startRelay();
  const pages = await openPages({ expected });
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [{ path: ["one"], bytes: Buffer.from("1") }], 10);
    await joinPage(b, relay.url, ticket, 2);
    await relay.stop();
    const { key } = await a.evaluate(() => harness.edit(["while", "down"], "written without a relay"));
    relay = await startRelay(relay.port);
    await within(60_000, "the edit arrives", b.evaluate((wanted) => harness.arrival(wanted), key));
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
    await relay.stop();
  }
});
