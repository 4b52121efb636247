// The package as npm packs it, seen from Node.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageFolder } from "./support/environment.mjs";

const manifest = JSON.parse(readFileSync(join(packageFolder(), "package.json"), "utf8"));

test("importing the package has no side effect and needs no browser", async () => {
  const before = Object.getOwnPropertyNames(globalThis);
  const osier = await import(pathToFileURL(join(packageFolder(), "index.js")));
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
  for (const name of ["WillowNode", "Intent", "IncomingSession", "WillowError"]) {
    assert.equal(typeof osier[name], "function", name);
  }
});

test("the package holds all that package.json names", () => {
  const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)));
  assert.ok(targets.length >= 3);
  for (const file of [...targets, manifest.types, "LICENSE-MIT", "LICENSE-APACHE", "README.md"]) {
    assert.ok(existsSync(join(packageFolder(), file)), file);
  }
});

test("the package depends on nothing and runs no script on installation", () => {
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
  assert.deepEqual(Object.keys(manifest.scripts ?? {}), []);
});
