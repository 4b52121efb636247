// What lasts in a browser, and what happens to those who want the same database.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { open as openFile, readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openHarness, openMortalProfile, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { random, seed } from "./support/random.mjs";
import { within } from "./support/three.mjs";

const KILLS = Number(process.env.OSIER_KILLS ?? 10);

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Runs `body` with a function that opens pages of one profile; none of them may have an error. */
async function withPages(body, options) {
  const profile = await openProfile(options);
  const errors = [];
  try {
    await body(async (settings) => {
      const opened = await openHarness(profile, settings);
      errors.push(opened.errors);
      return opened.page;
    });
    assert.deepEqual(errors.flat(), []);
  } finally {
    await profile.close();
  }
}

const open = (page, options = {}) => page.evaluate(([url, more]) => harness.open({ relays: [url], storage: { indexedDb: "test" }, ...more }), [relay.url, options]);

test("durable: a page that is reloaded has the same node, with all that was acknowledged", () =>
  withPages(async (newPage) => {
    const page = await newPage();
    const id = await open(page);
    const before = await page.evaluate(async () => {
      harness.user = await harness.node.createUser();
      harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
      await harness.edit(["empty"], "");
      await harness.edit(["small"], "hello");
      await harness.addNoise(["large"], 3_000_000);
      const { durable, state, entries, payloadBytes } = await harness.node.storage();
      return { storage: { durable, state, entries, payloadBytes }, place: harness.place(), listing: await harness.listing() };
    });
    assert.deepEqual(before.storage, { durable: true, state: "ok", entries: 3, payloadBytes: 3_000_005 });
    const large = await page.evaluate(([user, path]) => harness.payload(user, path), [before.place.user, ["large"]]);

    await page.reload();
    await page.waitForFunction(() => globalThis.harness !== undefined);
    const again = await page.evaluate(async (url) => {
      const progress = [];
      const id = await harness.open({ relays: [url], storage: { indexedDb: "test" }, onProgress: (step) => progress.push(step) });
      return { id, progress };
    }, relay.url);
    assert.deepEqual(again, { id, progress: [{ entries: 3, total: 3 }] });
    await page.evaluate((place) => Object.assign(harness, place), before.place);
    assert.deepEqual(await page.evaluate(() => harness.listing()), before.listing);
    assert.equal(await page.evaluate(([user, path]) => harness.payload(user, path), [before.place.user, ["large"]]), large);
    const rest = await page.evaluate(async () => {
      const { usage, quota, persisted } = await harness.node.storage();
      const asked = await harness.node.requestPersistence();
      const written = await harness.node.set(harness.namespace, { user: harness.user, path: ["small"], payload: "again" });
      return { isKnown: usage > 0 && quota > usage, persisted: typeof persisted, asked: typeof asked, pruned: written.pruned, users: await harness.node.users() };
    });
    assert.deepEqual(rest, { isKnown: true, persisted: "boolean", asked: "boolean", pruned: 1, users: [before.place.user] });
  }));

test("durable: whoever looks at the storage does not disturb whoever writes", () =>
  withPages(async (newPage) => {
    const page = await newPage();
    await open(page);
    const entries = await within(60_000, "all of them are answered", page.evaluate(async () => {
      harness.user = await harness.node.createUser();
      harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
      const looks = [];
      for (let index = 0; index < 100; index += 1) {
        looks.push(harness.node.storage());
        await harness.edit([String(index)], "hello");
      }
      await Promise.all(looks);
      return (await harness.node.storage()).entries;
    }));
    assert.equal(entries, 100);
  }));

test("durable: a subscription goes on after a reload where it was, and is told when it cannot", () =>
  withPages(async (newPage) => {
    const page = await newPage();
    await open(page);
    /** The next events of a subscription, as `[type, path, origin]`, and the progress of each. */
    const follow = (place, from, count) =>
      page.evaluate(
        async ([space, from, count]) => {
          const events = [];
          for await (const { type, entry, origin, progress } of harness.node.subscribe(space, {}, { from })) {
            events.push([type, entry?.path.join("/"), origin, progress]);
            if (events.length === count) break;
          }
          return { told: events.map((event) => event.slice(0, 3)), progress: events.map((event) => event[3]) };
        },
        [place.namespace, from, count],
      );
    const place = await page.evaluate(async () => {
      harness.user = await harness.node.createUser();
      harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
      for (const name of ["a", "b", "c"]) await harness.edit([name], name);
      return harness.place();
    });
    const before = await follow(place, 0, 3);
    assert.deepEqual(before.told, ["a", "b", "c"].map((path) => ["inserted", path, "local"]));
    await page.reload();
    await page.waitForFunction(() => globalThis.harness !== undefined);
    await open(page);
    await page.evaluate(async (where) => {
      Object.assign(harness, where);
      await harness.edit(["d"], "after the reload");
    }, place);
    const after = await follow(place, before.progress[0], 3);
    assert.deepEqual(after.told, ["b", "c", "d"].map((path) => ["inserted", path, "local"]));
    assert.deepEqual(after.progress.slice(0, 2), before.progress.slice(1));
    assert.deepEqual((await follow(place, after.progress[2] + 1, 1)).told, [["lagged", undefined, undefined]]);
    assert.deepEqual((await follow(place, before.progress[0] - 1, 1)).told, [["lagged", undefined, undefined]]);
  }));

