// The package as npm packs it: what is in it, and what is not.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import ts from "typescript";
import { packageFolder, tarball } from "../e2e/support/environment.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const manifest = JSON.parse(readFileSync(join(packageFolder(), "package.json"), "utf8"));
const peers = Object.keys(manifest.peerDependencies ?? {});
const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)));
/** Those that are imported; the script of workers is not. */
const entries = [...new Set(targets.filter((target) => target.endsWith(".js")))].map((target) => target.slice(2)).filter((entry) => entry !== "worker.js");

const packed = () => execFileSync("tar", ["-tzf", tarball()], { encoding: "utf8" }).trim().split("\n").map((file) => file.replace(/^package\//, ""));
const tool = (name, ...words) => spawnSync(join(root, "node_modules/.bin", name), words, { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });

/** What a script does that matters to whoever loads it. */
function script(file) {
  const source = ts.createSourceFile(file, readFileSync(join(packageFolder(), file), "utf8"), ts.ScriptTarget.Latest, true);
  const seen = { imports: [], forbidden: [], usesItsPlace: false };
  const visit = (node, isTop) => {
    const { SyntaxKind: kinds } = ts;
    const specifier = ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier?.text : undefined;
    if (specifier?.startsWith(".")) seen.imports.push(join(file, "..", specifier));
    else if (specifier !== undefined && !specifier.startsWith("node:") && !peers.includes(specifier)) seen.forbidden.push(`an import of ${specifier}`);
    if (ts.isCallExpression(node) && node.expression.kind === kinds.ImportKeyword) seen.forbidden.push("import()");
    if (isTop && (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier))) seen.forbidden.push("top-level await");
    if (ts.isIdentifier(node) && node.text === "XMLHttpRequest") seen.forbidden.push("XMLHttpRequest");
    if (ts.isMetaProperty(node)) seen.usesItsPlace = true;
    ts.forEachChild(node, (child) => visit(child, isTop && !ts.isFunctionLike(node)));
  };
  visit(source, true);
  if (seen.imports.some((path) => !path.endsWith(".js"))) seen.forbidden.push("an import of something else than a script");
  return seen;
}

/** An entry and all that it imports: what each of them does. */
function graph(entry, found = new Map()) {
  if (found.has(entry)) return found;
  found.set(entry, script(entry));
  for (const file of found.get(entry).imports) graph(file, found);
  return found;
}

test("the package holds these files and no others", () => {
  const lib = readdirSync(join(root, "pkg/lib"), { recursive: true }).filter((file) => file.endsWith(".js")).map((file) => `lib/${file}`);
  const others = [
    "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", "osier.wasm", "index.d.ts", "generated/inline.js", "generated/osier.js",
    "index.js", "index.node.js", "inline.js", "react.d.ts", "react.js", "slim.js", "worker.js",
  ];
  assert.deepEqual(packed().sort(), [...lib, ...others].sort());
});

test("every script of the package is reached from an entry, and every target of an entry is there", () => {
  const scripts = entries.flatMap((entry) => [...graph(entry).keys()]);
  // What workers run is bundled into one file, and its sources are there for who reads the map of an error.
  const ofWorkers = [...graph("lib/host/entry.js").keys(), "worker.js"];
  assert.deepEqual([...new Set([...scripts, ...ofWorkers])].sort(), packed().filter((file) => file.endsWith(".js")).sort());
  for (const target of [...targets, manifest.types]) assert.ok(packed().includes(target.slice(2)), target);
});

test("no script of the package has a top-level await, an import() or import of a module, or waits for a request", () => {
  for (const entry of entries) {
    for (const [file, { forbidden, usesItsPlace }] of graph(entry)) {
      assert.deepEqual(forbidden, [], file);
      assert.equal(usesItsPlace, ["index.js", "index.node.js"].includes(file), `import.meta in ${file}`);
    }
  }
});

test("nothing of the package's entry `./slim` knows of a file of WebAssembly", () => {
  for (const file of graph("slim.js").keys()) assert.doesNotMatch(readFileSync(join(packageFolder(), file), "utf8"), /\.wasm["'`]/, file);
});

test("the package depends on nothing, runs no script on installation, and knows three conditions", () => {
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
  assert.deepEqual(Object.keys(manifest.scripts ?? {}), []);
  const conditions = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [] : Object.keys(target)));
  assert.deepEqual([...new Set(conditions)].sort(), ["default", "node", "types"]);
});

test("the package's entries that know a module have that as an effect, and no other script has one", () => {
  const knowing = entries.filter((entry) => /^known\./m.test(readFileSync(join(packageFolder(), entry), "utf8")));
  assert.deepEqual(manifest.sideEffects.toSorted(), knowing.map((entry) => `./${entry}`).sort());
});

test("importing any entry of the package has no effect that is seen, and needs no browser", async () => {
  const before = Object.getOwnPropertyNames(globalThis);
  const load = (entry) => import(pathToFileURL(join(packageFolder(), entry)));
  const { OsierProvider } = await load("react.js");
  const all = await Promise.all(entries.filter((entry) => entry !== "react.js").map(load));
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
  assert.equal(typeof OsierProvider, "function");
  for (const exported of all) {
    assert.deepEqual(Object.keys(exported), Object.keys(all[0]));
    for (const name of ["WillowNode", "Intent", "IncomingSession", "WillowError"]) assert.equal(exported[name], all[0][name], name);
  }
});

test("publint has nothing to say of the package", () => {
  const { stdout, status } = tool("publint", "run", tarball(), "--strict");
  assert.match(stdout, /All good!/);
  assert.equal(status, 0);
});

test("attw finds the package's types wherever modules are", () => {
  const { stdout, status } = tool("attw", tarball(), "--profile", "esm-only", "--exclude-entrypoints", "osier.wasm", "worker", "shared-worker");
  assert.equal(status, 0, stdout);
});

test("the copy inside the package is the module", () => {
  const [, base64] = /^export default "(.*)";\n$/.exec(readFileSync(join(packageFolder(), "generated/inline.js"), "utf8"));
  assert.ok(gunzipSync(Buffer.from(base64, "base64")).equals(readFileSync(join(packageFolder(), "osier.wasm"))));
});

test("a module that imports from \"env\" becomes no package", () => {
  const folder = mkdtempSync(join(tmpdir(), "osier-env-"));
  const build = (from) => {
    // A type `() -> ()`, and an import of one such function `f`.
    const section = [1, ...[from.length, ...Buffer.from(from)], 1, 0x66, 0, 0];
    writeFileSync(join(folder, "module.wasm"), Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, section.length, ...section));
    return spawnSync("node", [join(root, "xtask/node/inline.mjs"), join(folder, "module.wasm"), join(folder, "inline.js")], { encoding: "utf8" });
  };
  assert.equal(build("./osier_bg.js").status, 0);
  const { status, stderr } = build("env");
  assert.equal(status, 1);
  assert.match(stderr, /imports from "env".*: f$/m);
  rmSync(folder, { recursive: true });
});

