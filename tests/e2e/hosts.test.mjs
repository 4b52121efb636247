// One node for all pages of an origin, in a worker: the same API, and nothing lost when whoever runs it goes.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openHarness, openMortalProfile, openProfile } from "./support/browser.mjs";
import { packageFolder } from "./support/environment.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Runs `body` with a function that opens pages of one profile; none of them may have an error. */
async function withPages(body, profile = openProfile(), expected = undefined) {
  const { context, close, ...more } = await profile;
  const errors = [];
  try {
    await body(async () => {
      const opened = await openHarness({ context }, { expected });
      errors.push(opened.errors);
      return opened.page;
    }, { context, ...more });
    assert.deepEqual(errors.flat(), []);
  } finally {
    await close();
  }
}

const STORED = { indexedDb: "hosts" };
const open = (page, host, options = {}) =>
  within(30_000, `a node in ${host}`, page.evaluate(([url, host, options]) => harness.open({ relays: [url], host, ...options }), [relay.url, host, { storage: STORED, ...options }]));
const settle = async (page) => {
  await page.evaluate(() => harness.settle());
  return page.evaluate(() => harness.place());
};
const write = (page, path, text) => within(30_000, `${path} is written`, page.evaluate(([path, text]) => harness.edit([path], text), [path, text]));
const paths = (page) => within(30_000, "a listing", page.evaluate(async () => (await harness.listing()).map(({ path }) => path.join("/")).sort()));

for (const host of ["shared", "worker"]) {
  test(`host ${host}: pages of one origin share a node, and what one writes the others see`, () =>
    withPages(async (newPage) => {
      const [a, b] = [await newPage(), await newPage()];
      const id = await open(a, host);
      const place = await settle(a);
      assert.equal(await open(b, host), id);
      await b.evaluate((place) => Object.assign(harness, place), place);
      assert.deepEqual(await Promise.all([a, b].map((page) => page.evaluate(() => harness.node.host))), [host, host]);
      const told = b.evaluate(async () => {
        for await (const event of harness.node.subscribe(harness.namespace)) return [event.type, event.entry.path, event.origin];
      });
      await write(a, "from a", "hello");
      assert.deepEqual(await within(10_000, "b is told", told), ["inserted", ["from a"], "local"]);
      await write(b, "from b", "hi");
      assert.deepEqual(await paths(a), ["from a", "from b"]);
      // Asking the person is a page's business.
      assert.equal(await b.evaluate(() => {
        navigator.storage.persist = async () => "asked";
        return harness.node.requestPersistence();
      }), "asked");
      // Whoever closes leaves the node to the others.
      await a.close();
      await write(b, "later", "still here");
      assert.deepEqual(await paths(b), ["from a", "from b", "later"]);
    }));
}

test("host worker: the page that runs the node shuts it down, and leaves it to the others", () =>
  withPages(async (newPage) => {
    const [a, b] = [await newPage(), await newPage()];
    await open(a, "worker");
    const place = await settle(a);
    await open(b, "worker");
    await b.evaluate((place) => Object.assign(harness, place), place);
    const told = b.evaluate(async () => {
      const events = [];
      for await (const { type, entry } of harness.node.subscribe(harness.namespace)) {
        events.push(type === "inserted" ? entry.path[0] : type);
        if (entry?.path[0] === "last") return events;
      }
      return [...events, "the end"];
    });
    for (const name of ["one", "two"]) await write(a, name, "by a");
    await within(30_000, "a is done", a.evaluate(() => harness.node.shutdown()));
    await write(b, "last", "by b");
    assert.deepEqual(await within(30_000, "b is told", told), ["one", "two", "last"]);
    assert.deepEqual([a.workers().length, b.workers().length], [0, 1]);
  }));

for (const host of ["shared", "worker"]) {
  test(`host ${host}: what cannot be sent to a worker is refused, and what is given counts as it is then`, () =>
    withPages(async (newPage) => {
      const page = await newPage();
      await open(page, host);
      await settle(page);
      const seen = await within(30_000, "all are answered", page.evaluate(async (host) => {
        const { node, namespace, user } = harness;
        const payload = new Uint8Array([1, 2, 3]);
        const writing = node.set(namespace, { user, path: ["a"], payload });
        payload.fill(0);
        const refused = [node.get(namespace, user, [() => {}]), osier.WillowNode.open({ host, relays: [() => {}] }), node.sync({ id: user, relays: [() => {}] }).completed];
        const codes = await Promise.all(refused.map(async (promise) => (await harness.failure(promise)).code));
        const { entry } = await writing;
        return { codes, bytes: [...(await node.payload(entry))] };
      }, host));
      assert.deepEqual(seen, { codes: Array(3).fill("invalidArgument"), bytes: [1, 2, 3] });
    }));
}