test("durable: four pages want one database; it has one owner, whoever that is", () =>
  withPages(async (newPage) => {
    const [a, b, c, d] = [await newPage(), await newPage(), await newPage(), await newPage()];
    const id = await open(a);
    await a.evaluate(async () => {
      harness.user = await harness.node.createUser();
      harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
    });
    const place = await a.evaluate(() => harness.place());
    const failure = (page, more) => page.evaluate(([url, rest]) => harness.failure(harness.open({ relays: [url], storage: { indexedDb: "test" }, ...rest })), [relay.url, more]);
    assert.equal((await failure(b, { lock: "fail" })).code, "alreadyOpen");
    // One that gives up while it waits takes nothing with it.
    const aborted = b.evaluate(async (url) => {
      const signal = AbortSignal.timeout(100);
      return harness.failure(harness.open({ relays: [url], storage: { indexedDb: "test" }, signal }));
    }, relay.url);
    assert.equal((await aborted).code, "aborted");
    const waiting = open(c);
    await a.evaluate(() => harness.node.shutdown());
    assert.equal(await within(30_000, "the next one opens it", waiting), id);

    // What a robbed owner writes is refused, and it knows why.
    const robbed = c.evaluate(async (where) => {
      Object.assign(harness, where);
      const states = await harness.until(harness.node.watchStatus(), ({ storage }) => storage.state === "lost");
      const failed = await harness.failure(harness.edit(["robbed"], "never"));
      return { reason: states.at(-1).storage.reason, code: failed.code };
    }, place);
    assert.equal(await open(d, { lock: "steal" }), id);
    const { reason, code } = await within(30_000, "the owner hears of it", robbed);
    assert.match(reason, /another tab/);
    assert.equal(code, "storageLost");
    await d.evaluate(async (where) => {
      Object.assign(harness, where);
      await harness.edit(["mine"], "now");
    }, place);
    assert.deepEqual((await d.evaluate(() => harness.listing())).map(({ path }) => path), [["mine"]]);
  }));

test("durable: a key has one owner, whoever that is, and who is robbed of it shuts down", () =>
  withPages(async (newPage) => {
    const [a, b, c] = [await newPage(), await newPage(), await newPage()];
    const opens = (page, lock) =>
      page.evaluate(([url, rest]) => harness.open({ relays: [url], storage: "memory", secretKey: new Uint8Array(32).fill(5), ...rest }), [relay.url, lock && { lock }]);
    const id = await opens(a);
    await assert.rejects(opens(b, "fail"), /open elsewhere/);
    const waiting = opens(b);
    await a.evaluate(() => harness.node.shutdown());
    assert.equal(await within(30_000, "the next one has the key", waiting), id);

    const robbed = b.evaluate(async () => {
      for await (const status of harness.node.watchStatus()) void status;
      return harness.failure(harness.node.users());
    });
    assert.equal(await opens(c, "steal"), id);
    assert.equal((await within(30_000, "the owner hears of it", robbed)).code, "shuttingDown");
    assert.deepEqual(await c.evaluate(() => harness.node.users()), []);
  }));

test("durable: without IndexedDB a node opens in memory only if it is told to", () =>
  withPages(async (newPage) => {
    const page = await newPage();
    await page.evaluate(() => Object.defineProperty(globalThis, "indexedDB", { value: undefined }));
    const seen = await page.evaluate(async () => {
      const refused = await harness.failure(osier.WillowNode.open({ host: "page" }));
      const node = await osier.WillowNode.open({ storage: "memory" });
      const { durable } = await node.storage();
      await node.shutdown();
      return { code: refused.code, durable };
    });
    assert.deepEqual(seen, { code: "storageUnavailable", durable: false });
  }));