test("the package's README says what it weighs, within 3 %", () => {
  const rows = (text) => [...text.matchAll(/^\| ([^|]+) \| ([\d.,]+) kB \| ([\d.,]+) kB \| ([\d.,]+) kB \|$/gm)].map(([, name, ...sizes]) => [name, sizes.map(Number)]);
  const said = new Map(rows(readFileSync(join(packageFolder(), "README.md"), "utf8")));
  const measured = rows(execFileSync("node", [join(root, "xtask/node/sizes.mjs"), packageFolder()], { encoding: "utf8" }));
  assert.equal(measured.length, 4);
  for (const [name, sizes] of measured) {
    const isTrue = said.get(name)?.every((size, at) => Math.abs(size - sizes[at]) <= 0.03 * sizes[at]);
    assert.ok(isTrue, `${name}: ${sizes.join(", ")} kB, not ${said.get(name)?.join(", ")}`);
  }
});

test("what docs/bundlers.md shows is what the package's fixtures do", () => {
  const fixtures = join(root, "tests/package/fixtures");
  const files = new Set(["esbuild/build.js", "rollup/rollup.config.js", "plain/index.html", "service-worker/worker.js"].map((file) => readFileSync(join(fixtures, file), "utf8")));
  const shown = [...readFileSync(join(root, "docs/bundlers.md"), "utf8").matchAll(/^```\w+\n([^]*?)^```$/gm)].map(([, code]) => code);
  assert.deepEqual(new Set(shown), files);
});
