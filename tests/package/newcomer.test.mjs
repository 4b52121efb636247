// Someone who knows nothing but the README: what it says is done word for word in an empty folder, and ends with a sync.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openPage, openProfile } from "../e2e/support/browser.mjs";
import { startRelay } from "../e2e/support/programs.mjs";
import { within } from "../e2e/support/three.mjs";
import { openWorkshop, run, startServer } from "./support/fixtures.mjs";

test("who follows the README in an empty folder has the package running, and two nodes in sync", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const section = readme.slice(readme.indexOf("## Twenty lines"), readme.indexOf("## What there is"));
  const block = (kind) => new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(section)?.[1] ?? assert.fail(`no ${kind}`);
  const [relay, profile, workshop] = await Promise.all([startRelay(), openProfile(), openWorkshop()]);
  let server;
  try {
    const folder = await workshop.empty("newcomer");
    // What a test has to put in place of what strangers have: a relay of its own, and the tarball in place of the registry's.
    await writeFile(join(folder, "main.js"), block("js").replace("http://127.0.0.1:3340", relay.url));
    await writeFile(join(folder, "index.html"), block("html"));
    const [install, start, ...more] = block("sh").trim().split("\n");
    assert.deepEqual([install, start, more], ["npm install osier vite", "npx vite", []]);
    const [npm, ...words] = install.replace(" osier ", ` ${workshop.tarball} `).split(" ");
    await run(folder, npm, ...words);
    server = await startServer(folder, start.split(" ")[1]);

    const { page, errors } = await openPage(profile, server.url, { expected: /favicon\.ico/ });
    const logged = page.waitForEvent("console", { predicate: (message) => message.text() === "notes/today hello", timeout: 60_000 });
    await page.reload();
    await within(60_000, "it is logged", logged);
    assert.deepEqual(errors, []);
  } finally {
    await server?.close();
    await Promise.all([relay.stop(), profile.close(), workshop.close()]);
  }
});
