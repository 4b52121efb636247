// Intents while they run: more interests, and several peers at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

test("interests are added to a running intent", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    for (const name of ["one", "two", "three"]) await owner.write([name], name);
    const guest = await harness.guest(owner);
    const interest = (name) => ({ namespace: owner.space, area: { path: [name] } });
    const paths = async () => (await harness.until(guest.node.entries(owner.space), () => false)).map(({ path }) => path[0]);
    const live = guest.node.sync(guest.peers[0], { mode: "live", interests: [interest("one")] });
    const events = live[Symbol.asyncIterator]();
    const reconciled = async () => {
      while ((await events.next()).value.type !== "reconciledAll");
    };
    await reconciled();
    const before = await paths();
    const result = await live.addInterests([interest("two")]);
    await reconciled();
    const after = await paths();
    const once = guest.node.sync(guest.peers[0], { interests: [interest("one")] });
    await once.addInterests([interest("three")]);
    return { before, result, after, completion: await once.completed, all: await paths() };
  });
  assert.deepEqual([seen.before, seen.after, seen.all], [["one"], ["one", "two"], ["one", "three", "two"]]);
  assert.equal(seen.result, undefined);
  assert.deepEqual(seen.completion, { outcome: "complete" });
});

test("interests that cannot be added say why, and the intent goes on", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const guest = await harness.guest(owner);
    const live = guest.node.sync(guest.peers[0], { mode: "live", interests: [{ namespace: owner.space, area: { path: ["one"] } }] });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    const wrong = { "nothing": undefined, "all": "all", "no interest": [5], "no space": [{}], "no area": [{ namespace: owner.space, area: 5 }], "not readable": [{ namespace: guest.user }] };
    const codes = {};
    const code = async (name, promise) => {
      const { code, argument } = await harness.failure(promise);
      codes[name] = argument === undefined ? code : `${code} ${argument}`;
    };
    for (const [name, interests] of Object.entries(wrong)) await code(name, live.addInterests(interests));
    await owner.write(["one"], "still live");
    await harness.until(guest.node.subscribe(owner.space, {}, { from: 0 }), ({ type }) => type === "inserted");
    await live.close();
    await code("closed", live.addInterests([]));
    await code("failed", guest.node.sync("no key").addInterests([]));
    const open = guest.node.sync(guest.peers[0], { mode: "live" });
    await guest.node.shutdown();
    await code("shut down", open.addInterests([]));
    return codes;
  });
  assert.deepEqual(seen, {
    "nothing": "invalidArgument interests", "all": "invalidArgument interests", "no interest": "invalidArgument interests", "no space": "invalidArgument namespace",
    "no area": "invalidArgument area", "not readable": "notAuthorised", "closed": "closed", "failed": "closed", "shut down": "shuttingDown",
  });
});

test("syncAll merges the events of all peers, and each intent ends by itself", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["a"], "1");
    const [middle, guest] = [await harness.guest(owner), await harness.guest(owner)];
    await middle.node.set(owner.space, { user: middle.user, path: ["b"], payload: "2" });
    const peers = [owner.node.address(), guest.node.id, middle.node.address(), "no key"];
    const set = guest.node.syncAll(peers);
    const [events, again] = await Promise.all([harness.until(set, () => false), harness.until(set, () => false)]);
    const outcomes = await set.completed;
    const entries = await harness.until(guest.node.entries(owner.space), () => false);
    const live = guest.node.syncAll([peers[0], peers[2]], { mode: "live", interests: [{ namespace: owner.space, area: { path: ["a"] } }] });
    const merged = live[Symbol.asyncIterator]();
    const waiting = new Set(live.intents.map(({ peer }) => peer));
    while (waiting.size > 0) {
      const { value } = await merged.next();
      if (value.type === "reconciledAll") waiting.delete(value.peer);
    }
    await live.addInterests([{ namespace: owner.space, area: { path: ["more"] } }]);
    const wrong = await harness.failure(live.addInterests([{}]));
    await middle.node.set(owner.space, { user: middle.user, path: ["more"], payload: "from the second" });
    await harness.until(guest.node.subscribe(owner.space, {}, { from: 0 }), (event) => event.entry?.path[0] === "more");
    await live.close();
    const control = new AbortController();
    const aborted = guest.node.syncAll([peers[0], peers[2]], { mode: "live", signal: control.signal });
    const left = aborted[Symbol.asyncIterator]();
    const turn = left.next().then(() => left.next()).then(() => left.return());
    control.abort();
    await turn;
    return {
      ids: [owner.node.id, guest.node.id, middle.node.id, "no key"], events, again: again.length, count: entries.length, wrong,
      outcomes: outcomes.map(({ peer, completion, error }) => [peer, completion?.outcome ?? error.code, error === undefined || error instanceof osier.WillowError]),
      isIntent: set.intents.every((intent) => intent instanceof osier.Intent),
      closed: (await live.completed).map(({ completion }) => completion.outcome),
      aborted: (await aborted.completed).map(({ completion }) => completion.outcome),
      none: [await guest.node.syncAll([]).completed, await harness.until(guest.node.syncAll([]), () => false)],
    };
  });
  const [owner, self, middle, nobody] = seen.ids;
  assert.deepEqual(seen.outcomes, [[owner, "complete", true], [self, "selfPeer", true], [middle, "complete", true], [nobody, "invalidArgument", true]]);
  assert.equal(seen.isIntent, true);
  assert.equal(seen.count, 2);
  const types = (of) => seen.events.filter(({ peer, type }) => peer === of && type !== "progress").map(({ type }) => type);
  const whole = ["connecting", "established", "overlap", "reconciled", "reconciledAll", "ended"];
  assert.deepEqual([owner, self, middle, nobody].map(types), [whole, ["error"], whole, ["error"]]);
  assert.ok(seen.again >= 14, String(seen.again));
  assert.deepEqual([seen.wrong.code, seen.wrong.argument], ["invalidArgument", "namespace"]);
  assert.deepEqual([seen.closed, seen.aborted], [["closed", "closed"], ["closed", "closed"]]);
  assert.deepEqual(seen.none, [[], []]);
});
