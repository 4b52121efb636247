// What is written for people: pages of the API are made without a warning, code in guides compiles, and that at the beginning of each runs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { openHarness, openProfile } from "./support/browser.mjs";
import { bundleForPage } from "./support/bundle.mjs";
import { packageFolder } from "./support/environment.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const names = readdirSync(join(root, "docs/guides")).map((file) => file.replace(/\.md$/, ""));
const read = (name) => readFileSync(join(root, name === "README" ? "README.md" : `docs/guides/${name}.md`), "utf8");

/** The programs in a text, in order: `{ language, code }`. */
const programs = (text) => [...text.matchAll(/^```(jsx?)\n([^]*?)^```/gm)].map(([, language, code]) => ({ language, code }));

test("the pages of the API and the guides are made without a warning", async () => {
  const out = await mkdtemp(join(tmpdir(), "osier-docs-"));
  try {
    const options = ["--options", join(root, "docs/typedoc.json"), "--out", out];
    const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin/typedoc"), options, { cwd: root, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
    assert.match(await readFile(join(out, "classes/index.WillowNode.html"), "utf8"), /createNamespace/);
    for (const name of names) assert.match(await readFile(join(out, `documents/${name}.html`), "utf8"), /<h1/, name);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});

test("every guide is named in the README, and every code of errors has its section in the guide", () => {
  const readme = read("README");
  for (const name of names) assert.ok(readme.includes(`(docs/guides/${name}.md)`), name);
  const [, union] = /export type ErrorCode =([^;]*);/.exec(readFileSync(join(packageFolder(), "index.d.ts"), "utf8"));
  const codes = [...union.matchAll(/\| "(\w+)"/g)].map(([, code]) => code);
  const sections = [...read("errors").matchAll(/^### `(\w+)`\n\nWhen: .* Do: /gm)].map(([, code]) => code);
  assert.deepEqual(sections.sort(), codes.sort());
});

/** Modules that apps have and the tests need not. */
const ELSEWHERE = `declare module "vue" { export function shallowRef<T>(value: T): { value: T }; export function onScopeDispose(run: () => void): void; }`;

test("all code in the README and the guides compiles", () => {
  const files = new Map([["elsewhere.d.ts", ELSEWHERE]]);
  for (const name of ["README", ...names]) {
    const [first, ...others] = programs(read(name));
    assert.ok(first, name);
    // One that imports stands alone; the others go on from the first.
    const whole = [first.code, ...others.map(({ code }) => (/^import |^export /m.test(code) ? code : first.code + code))];
    whole.forEach((code, at) => files.set(`${name}-${at + 1}.${at === 0 ? first.language : others[at - 1].language}`, `${code}\nexport {};`));
  }
  const options = {
    strict: true, noImplicitAny: false, noEmit: true, allowJs: true, checkJs: true, types: [], jsx: ts.JsxEmit.ReactJSX, skipLibCheck: true,
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    paths: { osier: [join(packageFolder(), "index.d.ts")], "osier/react": [join(packageFolder(), "react.d.ts")], react: [join(root, "node_modules/@types/react")] },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile: readSource } = host;
  const at = (name) => join(root, "docs", name);
  const ours = new Map([...files].map(([name, code]) => [at(name), code]));
  host.fileExists = (file) => ours.has(file) || fileExists(file);
  host.readFile = (file) => ours.get(file) ?? readSource(file);
  host.getSourceFile = (file, version) => {
    const code = host.readFile(file);
    return code === undefined ? undefined : ts.createSourceFile(file, code, version, true);
  };
  const faults = ts.getPreEmitDiagnostics(ts.createProgram([...ours.keys()], options, host)).map(({ file, start, messageText }) => {
    const line = file === undefined ? "" : file.text.split("\n")[file.getLineAndCharacterOfPosition(start).line];
    return `${file?.fileName}: ${line} // ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
  assert.deepEqual(faults, []);
});

test("the first program of each guide runs, and logs what it says", async (context) => {
  const relay = await startRelay();
  const profile = await openProfile();
  try {
    for (const name of names) {
      await context.test(name, async () => {
        const [{ language, code }] = programs(read(name));
        const expected = [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => line);
        const { page, errors } = await openHarness(profile);
        const logged = [];
        page.on("console", (message) => message.type() === "log" && logged.push(message.text()));
        const ran = `${code.replace("http://127.0.0.1:3340", relay.url)}\nglobalThis.exampleIsDone = true;`;
        await page.addScriptTag({ type: "module", content: language === "jsx" ? await bundleForPage(ran) : ran });
        await within(60_000, "the program is done", page.waitForFunction(() => globalThis.exampleIsDone, undefined, { timeout: 0 }));
        if (language === "jsx") {
          await page.click("button");
          await within(60_000, "the list is there", page.waitForFunction(() => document.querySelector("li")?.textContent === "hello", undefined, { timeout: 0 }));
        } else assert.ok(expected.length > 0, "it says what it logs");
        assert.deepEqual(logged, expected);
        assert.deepEqual(errors, []);
        await page.close();
      });
    }
  } finally {
    await profile.close();
    await relay.stop();
  }
});
