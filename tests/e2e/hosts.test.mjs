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
