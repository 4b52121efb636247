// The types of the package: they compile in a strict program, and say what there is at run time.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { evaluateInNode } from "./support/bundle.mjs";
import { packageFolder } from "./support/environment.mjs";

const declarations = join(packageFolder(), "index.d.ts");
const parse = (file) => ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
const source = parse(declarations);
const nodeSources = new URL("../../src/node/", import.meta.url);

/** The string literals of the union type of this name, or of its members' field `type`. */
function union(name) {
  const alias = source.statements.find((it) => ts.isTypeAliasDeclaration(it) && it.name.text === name);
  return alias.type.types.map((member) => {
    const literal = ts.isTypeLiteralNode(member) ? member.members.find((field) => field.name.text === "type").type : member;
    return literal.literal.text;
  });
}

/** The quoted words of a source file of the node after the first match of `start`, up to `end`. */
function words(file, start, end, word) {
  const text = readFileSync(new URL(file, nodeSources), "utf8");
  const from = text.indexOf(start);
  assert.ok(from >= 0, start);
  return [...text.slice(from, text.indexOf(end, from)).matchAll(word)].map(([, it]) => it);
}

test("a strict program compiles against the types, and its mistakes do not", () => {
  const usage = fileURLToPath(new URL("types/usage.ts", import.meta.url));
  const program = ts.createProgram([usage], {
    strict: true, noEmit: true, noUnusedLocals: true, exactOptionalPropertyTypes: true, types: [],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"], paths: { osier: [declarations] },
  });
  const faults = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? "" : `${file.fileName}:${file.getLineAndCharacterOfPosition(start).line + 1}: `;
    return line + ts.flattenDiagnosticMessageText(messageText, "\n");
  });
  assert.deepEqual(faults, []);
});

/** The classes and functions that declarations export. */
function exportedValues(file) {
  const isExported = (it) => ts.canHaveModifiers(it) && ts.getModifiers(it)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  return file.statements.filter((it) => isExported(it) && (ts.isClassDeclaration(it) || ts.isFunctionDeclaration(it)));
}

/** Their names; one that has several signatures once. */
const namesOf = (values) => [...new Set(values.map(({ name }) => name.text))].sort();

test("what the types export is there at run time, and nothing else", async () => {
  const values = exportedValues(source);
  const osier = await import(pathToFileURL(join(packageFolder(), "index.js")));
  assert.deepEqual(namesOf(values), Object.keys(osier).sort());
  const hooks = await evaluateInNode('export * from "osier/react"');
  assert.deepEqual(namesOf(exportedValues(parse(join(packageFolder(), "react.d.ts")))), Object.keys(hooks).sort());
  for (const { name, members } of values.filter(ts.isClassDeclaration)) {
    const { [name.text]: made } = osier;
    const fields = new Set(name.text === "WillowError" ? ["code", "argument", "peer", "detail"] : []);
    const declared = members.filter((it) => !ts.isConstructorDeclaration(it) && !fields.has(it.name.text));
    const isStatic = (it) => ts.getModifiers(it)?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword) ?? false;
    const names = (some) => some.map((it) => it.name.getText(source)).sort();
    const symbols = { [Symbol.asyncDispose]: "[Symbol.asyncDispose]", [Symbol.asyncIterator]: "[Symbol.asyncIterator]" };
    const own = (object, skipped) => Reflect.ownKeys(object).filter((key) => !skipped.includes(key)).map((key) => symbols[key] ?? key).sort();
    assert.deepEqual(own(made, ["length", "name", "prototype"]), names(declared.filter(isStatic)), name.text);
    assert.deepEqual(own(made.prototype, ["constructor"]), names(declared.filter((it) => !isStatic(it))), name.text);
  }
});

test("the codes of errors are those of the node and two of the package", async () => {
  const codes = words("error.rs", "pub const ERROR_CODES", "];", /"(\w+)"/g);
  assert.ok(codes.length > 20);
  assert.deepEqual(union("ErrorCode").sort(), [...codes, "hostFailed", "wasmLoadFailed"].sort());
  const { WillowError } = await import(pathToFileURL(join(packageFolder(), "index.js")));
  for (const code of union("ErrorCode")) assert.equal(WillowError.from({ code, message: "x" }).code, code);
  const kept = readFileSync(join(packageFolder(), "lib/error.js"), "utf8");
  const [, list] = /const CODES = new Set\(\[([^]*?)\]\)/.exec(kept);
  assert.deepEqual([...list.matchAll(/"(\w+)"/g)].map(([, code]) => code).sort(), union("ErrorCode").sort());
});

test("the events of the types are those of the node", () => {
  assert.deepEqual(union("SessionEvent").sort(), words("event.rs", "pub fn kind(&self)", "pub fn is_terminal", /=> "(\w+)"/g).sort());
  const variants = (name) => words("event.rs", `pub enum ${name} {`, "\n}", /\n {4}(\w+)/g).map((variant) => variant[0].toLowerCase() + variant.slice(1)).sort();
  assert.deepEqual(union("StoreEvent").sort(), variants("StoreEvent"));
  assert.deepEqual(union("PeerEvent").sort(), variants("PeerEvent"));
});
