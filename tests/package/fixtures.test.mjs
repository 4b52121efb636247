// The package where web code is built and run: two nodes sync in each place, one opened by the app and one by a library that knows
// `osier/slim` alone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openPage, openProfile } from "../e2e/support/browser.mjs";
import { startRelay } from "../e2e/support/programs.mjs";
import { within } from "../e2e/support/three.mjs";
import { modulesIn, openWorkshop, run, serve, startServer } from "./support/fixtures.mjs";

const PNPM = "pnpm@12.21.0";
const GREETED = { text: "hello", isOneRuntime: true, host: "shared" };

let relay, profile, workshop;
before(async () => {
  [relay, profile, workshop] = await Promise.all([startRelay(), openProfile(), openWorkshop()]);
});
after(async () => {
  await Promise.all([relay?.stop(), profile?.close(), workshop?.close()]);
});

/** Opens the page that a server serves, has its two nodes sync, and stops the server. */
async function greetIn(server, host = "shared") {
  const { page, errors } = await openPage(profile, server.url);
  try {
    await within(60_000, "the page is ready", page.waitForFunction(() => globalThis.greet));
    assert.deepEqual(await within(60_000, "the nodes of the page sync", page.evaluate((url) => greet(url), relay.url)), { ...GREETED, host });
    assert.deepEqual(errors, []);
  } finally {
    await page.close();
    await server.close();
  }
}

/** Builds an installed fixture, counts the modules in what comes out, and runs that. */
async function buildAndGreet(folder, modules, host = "shared") {
  await run(folder, "npm", "run", "build");
  assert.equal((await modulesIn(join(folder, "dist"))).length, modules);
  // A bundler that makes no page has it beside the scripts.
  await greetIn(await serve(join(folder, "dist"), folder), host);
}

// Two at a time: installing waits for the network, building for the processor.
describe("the package in apps", { concurrency: 2 }, () => {
  test("the package in a client component of Next", async () => {
    const folder = await workshop.install("next");
    await run(folder, "npm", "run", "build");
    assert.equal((await modulesIn(join(folder, ".next"))).length, 1);
    await greetIn(await startServer(folder, "next", "start", "--port", "0"));
  });

  test("the package in an app of webpack", async () => buildAndGreet(await workshop.install("webpack"), 1));

  test("the package in an app of Vite", async () => {
    const folder = await workshop.install("vite");
    await greetIn(await startServer(folder, "vite", "--port", "0"));
    await buildAndGreet(folder, 1);
  });

  test("the package in pnpm's strict folders", async () => {
    const folder = await workshop.install("pnpm", ["npm", "exec", "--yes", `--package=${PNPM}`, "--", "pnpm", "install", "--prefer-offline"]);
    await greetIn(await startServer(folder, "vite", "--port", "0"));
    await buildAndGreet(folder, 1);
  });

  test("the package in an app of esbuild", async () => buildAndGreet(await workshop.install("esbuild"), 1));

  test("the package in an app of Rollup", async () => buildAndGreet(await workshop.install("rollup"), 1));

  test("the package inside one classic script", async () => buildAndGreet(await workshop.install("inline"), 0, "page"));

  test("the package in a page without a bundler", async () => greetIn(await serve(await workshop.install("plain"))));

  test("the package in a service worker", async () => buildAndGreet(await workshop.install("service-worker"), 1, "none"));

  test("the package in Node", async () => {
    const folder = await workshop.install("node");
    const program = join(folder, "node_modules/node/bin/node");
    assert.deepEqual(JSON.parse(await within(60_000, "the nodes sync", run(folder, program, "main.js", relay.url))), { ...GREETED, host: "none" });
  });
});
