// Every option of the types is one of the implementation, and the other way round: who writes another one is told which there are.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { packageFolder } from "./support/environment.mjs";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

const declarations = join(packageFolder(), "index.d.ts");
const program = ts.createProgram([declarations], { strict: true, types: [], lib: ["lib.es2022.d.ts", "lib.dom.d.ts"], target: ts.ScriptTarget.ES2022 });
const checker = program.getTypeChecker();
const exported = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(declarations))).map((symbol) => [symbol.name, symbol]));

/** The names of the fields of a type that may be absent or not; of a union, of the member that is an object. */
function fields(type) {
  const members = checker.getNonNullableType(type);
  const objects = (members.isUnion() ? members.types : [members]).filter((it) => (it.flags & ts.TypeFlags.Object) !== 0);
  return objects.flatMap((it) => it.getProperties().map(({ name }) => name)).sort();
}

const ofType = (name) => fields(checker.getDeclaredTypeOfSymbol(exported.get(name)));

/** Of a field of a type. */
function ofField(type, field) {
  const property = checker.getDeclaredTypeOfSymbol(exported.get(type)).getProperty(field);
  return fields(checker.getTypeOfSymbol(property));
}

/** Of a parameter of a method. */
function ofParameter(method, index) {
  const property = checker.getDeclaredTypeOfSymbol(exported.get("WillowNode")).getProperty(method);
  const [signature] = checker.getTypeOfSymbol(property).getCallSignatures();
  return fields(checker.getTypeOfSymbol(signature.parameters[index]));
}

/** What the types say, and code that hands `given` in there; `node`, `space`, `user` and `entry` are those of the page. */
const places = {
  "open()": [ofType("OpenOptions"), "osier.WillowNode.open(given)"],
  "open({ storage })": [ofField("OpenOptions", "storage"), "osier.WillowNode.open({ storage: given })"],
  "open({ reconnect })": [ofType("ReconnectPolicy"), "osier.WillowNode.open({ reconnect: given })"],
  "open({ limits })": [ofType("Limits"), "osier.WillowNode.open({ limits: given })"],
  "notify()": [ofType("PageState"), "node.notify(given)"],
  "createNamespace()": [ofParameter("createNamespace", 0), "node.createNamespace(given)"],
  "setQuota()": [ofType("Quota"), "node.setQuota(space, given)"],
  "capabilities()": [ofParameter("capabilities", 0), "node.capabilities(given)"],
  "set()": [ofType("SetOptions"), "node.set(space, given)"],
  "entries(area)": [ofType("AreaLike"), "node.entries(space, given).next()"],
  "entries()": [ofParameter("entries", 2), "node.entries(space, {}, given).next()"],
  "payload()": [ofParameter("payload", 1), "node.payload(entry, given)"],
  "payloadStream()": [ofParameter("payloadStream", 1), "node.payloadStream(entry, given).getReader().read()"],
  "fetchPayload()": [ofParameter("fetchPayload", 1), "node.fetchPayload(entry, given)"],
  "exportDrop()": [ofParameter("exportDrop", 2), "node.exportDrop(space, {}, given).getReader().read()"],
  "importDrop()": [ofParameter("importDrop", 1), "node.importDrop(new Uint8Array(), given)"],
  "subscribe()": [ofParameter("subscribe", 2), "node.subscribe(space, {}, given).next()"],
  "share()": [ofType("ShareOptions"), "node.share(given)"],
  "join()": [ofParameter("join", 1), "node.join('', given)"],
  "sync(peer)": [ofType("PeerAddress"), "node.sync(given).completed"],
  "sync()": [ofType("SessionInit"), "node.sync(user, given).completed"],
  "sync({ interests })": [ofType("Interest"), "node.sync(user, { interests: [given] }).completed"],
  "liveEntries()": [ofType("EntriesOptions"), "stateOf(osier.liveEntries(node, space, {}, given))"],
};

/** What a page is told of what is wrong with `given` in a place. */
const told = (code, given) =>
  shared.run(
    async ([code, given]) => {
      const { node, space, user } = (globalThis.owner ??= await harness.owner());
      const entry = { namespace: space, user, path: ["a"] };
      const stateOf = (live) =>
        new Promise((_, reject) => {
          const leave = live.subscribe(() => (leave(), reject(live.getSnapshot().error)));
        });
      const call = new Function("node", "space", "user", "entry", "given", "stateOf", `return ${code}`);
      try {
        await call(node, space, user, entry, given, stateOf);
      } catch (error) {
        return error.message;
      }
    },
    [code, given],
  );

test("who gives an option that there is not is told of those that there are: those of the types", async () => {
  for (const [place, [declared, code]] of Object.entries(places)) {
    assert.ok(declared.length > 0, place);
    const message = await told(code, { noSuchOption: 1 });
    const [, names] = /`noSuchOption` is no option here; there are: (.*)$/.exec(message) ?? assert.fail(`${place}: ${message}`);
    const known = names.split(", ");
    assert.deepEqual(known.filter((name) => !declared.includes(name)), [], place);
    // What the module does not know is taken by the package's JavaScript, which finds fault with the value alone.
    for (const name of declared.filter((it) => !known.includes(it))) assert.doesNotMatch(await told(code, { [name]: 5 }), /is no option/, `${place} ${name}`);
  }
});

test("what the package's JavaScript takes out of options is in the types", () => {
  const declared = new Set(Object.values(places).flatMap(([names]) => names));
  const lib = join(packageFolder(), "lib");
  const text = readdirSync(lib, { recursive: true }).filter((file) => file.endsWith(".js")).map((file) => readFileSync(join(lib, file), "utf8")).join("\n");
  const taken = [...text.matchAll(/split\(\w+, "\w+"((?:, "\w+")+)\)|callbacks\(options((?:, "\w+")+)\)/g)].flatMap(([call]) => [...call.matchAll(/, "(\w+)"/g)].map(([, name]) => name));
  assert.ok(taken.length > 10);
  assert.deepEqual(taken.filter((name) => !declared.has(name) && !["options", "init"].includes(name)), []);
});
