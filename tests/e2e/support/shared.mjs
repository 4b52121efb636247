// One page, and one relay, for all tests of a file.
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { openHarness, openProfile } from "./browser.mjs";
import { startRelay } from "./programs.mjs";
import { within } from "./three.mjs";

/**
 * Registers the hooks, and returns what the tests use. After each test the nodes that it opened are shut down, and it fails if
 * anything went wrong in the page that is not `expected`. `prepare` gets the page before the first one.
 */
export function sharedPage({ prepare, ...options } = {}) {
  let relay, profile, opened;
  before(async () => {
    [relay, profile] = await Promise.all([startRelay(), openProfile()]);
    opened = await openHarness(profile, options);
    await opened.page.evaluate((url) => (harness.relay = url), relay.url);
    await prepare?.(opened.page);
  });
  afterEach(async () => {
    await opened.page.evaluate(() => harness.shutdownAll());
    assert.deepEqual(opened.errors.splice(0), []);
  });
  after(async () => {
    await profile?.close();
    await relay?.stop();
  });
  return {
    get page() {
      return opened.page;
    },
    get relay() {
      return relay.url;
    },
    /** Runs a function in the page, where `osier` and `harness` are; its argument and its result are plain data. */
    run: (body, argument) => within(60_000, "the page's part", opened.page.evaluate(body, argument)),
  };
}
