// Where the module comes from, and what happens if it does not come.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { openHarness, openProfile } from "../e2e/support/browser.mjs";
import { packageFolder } from "../e2e/support/environment.mjs";

const bytes = () => readFileSync(join(packageFolder(), "osier.wasm"));

let profile;
before(async () => {
  profile = await openProfile();
});
after(() => profile?.close());

/**
 * A page in which nothing is loaded yet. `answers` are what the server says when it is asked for the module, one after the other; what
 * `open` says then, `opened` or an error, comes out of `attempt`.
 */
async function fresh(...answers) {
  const { page, errors } = await openHarness(profile, { expected: /404/ });
  const asked = [];
  await page.route("**/*.wasm", (route) => route.fulfill(answers[asked.push(new URL(route.request().url()).pathname) - 1]));
  await page.evaluate(() => {
    const { compileStreaming } = WebAssembly;
    globalThis.streamed = 0;
    WebAssembly.compileStreaming = (response) => ((streamed += 1), compileStreaming(response));
    globalThis.attempt = async (wasm) => {
      const opening = osier.WillowNode.open({ storage: "memory", ...(wasm !== undefined && { wasm }) });
      return opening.then((node) => node.shutdown().then(() => "opened"), ({ code, argument, message }) => ({ code, argument, message }));
    };
  });
  return {
    page,
    asked,
    async close() {
      assert.deepEqual(errors, []);
      await page.close();
    },
  };
}

const module = (contentType) => ({ status: 200, contentType, body: bytes() });

test("the package's module is compiled as it arrives, once for all nodes", async () => {
  const { page, asked, close } = await fresh(module("application/wasm"));
  assert.deepEqual(await page.evaluate(() => Promise.all([attempt(), attempt()])), ["opened", "opened"]);
  assert.deepEqual([await page.evaluate(() => streamed), asked], [1, ["/osier/osier.wasm"]]);
  await close();
});

test("the package's module may be served as anything", async () => {
  const { page, close } = await fresh(module("text/plain"));
  assert.equal(await page.evaluate(() => attempt()), "opened");
  assert.equal(await page.evaluate(() => streamed), 0);
  await close();
});

test("a load of the package's module that failed says why, and is tried again", async () => {
  const page404 = { status: 404, contentType: "text/html", body: "<!doctype html>" };
  const { page, close } = await fresh(page404, { ...page404, status: 200 }, module("application/wasm"));
  const failures = [await page.evaluate(() => attempt()), await page.evaluate(() => attempt())];
  for (const { code, argument } of failures) assert.deepEqual([code, argument], ["wasmLoadFailed", "wasm"]);
  assert.match(failures[0].message, /osier\.wasm was answered with the status 404/);
  assert.match(failures[1].message, /osier\.wasm, of the type text\/html/);
  assert.equal(await page.evaluate(() => attempt()), "opened");
  await close();
});

// Each in a page of its own: what is loaded stays.
const SOURCES = {
  "a path": () => attempt("/given.wasm"),
  "a URL": () => attempt(new URL("/given.wasm", location.href)),
  "a response": async () => attempt(await fetch("/given.wasm")),
  "bytes": async () => attempt(new Uint8Array(await (await fetch("/given.wasm")).arrayBuffer())),
  "a buffer": async () => attempt(await (await fetch("/given.wasm")).arrayBuffer()),
  "a module": async () => attempt(await WebAssembly.compileStreaming(fetch("/given.wasm"))),
};
for (const [name, open] of Object.entries(SOURCES)) {
  test(`the package's module may be given as ${name}`, async () => {
    const { page, asked, close } = await fresh(module("application/wasm"));
    assert.equal(await page.evaluate(open), "opened");
    assert.deepEqual(asked, ["/given.wasm"]);
    await close();
  });
}

/** What a program in Node says that imports entries of the package and opens a node. */
function opened(...entries) {
  const imports = entries.map((entry) => `import { WillowNode } from "${pathToFileURL(join(packageFolder(), entry))}";`.replace(entry === "slim.js" ? "" : "{ WillowNode } from ", ""));
  const program = `${imports.join("\n")} WillowNode.open({ storage: "memory" }).then((node) => node.shutdown()).then(() => console.log("opened"), ({ code, message }) => console.log(code, message));`;
  return execFileSync("node", ["--input-type=module", "--eval", program], { encoding: "utf8" }).trim();
}

test("the package's entry `./slim` has no module, and says so", () => {
  assert.match(opened("slim.js"), /^wasmLoadFailed wasm: .*osier\/slim has none/);
});

for (const entry of ["index.node.js", "inline.js"]) {
  test(`the package's entry \`./slim\` takes the module that ${entry} knows`, () => assert.equal(opened("slim.js", entry), "opened"));
}