/** Has a page write until it closes or is asked again; what was acknowledged is in `acknowledged`. */
const keepWriting = (page, name, acknowledged) => {
  page.on("console", (message) => {
    const [, path] = /^kept (\S+)$/.exec(message.text()) ?? [];
    if (path !== undefined) acknowledged.add(path);
  });
  return page.evaluate((name) => {
    const write = async () => {
      harness.writing = name;
      for (let index = 0; harness.writing === name; index += 1) {
        await harness.edit([`${name}-${index}`], "kept");
        console.log(`kept ${name}-${index}`);
      }
    };
    void write();
  }, name);
};

/** Whether anything is written within so many milliseconds, and how long that took. */
const handOver = (page, name) =>
  within(30_000, "a hand-over", page.evaluate(async (name) => {
    const began = performance.now();
    await harness.edit([name], "after");
    return performance.now() - began;
  }, name));

test("host worker: the page that runs the node closes 20 times during a sync, and nothing is lost", async (t) => {
  const partner = await openProfile();
  await withPages(async (newPage, { context }) => {
    const { page: other } = await openHarness(partner);
    await other.evaluate((url) => harness.create([url]), relay.url);
    const ticket = await other.evaluate(() => harness.share());
    const acknowledged = new Set();
    const pages = [];
    const join = async () => {
      const page = await newPage();
      pages.push(page);
      await open(page, "worker");
      await within(30_000, "it joins", page.evaluate(async (ticket) => {
        const [user] = await harness.node.users();
        const joined = await harness.node.join(ticket, user && { as: user });
        Object.assign(harness, { namespace: joined.namespace, user: joined.user });
        harness.intent = harness.node.sync(joined.peers[0], { mode: "live" });
        harness.follow();
      }, ticket));
      return page;
    };
    for (let index = 0; index < 4; index += 1) await join();
    const times = [];
    for (let round = 0; round < 20; round += 1) {
      await keepWriting(pages[0], `r${round}`, acknowledged);
      await join();
      // The oldest page runs the node.
      await pages.shift().close();
      times.push(await handOver(pages[0], `after-${round}`));
      acknowledged.add(`after-${round}`);
    }
    const told = [...acknowledged];
    const there = new Set(await paths(pages[0]));
    assert.deepEqual(told.filter((path) => !there.has(path)), []);
    assert.equal(context.pages().length, 5); // and the empty one of the profile
    // All of it arrives at the partner: the intents went on.
    const missing = () => other.evaluate(async (all) => {
      const here = new Set((await harness.listing()).map(({ path }) => path.join("/")));
      return all.filter((path) => !here.has(path)).length;
    }, [...there]);
    await within(60_000, "the partner has it", (async () => {
      while ((await missing()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    })());
    const completions = await Promise.all(pages.map((page) => page.evaluate(() => Promise.race([harness.intent.completed.then(() => "ended", (error) => error.code), new Promise((resolve) => setTimeout(resolve, 0, "live"))]))));
    assert.deepEqual(new Set(completions), new Set(["live"]));
    times.sort((a, b) => a - b);
    t.diagnostic(`${acknowledged.size} writes; hand-over: median ${Math.round(times[10])} ms, longest ${Math.round(times[19])} ms`);
  });
  await partner.close();
});

test("host worker: the page that runs the node is frozen 20 times, another takes over, and nothing is lost", async (t) =>
  withPages(async (newPage, { context }) => {
    const [a, b] = [await newPage(), await newPage()];
    await open(a, "worker");
    const place = await settle(a);
    await open(b, "worker");
    await b.evaluate((place) => Object.assign(harness, place), place);
    const sleep = async (page, state) => (await context.newCDPSession(page)).send("Page.setWebLifecycleState", { state });
    const acknowledged = new Set();
    const times = [];
    let [running, other] = [a, b];
    for (let round = 0; round < 20; round += 1) {
      // It is frozen in the middle of its writes.
      await keepWriting(running, `r${round}`, acknowledged);
      await sleep(running, "frozen");
      times.push(await handOver(other, `after-${round}`));
      acknowledged.add(`after-${round}`);
      await sleep(running, "active");
      await write(running, `awake-${round}`, "through the other");
      acknowledged.add(`awake-${round}`);
      assert.ok((await paths(running)).includes(`after-${round}`));
      [running, other] = [other, running];
    }
    const told = [...acknowledged];
    const there = new Set(await paths(a));
    assert.deepEqual(told.filter((path) => !there.has(path)), []);
    times.sort((a, b) => a - b);
    t.diagnostic(`${acknowledged.size} writes; hand-over: median ${Math.round(times[10])} ms, longest ${Math.round(times[19])} ms`);
  }, openMortalProfile()));

/** A worker that lets pages in and is never heard again, as when its process stands still. */
const SILENT = `onmessage = ({ data: { lobby: name } }) => {
  const [lobby, met] = [new BroadcastChannel(name), new Set()];
  lobby.onmessage = ({ data }) => {
    if (data.type !== "knock" || met.has(data.name)) return;
    met.add(data.name);
    const room = new BroadcastChannel(name + ": " + data.name + ", silent");
    room.onmessage = ({ data: { messages: [{ type, version }] } }) => type === "hello" && room.postMessage({ from: "host", messages: [{ type: "welcome", version, life: "silent" }] });
    lobby.postMessage({ type: "here", name: data.name, host: "silent" });
  };
  navigator.locks.request("osier: silent lives", () => new Promise(() => {}));
};`;

test("host worker: a page whose worker stops answering without a word is robbed of the node by another", async (t) =>
  withPages(async (newPage) => {
    const [a, b] = [await newPage(), await newPage()];
    await a.evaluate((code) => {
      const Real = Worker;
      globalThis.Worker = class extends Real {
        constructor() {
          super(URL.createObjectURL(new Blob([code])));
        }
      };
    }, SILENT);
    const waiting = open(a, "worker");
    await within(10_000, "it runs", (async () => {
      while (a.workers().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    })());
    const began = performance.now();
    const id = await open(b, "worker");
    t.diagnostic(`taken after ${Math.round(performance.now() - began)} ms`);
    // The one that was robbed finds the other, and does not take the node back.
    assert.equal(await waiting, id);
    const place = await settle(a);
    await write(a, "through b", "by a");
    await b.evaluate((place) => Object.assign(harness, place), place);
    assert.deepEqual(await paths(b), ["through b"]);
    assert.deepEqual([a.workers().length, b.workers().length], [0, 1]);
  }));

/** The module, in which `users()` traps. */
async function trapping() {
  const module = await readFile(join(packageFolder(), "osier.wasm"));
  const number = (at) => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = module[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return [value, at];
      shift += 7;
    }
  };
  const sections = new Map();
  for (let at = 8; at < module.length; ) {
    const [id, [size, start]] = [module[at], number(at + 1)];
    sections.set(id, start);
    at = start + size;
  }
  let imported = 0;
  for (const { kind } of WebAssembly.Module.imports(new WebAssembly.Module(module))) if (kind === "function") imported += 1;
  // Exports: how many; each a name, its kind, and which it is.
  let [count, at] = number(sections.get(7));
  let users;
  while (count-- > 0) {
    const [length, text] = number(at);
    const [index, next] = number(text + length + 1);
    if (module.toString("latin1", text, text + length) === "rawnode_users") users = index - imported;
    at = next;
  }
  // Code: how many; each its size, and so many bytes.
  [count, at] = number(sections.get(10));
  for (let index = 0; index < users; index += 1) {
    const [size, start] = number(at);
    at = start + size;
  }
  const [size, start] = number(at);
  // No locals, `unreachable`, and no more until the end.
  module.fill(1, start, start + size).set([0, 0], start);
  module[start + size - 1] = 0x0b;
  return module.toString("base64");
}

for (const host of ["shared", "worker"]) {
  test(`host ${host}: a module that traps is replaced by a new one, which opens what is stored and says so`, () =>
    withPages(async (newPage) => {
      const [a, b] = [await newPage(), await newPage()];
      const wasm = await trapping();
      await Promise.all([a, b].map((page) => page.evaluate((wasm) => (harness.wasm = Uint8Array.from(atob(wasm), (character) => character.charCodeAt(0))), wasm)));
      const opens = (page) => page.evaluate(([url, host]) => harness.open({ relays: [url], host, storage: { indexedDb: "hosts" }, wasm: harness.wasm }), [relay.url, host]);
      const id = await within(60_000, "it opens", opens(a));
      assert.equal(await opens(b), id);
      const seen = await within(60_000, "it goes on", a.evaluate(async () => {
        harness.user = await harness.node.createUser();
        harness.namespace = await harness.node.createNamespace({ kind: "owned", owner: harness.user });
        await harness.edit(["before"], "kept");
        const told = harness.until(harness.node.watchStatus(), ({ fatal }) => fatal !== undefined);
        const events = harness.node.subscribe(harness.namespace);
        const trap = await harness.failure(harness.node.users());
        await harness.edit(["after"], "written");
        return { code: trap.code, fatal: (await told).at(-1).fatal, paths: (await harness.listing()).map(({ path }) => path[0]), event: (await events.next()).value.type };
      }));
      assert.deepEqual({ ...seen, fatal: typeof seen.fatal }, { code: "fatal", fatal: "string", paths: ["after", "before"], event: "lagged" });
      assert.deepEqual(await within(30_000, "the other page goes on", b.evaluate(async () => (await harness.node.namespaces()).map(({ entries }) => entries))), [2]);
      // What is in memory alone is gone with its worker, and says so.
      const gone = await within(60_000, "it says so", a.evaluate(async ([url, host]) => {
        const node = await osier.WillowNode.open({ relays: [url], host, storage: "memory", wasm: harness.wasm });
        return [await harness.failure(node.users()), await harness.failure(node.createUser())].map(({ code }) => code);
      }, [relay.url, host]));
      assert.deepEqual(gone, ["fatal", "fatal"]);
      // A module that does nothing else is given up.
      const codes = await within(60_000, "it is given up", a.evaluate(async () => {
        const codes = [];
        for (let round = 0; round < 4; round += 1) codes.push((await harness.failure(harness.node.users())).code);
        return [...codes, (await harness.failure(harness.node.namespaces())).code];
      }));
      assert.deepEqual(new Set(codes), new Set(["fatal"]));
    }));
}

test("host auto: where a worker cannot be started the node runs in the page, and says so", () =>
  withPages(async (newPage) => {
    const page = await newPage();
    const seen = await within(60_000, "it opens", page.evaluate(async (url) => {
      const warnings = [];
      const warn = console.warn;
      console.warn = (text) => warnings.push(text);
      const worker = "/no-such-worker.js";
      const node = await osier.WillowNode.open({ relays: [url], storage: { indexedDb: "hosts" }, worker });
      console.warn = warn;
      const refused = await harness.failure(osier.WillowNode.open({ relays: [url], storage: { indexedDb: "other" }, host: "shared", worker }));
      const wrong = await harness.failure(osier.WillowNode.open({ host: "elsewhere" }));
      const memory = await osier.WillowNode.open({ relays: [url], storage: "memory" });
      const { host } = node;
      await node.shutdown();
      return { host, warnings: warnings.length, refused: refused.code, wrong: [wrong.code, wrong.argument], memory: memory.host };
    }, relay.url));
    assert.deepEqual(seen, { host: "page", warnings: 2, refused: "hostFailed", wrong: ["invalidArgument", "host"], memory: "page" });
  }, openProfile(), /no-such-worker/));

test("host shared: a page of another version of the package is told so", () =>
  withPages(async (newPage) => {
    const [a, b] = [await newPage(), await newPage()];
    await open(a, "shared");
    await b.route("**/lib/version.js", (route) => route.fulfill({ contentType: "text/javascript", body: 'export const VERSION = "0.0.0-other";' }));
    await b.reload();
    await b.waitForFunction(() => globalThis.harness !== undefined);
    const { code, message } = await within(30_000, "it is told", b.evaluate(async (url) => {
      const { code, message } = await harness.failure(harness.open({ relays: [url], host: "shared", storage: { indexedDb: "hosts" } }));
      return { code, message };
    }, relay.url));
    assert.equal(code, "alreadyOpen");
    assert.match(message, /a tab with osier \d+\.\d+\.\d+ runs the node, and this one has 0\.0\.0-other/);
  }));

test("host shared: a page whose node syncs has no long task", async (t) =>
  withPages(async (newPage) => {
    const [owner, guest] = [await newPage(), await newPage()];
    await owner.evaluate((url) => harness.create([url]), relay.url);
    const ticket = await owner.evaluate(async () => {
      for (let at = 0; at < 3000; at += 100) await Promise.all(Array.from({ length: 100 }, (_, index) => harness.edit([`n${at + index}`], "a small note")));
      return harness.share();
    });
    await open(guest, "shared");
    const tasks = await within(60_000, "it is synced", guest.evaluate(async (ticket) => {
      const tasks = [];
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
      const joined = await harness.node.join(ticket);
      harness.namespace = joined.namespace;
      harness.watch();
      await harness.node.sync(joined.peers[0], { mode: "once" }).completed;
      while (harness.arrivals.size < 3000) await new Promise((resolve) => setTimeout(resolve, 20));
      return tasks;
    }, ticket));
    t.diagnostic(`long tasks: ${tasks.length}, ${Math.round(Math.max(0, ...tasks))} ms at most`);
    assert.equal((await paths(guest)).length, 3000);
  }));
