// Much of what goes wrong, again and again: relays that die, pages that dial each other, nodes that are shut down, a crowd of peers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { misplaced } from "./support/order.mjs";
import { startRelay } from "./support/programs.mjs";
import { random, seed } from "./support/random.mjs";
import { fill, openPages, within } from "./support/three.mjs";

const MEBIBYTE = 1024 * 1024;
// A browser logs each WebSocket and each request that fails.
const expected = /WebSocket connection to .* failed|net::ERR_/;

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Collects the events of each session that peers open, from now on. */
const followIncoming = () => void harness.collectIncoming((harness.sessions = []));

/** Both pages hold the same `count` entries with all of their payloads, by the digests that each computed for itself. */
async function assertEqual(a, b, count) {
  await within(120_000, `both hold ${count} entries`, Promise.all([a, b].map((page) => page.evaluate((wanted) => harness.holds(wanted), count))));
  const [ofA, ofB] = await Promise.all([a, b].map((page) => page.evaluate(() => harness.listing())));
  assert.deepEqual(ofA, ofB);
}

test("a relay is killed and restarted ten times during a sync of 20 MiB", async () => {
  const pages = await openPages({ expected });
  let mortal = await startRelay();
  try {
    const { a, b } = pages;
    const add = (index) => a.evaluate(([number, size]) => harness.addNoise(["large", String(number)], size, number), [index, MEBIBYTE]);
    const ticket = await fill(a, mortal.url, [], MEBIBYTE);
    for (let index = 1; index < 10; index += 1) await add(index);
    await a.evaluate(followIncoming);
    await b.evaluate(([url, text]) => harness.join([url], text), [mortal.url, ticket]);
    await b.evaluate(() => void harness.collect(harness.intent, (harness.seen = [])));
    let [received, losses] = [0, 0];
    for (let round = 0; round < 10; round += 1) {
      await add(10 + round); // so that something is under way, however fast the rest was
      received = await within(60_000, `bytes arrive in round ${round}`, b.evaluate((bytes) => harness.receives(bytes), received));
      await mortal.stop();
      if (round === 1 || round === 5) {
        // A connection outlives a relay that is back soon. Here page B probes it meanwhile, and gives it up: a new session goes on with it.
        losses += 1;
        await b.evaluate(() => harness.node.notify({ frozen: false }));
        const lost = (wanted) => harness.seen.filter(({ type }) => type === "disconnected").length >= wanted;
        await within(60_000, `page B gives up in round ${round}`, b.waitForFunction(lost, losses, { polling: 100, timeout: 0 }));
      }
      mortal = await startRelay(mortal.port);
    }
    await assertEqual(a, b, 20);
    const [seen, sessions] = [await b.evaluate(() => harness.seen), await a.evaluate(() => harness.sessions)];
    assert.equal(misplaced(seen, { ended: false }), undefined);
    for (const [index, events] of sessions.entries()) assert.equal(misplaced(events, { ended: index < sessions.length - 1 }), undefined);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
    await mortal.stop();
  }
});

