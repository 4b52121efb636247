// One node for all pages of an origin, in a worker: the same API, and nothing lost when whoever runs it goes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openHarness, openMortalProfile, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Runs `body` with a function that opens pages of one profile; none of them may have an error. */
async function withPages(body, profile = openProfile()) {
  const { context, close, ...more } = await profile;
  const errors = [];
  try {
    await body(async () => {
      const opened = await openHarness({ context });
      errors.push(opened.errors);
      return opened.page;
    }, { context, ...more });
    assert.deepEqual(errors.flat(), []);
  } finally {
    await close();
  }
}

const STORED = { indexedDb: "hosts" };
const open = (page, host, options = {}) =>
  within(30_000, `a node in ${host}`, page.evaluate(([url, host, options]) => harness.open({ relays: [url], host, ...options }), [relay.url, host, { storage: STORED, ...options }]));
const settle = async (page) => {
  await page.evaluate(() => harness.settle());
  return page.evaluate(() => harness.place());
};
const write = (page, path, text) => within(30_000, `${path} is written`, page.evaluate(([path, text]) => harness.edit([path], text), [path, text]));
const paths = (page) => within(30_000, "a listing", page.evaluate(async () => (await harness.listing()).map(({ path }) => path.join("/")).sort()));

for (const host of ["shared", "worker"]) {
  test(`host ${host}: pages of one origin share a node, and what one writes the others see`, () =>
    withPages(async (newPage) => {
      const [a, b] = [await newPage(), await newPage()];
      const id = await open(a, host);
      const place = await settle(a);
      assert.equal(await open(b, host), id);
      await b.evaluate((place) => Object.assign(harness, place), place);
      assert.deepEqual(await Promise.all([a, b].map((page) => page.evaluate(() => harness.node.host))), [host, host]);
      const told = b.evaluate(async () => {
        for await (const event of harness.node.subscribe(harness.namespace)) return [event.type, event.entry.path, event.origin];
      });
      await write(a, "from a", "hello");
      assert.deepEqual(await within(10_000, "b is told", told), ["inserted", ["from a"], "local"]);
      await write(b, "from b", "hi");
      assert.deepEqual(await paths(a), ["from a", "from b"]);
      // Whoever closes leaves the node to the others.
      await a.close();
      await write(b, "later", "still here");
      assert.deepEqual(await paths(b), ["from a", "from b", "later"]);
    }));
}

/** Has a page write until it closes or is asked again; what was acknowledged is in `acknowledged`. */
const keepWriting = (page, name, acknowledged) => {
  page.on("console", (message) => {
    const [, path] = /^kept (\S+)$/.exec(message.text()) ?? [];
    if (path !== undefined) acknowledged.add(path);
  });
  return page.evaluate((name) => {
    const write = async () => {
      harness.writing = name;
      for (let index = 0; harness.writing === name; index += 1) {
        await harness.edit([`${name}-${index}`], "kept");
        console.log(`kept ${name}-${index}`);
      }
    };
    void write();
  }, name);
};

/** Whether anything is written within so many milliseconds, and how long that took. */
const handOver = (page, name) =>
  within(30_000, "a hand-over", page.evaluate(async (name) => {
    const began = performance.now();
    await harness.edit([name], "after");
    return performance.now() - began;
  }, name));

test("host worker: the page that runs the node closes 20 times during a sync, and nothing is lost", async (t) => {
  const partner = await openProfile();
  await withPages(async (newPage, { context }) => {
    const { page: other } = await openHarness(partner);
    await other.evaluate((url) => harness.create([url]), relay.url);
    const ticket = await other.evaluate(() => harness.share());
    const acknowledged = new Set();
    const pages = [];
    const join = async () => {
      const page = await newPage();
      pages.push(page);
      await open(page, "worker");
      await within(30_000, "it joins", page.evaluate(async (ticket) => {
        const [user] = await harness.node.users();
        const joined = await harness.node.join(ticket, user && { as: user });
        Object.assign(harness, { namespace: joined.namespace, user: joined.user });
        harness.intent = harness.node.sync(joined.peers[0], { mode: "live" });
        harness.follow();
      }, ticket));
      return page;
    };
    for (let index = 0; index < 4; index += 1) await join();
    const times = [];
    for (let round = 0; round < 20; round += 1) {
      await keepWriting(pages[0], `r${round}`, acknowledged);
      await join();
      // The oldest page runs the node.
      await pages.shift().close();
      times.push(await handOver(pages[0], `after-${round}`));
      acknowledged.add(`after-${round}`);
    }
    const told = [...acknowledged];
    const there = new Set(await paths(pages[0]));
    assert.deepEqual(told.filter((path) => !there.has(path)), []);
    assert.equal(context.pages().length, 5); // and the empty one of the profile
    // All of it arrives at the partner: the intents went on.
    const missing = () => other.evaluate(async (all) => {
      const here = new Set((await harness.listing()).map(({ path }) => path.join("/")));
      return all.filter((path) => !here.has(path)).length;
    }, [...there]);
    await within(60_000, "the partner has it", (async () => {
      while ((await missing()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    })());
    const completions = await Promise.all(pages.map((page) => page.evaluate(() => Promise.race([harness.intent.completed.then(() => "ended", (error) => error.code), new Promise((resolve) => setTimeout(resolve, 0, "live"))]))));
    assert.deepEqual(new Set(completions), new Set(["live"]));
    times.sort((a, b) => a - b);
    t.diagnostic(`${acknowledged.size} writes; hand-over: median ${Math.round(times[10])} ms, longest ${Math.round(times[19])} ms`);
  });
  await partner.close();
});

test("host worker: the page that runs the node is frozen 20 times, another takes over, and nothing is lost", async (t) =>
  withPages(async (newPage, { context }) => {
    const [a, b] = [await newPage(), await newPage()];
    await open(a, "worker");
    const place = await settle(a);
    await open(b, "worker");
    await b.evaluate((place) => Object.assign(harness, place), place);
    const sleep = async (page, state) => (await context.newCDPSession(page)).send("Page.setWebLifecycleState", { state });
    const acknowledged = new Set();
    const times = [];
    let [running, other] = [a, b];
    for (let round = 0; round < 20; round += 1) {
      // It is frozen in the middle of its writes.
      await keepWriting(running, `r${round}`, acknowledged);
      await sleep(running, "frozen");
      times.push(await handOver(other, `after-${round}`));
      acknowledged.add(`after-${round}`);
      await sleep(running, "active");
      await write(running, `awake-${round}`, "through the other");
      acknowledged.add(`awake-${round}`);
      assert.ok((await paths(running)).includes(`after-${round}`));
      [running, other] = [other, running];
    }
    const told = [...acknowledged];
    const there = new Set(await paths(a));
    assert.deepEqual(told.filter((path) => !there.has(path)), []);
    times.sort((a, b) => a - b);
    t.diagnostic(`${acknowledged.size} writes; hand-over: median ${Math.round(times[10])} ms, longest ${Math.round(times[19])} ms`);
  }, openMortalProfile()));