/** Runs `body` with a browser that can be killed: `profile` is the present one, `restart` opens the next where the last was killed. */
async function withMortal(body) {
  const mortal = {
    profile: await openMortalProfile(),
    async restart() {
      mortal.profile = await openMortalProfile(mortal.profile.folder);
    },
  };
  try {
    await body(mortal);
  } finally {
    await mortal.profile.close();
  }
}

/** Opens a page and its node, which tells what it finds, and writes 20 entries more. */
async function visit({ profile }) {
  const { page } = await openHarness(profile);
  await open(page);
  return page.evaluate(async () => {
    const { dataLoss, damaged, entries } = await harness.node.storage();
    await harness.settle();
    for (let index = 0; index < 20; index += 1) await harness.edit([String(entries), String(index)], "hello");
    return { dataLoss, damaged, entries };
  });
}

test("durable: a browser that finds its database broken says so, and what it has is new", () =>
  withMortal(async (mortal) => {
    assert.deepEqual(await visit(mortal), { dataLoss: null, damaged: 0, entries: 0 });
    await mortal.profile.kill();
    await breakDatabases(mortal.profile.folder);
    await mortal.restart();
    const { dataLoss, ...rest } = await visit(mortal);
    assert.match(dataLoss, /\S/);
    assert.deepEqual(rest, { damaged: 0, entries: 0 });
  }));

test("durable: what a kill has torn off the browser's log is not missed later", () =>
  withMortal(async (mortal) => {
    assert.deepEqual(await visit(mortal), { dataLoss: null, damaged: 0, entries: 0 });
    await mortal.profile.kill();
    const torn = await tearLogs(mortal.profile.folder);
    for (const entries of [20, 40]) {
      await mortal.restart();
      const seen = await visit(mortal);
      assert.deepEqual(seen.dataLoss, null);
      assert.ok(seen.entries >= entries - 1, `${seen.entries} of ${entries}`); // what was torn off may have been an entry
      await within(60_000, "the torn log is gone", gone(torn));
      await mortal.profile.kill();
    }
    await mortal.restart();
  }));

/** Cuts the last record of the logs of a profile's databases, as a kill in the middle of a write does. Returns their paths. */
async function tearLogs(profile) {
  const logs = await logsOf(profile);
  for (const log of logs) await truncate(log, (await stat(log)).size - 9);
  return logs;
}

