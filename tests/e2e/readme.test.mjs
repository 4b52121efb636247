// The example of the README, as it stands there.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

test("the README's example runs as it stands", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const [, example] = readme.match(/```js\n(.*?)```/s);
  assert.match(example, /"http:\/\/127\.0\.0\.1:3340"/);
  const relay = await startRelay();
  const profile = await openProfile();
  try {
    const { page, errors } = await openHarness(profile);
    const printed = once(page, "console");
    await page.addScriptTag({ type: "module", content: example.replace("http://127.0.0.1:3340", relay.url) });
    const [message] = await within(30_000, "the example prints something", printed);
    assert.equal(message.text(), "notes/today hello");
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
    await relay.stop();
  }
});
