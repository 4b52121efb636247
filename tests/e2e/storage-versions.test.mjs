// Databases as each version of the layout has written them can be read by this one, and written on.
//
// `fixtures/storage-N.json` is what version N has left, with secrets as they are stored where there is no WebCrypto: the key that wraps them
// elsewhere cannot be taken out of a browser. With OSIER_FIXTURE=N in the environment the test writes the one of version N anew, which is for
// a version that nobody has used yet only.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { openHarness, openProfile } from "./support/browser.mjs";

const VERSIONS = [1, 2, 3];
const fixture = (version) => new URL(`fixtures/storage-${version}.json`, import.meta.url);

/** Runs `body` with a page in a profile of its own. */
async function withPage(body) {
  const profile = await openProfile();
  try {
    const { page, errors } = await openHarness(profile);
    await body(page);
    assert.deepEqual(errors, []);
  } finally {
    await profile.close();
  }
}

/** The calls that both halves need, in the page: rows as text and back. */
const prepare = (page) =>
  page.evaluate(() => {
    const settled = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const toText = (bytes) => Array.from(new Uint8Array(bytes.buffer ?? bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const toBytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    globalThis.rows = {
      async read(name) {
        const database = await settled(indexedDB.open(name));
        const stores = {};
        for (const store of database.objectStoreNames) {
          const [keys, values] = await Promise.all(["getAllKeys", "getAll"].map((get) => settled(database.transaction(store).objectStore(store)[get]())));
          stores[store] = keys.map((key, index) => [typeof key === "string" ? key : { bytes: toText(key) }, toText(values[index])]);
        }
        const { version } = database;
        database.close();
        return { version, stores };
      },
      async write(name, { version, stores }) {
        const request = indexedDB.open(name, version);
        request.onupgradeneeded = () => Object.keys(stores).forEach((store) => request.result.createObjectStore(store));
        const database = await settled(request);
        for (const [store, rows] of Object.entries(stores)) {
          const writing = database.transaction(store, "readwrite").objectStore(store);
          for (const [key, value] of rows) await settled(writing.put(toBytes(value), typeof key === "string" ? key : toBytes(key.bytes)));
        }
        database.close();
      },
      /** All that a node of this database shows of it. */
      async show() {
        const { node } = harness;
        const [users, [space]] = [await node.users(), await node.namespaces()];
        harness.namespace = space.id;
        harness.user = users[0];
        const [listing, texts, history] = [await harness.listing(), [], []];
        for (const { path, user, available } of listing) texts.push(available < 1_000 ? await node.payload({ namespace: space.id, user, path }).then(toText) : available);
        const changes = node.subscribe(space.id, {}, { from: 0 });
        for (let index = 0; index < 4; index += 1) history.push((await changes.next()).value);
        await changes.return();
        const told = history.map(({ type, entry, progress }) => [type, entry?.path.join("/"), progress]);
        return { id: node.id, users, kind: space.kind, owner: space.hasSecret, capabilities: (await node.capabilities()).length, listing, texts, told };
      },
    };
  });

const open = (page) => page.evaluate(() => harness.open({ relays: [], storage: { indexedDb: "old" } }));

if (process.env.OSIER_FIXTURE !== undefined) {
  await withPage(async (page) => {
    await prepare(page);
    await page.evaluate(() => Object.defineProperty(crypto, "subtle", { value: undefined }));
    await open(page);
    const shown = await page.evaluate(async () => {
      harness.user = await harness.node.createUser();
      harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
      await harness.edit(["small"], "replaced");
      await harness.edit(["small"], "hello");
      await harness.edit(["in", "a", "folder"], "grüße");
      // Together, so that they are in a pack; one of them goes again.
      await Promise.all(["one", "two", "three", "four"].map((name) => harness.edit(["together", name], name)));
      await harness.edit(["together", "two"], "alone");
      await harness.addNoise(["large"], 20_000);
      const shown = await rows.show();
      await harness.node.shutdown();
      return shown;
    });
    const { version, stores } = await page.evaluate(() => rows.read("old"));
    assert.equal(String(version), process.env.OSIER_FIXTURE);
    await writeFile(fixture(version), `${JSON.stringify({ version, shown, stores }, null, 1)}\n`);
  });
}

for (const version of VERSIONS) {
  test(`durable: storage of version ${version} is read, and written on`, () =>
    withPage(async (page) => {
      const { shown, ...stored } = JSON.parse(await readFile(fixture(version), "utf8"));
      assert.equal(stored.version, version);
      await prepare(page);
      await page.evaluate((stored) => rows.write("old", stored), stored);
      assert.equal(await open(page), shown.id);
      assert.deepEqual(await page.evaluate(() => rows.show()), shown);
      assert.equal((await page.evaluate(() => harness.node.storage())).damaged, 0);
      // An older Osier does not touch it any more, but nothing was rewritten.
      const { version: now, stores } = await page.evaluate(() => rows.read("old"));
      const [, state] = stores.meta.find(([key]) => key === "state");
      assert.deepEqual([now, Number.parseInt(state.slice(0, 8), 16)], [VERSIONS.at(-1), VERSIONS.at(-1)]);
      assert.deepEqual([stores.entries, stores.payloads], [stored.stores.entries, stored.stores.payloads]);

      await page.evaluate(() => harness.edit(["new"], "written on"));
      await page.evaluate(() => harness.node.shutdown());
      assert.equal(await open(page), shown.id);
      const { listing } = await page.evaluate(() => rows.show());
      assert.deepEqual(listing.filter(({ path }) => path[0] !== "new"), shown.listing);
      assert.equal(listing.length, shown.listing.length + 1);
    }));
}