/** Resolves once none of the files is there. */
async function gone(files) {
  while (files.some((file) => existsSync(file))) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Overwrites the middle of the logs of a profile's databases. */
async function breakDatabases(profile) {
  for (const log of await logsOf(profile)) {
    const file = await openFile(log, "r+");
    const { size } = await file.stat();
    await file.write(Buffer.alloc(64, 0x5a), 0, 64, Math.floor(size / 2));
    await file.close();
  }
}

/** The paths of the logs of a profile's databases. */
async function logsOf(profile) {
  const databases = join(profile, "Default", "IndexedDB");
  const logs = (await readdir(databases, { recursive: true })).filter((name) => name.endsWith(".log"));
  assert.ok(logs.length > 0);
  return logs.map((name) => join(databases, name));
}

test(`durable: a browser is killed ${KILLS} times while it writes, and all that it acknowledged is there`, async (t) => {
  const first = seed();
  t.diagnostic(`OSIER_SEED=${first}`);
  const next = random(first);
  const acknowledged = new Map();
  await withMortal(async (mortal) => {
    let [writes, losses] = [0, 0];
    for (let round = 0; round <= KILLS; round += 1) {
      const name = `round ${round}, OSIER_SEED=${first}`;
      const { page, errors } = await within(60_000, name, openHarness(mortal.profile));
      await within(60_000, `${name}: it opens`, open(page));
      const { held, dataLoss, damaged } = await page.evaluate(async () => {
        const { dataLoss, damaged } = await harness.node.storage();
        await harness.settle();
        const held = [];
        for (const entry of await harness.listing()) {
          const payload = await harness.node.payload({ namespace: harness.namespace, ...entry }).catch((error) => error.code);
          held.push([entry.path.join("/"), payload.length, payload.every?.((byte) => byte === entry.length % 251)]);
        }
        return { held, dataLoss, damaged };
      });
      if (dataLoss !== null) {
        // It happens to Chromium: LevelDB goes on behind a record that a kill has torn, and then takes its own log for broken
        // (google/leveldb#1287). What is to be shown here is that nobody else loses anything, and that it is told.
        t.diagnostic(`${name}: Chromium has lost its databases (${dataLoss})`);
        assert.deepEqual(held, [], name);
        acknowledged.clear();
        losses += 1;
      }
      assert.equal(damaged, 0, name);
      const lengths = new Map(held.map(([path, length]) => [path, length]));
      for (const [path, length] of acknowledged) assert.equal(lengths.get(path), length, `${name}: ${path} was acknowledged`);
      for (const [path, , whole] of held) assert.ok(whole, `${name}: ${path} is half there`);
      assert.deepEqual(errors, [], name);
      if (round === KILLS) break;
      const acknowledgements = [];
      const begun = new Promise((resolve) => {
        page.on("console", (message) => {
          const [, path, length] = /^kept (\S+) (\d+)$/.exec(message.text()) ?? [];
          if (path === undefined) return;
          acknowledgements.push([path, Number(length)]);
          resolve();
        });
      });
      page.evaluate((number) => {
        const write = async () => {
          for (let index = 0; ; index += 1) {
            const length = (index * 7919) % 40_000;
            const path = [`round-${number}`, String(index)];
            await harness.node.set(harness.namespace, { user: harness.user, path, payload: new Uint8Array(length).fill(length % 251) });
            console.log(`kept ${path.join("/")} ${length}`);
          }
        };
        // Small ones that come together, of which some are replaced later, so that what they are in is written anew.
        const burst = async () => {
          for (let index = 0; ; index += 1) {
            const set = async (item) => {
              const [path, length] = [[`round-${number}`, `burst-${index}`, String(item)], 1 + ((index * 31 + item * 7) % 200)];
              await harness.node.set(harness.namespace, { user: harness.user, path, payload: new Uint8Array(length).fill(length % 251) });
              console.log(`kept ${path.join("/")} ${length}`);
            };
            await Promise.all(Array.from({ length: 12 }, (_, item) => set(item)));
            for (const item of [0, 7]) await set(item);
          }
        };
        write();
        write();
        burst();
      }, round);
      await within(30_000, `${name}: a write`, begun);
      await new Promise((resolve) => setTimeout(resolve, 20 + 500 * next()));
      await mortal.profile.kill();
      for (const [path, length] of acknowledgements) acknowledged.set(path, length);
      writes += acknowledgements.length;
      await mortal.restart();
    }
    t.diagnostic(`${writes} writes were acknowledged`);
    assert.ok(writes >= KILLS);
    assert.ok(losses <= 1 + KILLS / 10, "Chromium itself loses little");
  });
});

test("durable: a browser that is killed while it reads a drop keeps nothing of it that is not proven", () =>
  withMortal(async (mortal) => {
    const { page: first } = await within(60_000, "the first page", openHarness(mortal.profile));
    await open(first);
    const drop = await within(60_000, "staged bytes", first.evaluate(async () => {
      const source = await osier.WillowNode.open({ storage: "memory" });
      const user = await source.createUser();
      const namespace = await source.createNamespace({ kind: "owned", owner: user });
      await source.set(namespace, { user, path: ["a"], payload: "hello" });
      await source.set(namespace, { user, path: ["b"], payload: harness.noise(3_000_000) });
      const blob = await new Response(source.exportDrop(namespace)).blob();
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const standing = new ReadableStream({ start: (controller) => controller.enqueue(bytes.subarray(0, -9)) });
      harness.node.importDrop(standing).catch(() => {});
      while ((await harness.node.storage()).payloadBytes < 2_000_000) await new Promise((resolve) => setTimeout(resolve, 10));
      const reader = new FileReader();
      await new Promise((resolve) => Object.assign(reader, { onload: resolve }).readAsDataURL(blob));
      return { namespace, url: reader.result };
    }));
    await mortal.profile.kill();

    await mortal.restart();
    const { page, errors } = await within(60_000, "the second page", openHarness(mortal.profile));
    await within(60_000, "it opens", open(page));
    const seen = await within(60_000, "the drop is read", page.evaluate(async ({ namespace, url }) => {
      const held = async () => {
        const available = [];
        for await (const entry of harness.node.entries(namespace)) available.push(entry.available);
        const { entries, payloadBytes } = await harness.node.storage();
        return { available, entries, payloadBytes };
      };
      const before = await held();
      const result = await harness.node.importDrop(await (await fetch(url)).blob());
      return { before, result, after: await held() };
    }, drop));
    assert.deepEqual(seen.before, { available: [5, 0], entries: 2, payloadBytes: 5 });
    assert.deepEqual(seen.result, { inserted: 0, skipped: 2 });
    assert.deepEqual(seen.after, { available: [5, 3_000_000], entries: 2, payloadBytes: 3_000_005 });
    assert.deepEqual(errors, []);
  }));
