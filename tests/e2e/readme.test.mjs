// The example of the README, run as it stands there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const [, example] = /```js\n([^]*?)```/.exec(readme);

test("the example in the README is short, runs, and logs what was written elsewhere", async () => {
  const lines = example.split("\n").filter((line) => line.trim() !== "");
  assert.ok(lines.length <= 20, `${lines.length} lines`);
  const relay = await startRelay();
  const profile = await openProfile();
  try {
    const { page, errors } = await openHarness(profile);
    const logged = [];
    page.on("console", (message) => logged.push(message.text()));
    const code = example.replace("http://127.0.0.1:3340", relay.url);
    assert.notEqual(code, example);
    await page.addScriptTag({ type: "module", content: `${code}\nglobalThis.exampleIsDone = true;` });
    await within(60_000, "the example is done", page.waitForFunction(() => globalThis.exampleIsDone));
    assert.deepEqual(logged, ["notes/today hello"]);
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
    await relay.stop();
  }
});