test("two pages dial each other at once, fifty times, and each time there is one session", async (t) => {
  const pages = await openPages();
  try {
    const both = (body, ...values) => Promise.all([pages.a, pages.b].map((page, index) => page.evaluate(body, values[index] ?? values[0])));
    const ticket = await fill(pages.a, relay.url, [], 10);
    await pages.b.evaluate(async ([url, text]) => {
      await harness.open({ relays: [url] });
      ({ namespace: harness.namespace, user: harness.user } = await harness.node.join(text));
      await harness.node.online();
    }, [relay.url, ticket]);
    const ids = await both(() => {
      harness.collect(harness.node.watchPeers(), (harness.changes = []));
      harness.collectIncoming((harness.sessions = []));
      return harness.node.id;
    });
    const dial = async ([peer, round, moment]) => {
      while (Date.now() < moment) await new Promise((resolve) => setTimeout(resolve, 1));
      harness.intent = harness.node.sync({ id: peer, relays: harness.node.address().relays }, { mode: "live" });
      harness.seen = harness.collect(harness.intent);
      await harness.edit(["round", harness.node.id], String(round));
      await harness.until(harness.intent, ({ type }) => type === "reconciledAll");
      return (await harness.node.peers()).map(({ id, state, role }) => ({ id, state, role }));
    };
    const close = async () => {
      await harness.intent.close();
      while (harness.changes.at(-1)?.type !== "gone") await new Promise((resolve) => setTimeout(resolve, 1));
      const changes = harness.changes.splice(0).map(({ type }) => type);
      return { seen: await harness.seen, changes, incoming: harness.sessions.splice(0).length };
    };
    let collisions = 0;
    for (let round = 0; round < 50; round += 1) {
      const moment = Date.now() + 20;
      const name = `round ${round}`;
      const [inA, inB] = await within(60_000, name, both(dial, [ids[1], round, moment], [ids[0], round, moment]));
      const roles = [inA, inB].map((peers) => peers[0]?.role).sort();
      assert.deepEqual([inA, inB].map((peers) => peers.map(({ id, state }) => [id, state])), [[[ids[1], "active"]], [[ids[0], "active"]]], name);
      assert.deepEqual(roles, ["acceptor", "dialer"], name);
      const sides = await within(60_000, `the end of ${name}`, both(close));
      for (const { seen, changes } of sides) {
        assert.equal(misplaced(seen, { ended: true }), undefined, name);
        assert.deepEqual(seen.at(-1), { type: "ended", completion: { outcome: "closed" } }, name);
        assert.equal(changes.filter((type) => type === "established").length, 1, `${name}: ${changes.join(" ")}`);
      }
      assert.equal(sides[0].incoming + sides[1].incoming, 1, name);
      collisions += sides.every(({ changes }) => changes.includes("connecting")) ? 1 : 0;
    }
    t.diagnostic(`both dialed in ${collisions} of 50 rounds`);
    assert.ok(collisions > 0);
    await assertEqual(pages.a, pages.b, 3);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("a node is shut down at a random moment, fifty times", async (t) => {
  const first = seed();
  t.diagnostic(`OSIER_SEED=${first}`);
  const next = random(first);
  const pages = await openPages();
  try {
    const ticket = await fill(pages.a, relay.url, [], 2 * MEBIBYTE);
    const live = async ([url, text, delay, strangers]) => {
      const node = await osier.WillowNode.open({ relays: [url], storage: "memory" });
      const { namespace, user, peers } = await node.join(text);
      const intent = node.sync(peers[0], { mode: "live" });
      const [seen, changes] = [harness.collect(intent), harness.until(node.watchPeers(), () => false)];
      const write = async () => {
        // Nothing but writes in memory, and yet timers run.
        for (;;) await node.set(namespace, { user, path: ["storm"], payload: "again" });
      };
      const writing = harness.failure(write());
      const stored = harness.until(node.subscribe(namespace), () => false);
      const dials = strangers.map(() => node.sync({ id: user, relays: [url] }));
      await new Promise((resolve) => setTimeout(resolve, delay));
      await node.shutdown();
      await Promise.all([changes, stored]); // they end
      const refused = [intent, ...dials].map(({ completed }) => completed).concat(node.peers()).map((promise) => harness.failure(promise));
      return { seen: await seen, codes: (await Promise.all([writing, ...refused])).map(({ code }) => code) };
    };
    for (let round = 0; round < 50; round += 1) {
      const delay = next() ** 2 * 600;
      const name = `round ${round}, after ${Math.round(delay)} ms, OSIER_SEED=${first}`;
      // A dial to nobody keeps the endpoint open for its three seconds: not in each round.
      const strangers = round % 10 === 0 ? ["nobody"] : [];
      // Ten seconds for the peers, three for the endpoint; the rest is for a busy machine.
      const { seen, codes } = await within(30_000, name, pages.b.evaluate(live, [relay.url, ticket, delay, strangers]));
      assert.deepEqual(codes, Array(3 + strangers.length).fill("shuttingDown"), name);
      assert.equal(misplaced(seen, { ended: true }), undefined, name);
    }
    await within(60_000, "the partner is done with all of them", pages.a.evaluate(() => harness.alone()));
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});

test("thirty peers at one page end with the same as it", async () => {
  const pages = await openPages();
  try {
    const { a, b } = pages;
    const ticket = await fill(a, relay.url, [], 100_000);
    await a.evaluate(followIncoming);
    await b.evaluate(async ([url, text]) => {
      harness.relay = url;
      harness.crowd = await Promise.all(Array.from({ length: 30 }, async (_, index) => {
        const node = await harness.fresh();
        const { namespace, user, peers } = await node.join(text);
        const intent = node.sync(peers[0], { mode: "live" });
        const seen = [];
        harness.collect(intent, seen);
        await node.set(namespace, { user, path: ["crowd", String(index)], payload: `of ${index}` });
        return { node, namespace, seen };
      }));
    }, [relay.url, ticket]);
    await within(120_000, "the page holds everything", a.evaluate(() => harness.holds(31)));
    const peers = await a.evaluate(async () => (await harness.node.peers()).map(({ state, role }) => `${state} ${role}`));
    assert.deepEqual(peers, Array(30).fill("active acceptor"));
    const listing = await a.evaluate(() => harness.listing());
    const theirs = await within(120_000, "the crowd holds everything", b.evaluate(async () => {
      const holds = async ({ node, namespace, seen }) => {
        Object.assign(harness, { node, namespace });
        await harness.holds(31);
        return { entries: await harness.listing(), seen };
      };
      const all = [];
      for (const one of harness.crowd) all.push(await holds(one));
      return all;
    }));
    for (const { entries, seen } of theirs) {
      assert.deepEqual(entries, listing);
      assert.equal(misplaced(seen, { ended: false }), undefined);
      assert.equal(seen.filter(({ type }) => type === "established").length, 1);
    }
    await within(60_000, "the crowd is gone", b.evaluate(() => harness.shutdownAll()));
    await within(60_000, "the page is alone", a.evaluate(() => harness.alone()));
    const over = () => harness.sessions.every((events) => ["ended", "error"].includes(events.at(-1)?.type));
    await within(60_000, "every session has ended", a.waitForFunction(over, undefined, { timeout: 0 }));
    const sessions = await a.evaluate(() => harness.sessions);
    assert.equal(sessions.length, 30);
    for (const events of sessions) assert.equal(misplaced(events, { ended: true }), undefined);
    assert.deepEqual(pages.errors(), []);
  } finally {
    await pages.close();
  }
});
