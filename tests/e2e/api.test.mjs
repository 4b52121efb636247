// The public API of the packed package, in a page, over a real relay: every method once, with what it says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();
const HEX = /^[0-9a-f]{64}$/;

test("a node has the id of its key, and the address of its relays", async () => {
  const nodes = await shared.run(async () => {
    const secretKey = new Uint8Array(32).fill(7);
    const seen = [];
    for (const options of [{ secretKey }, { secretKey }, { secretKey: "ephemeral" }, {}]) {
      const node = await harness.fresh(options);
      await node.online();
      seen.push({ id: node.id, address: node.address() });
      await node.shutdown();
    }
    return seen;
  });
  for (const { id, address } of nodes) {
    assert.match(id, HEX);
    assert.equal(address.id, id);
    assert.deepEqual(address.relays.map((relay) => new URL(relay).href), [new URL(shared.relay).href]);
  }
  const ids = nodes.map(({ id }) => id);
  assert.equal(ids[0], ids[1]);
  assert.equal(new Set(ids).size, 3);
});

test("users, spaces and capabilities are listed, and secrets move to another node", async () => {
  const seen = await shared.run(async () => {
    const node = await harness.fresh();
    const [ada, bob] = [await node.createUser(), await node.createUser()];
    const owned = await node.createNamespace({ kind: "owned", owner: ada });
    const communal = await node.createNamespace({ kind: "communal", owner: bob });
    const other = await harness.fresh();
    return {
      ada, bob, owned, communal,
      users: await node.users(),
      spaces: await node.namespaces(),
      capabilities: await node.capabilities(),
      mayWrite: await node.capabilities({ namespace: owned, user: ada, access: "write" }),
      nothing: await node.capabilities({ namespace: owned, user: bob }),
      imported: [await other.importSecret(await node.exportSecret(ada)), await other.importSecret(await node.exportSecret(owned))],
      users2: await other.users(),
      spaces2: await other.namespaces(),
      pruned: (await other.set(owned, { user: ada, path: ["a"], payload: "moved" })).pruned,
      filled: await other.namespaces(),
    };
  });
  const { ada, bob, owned, communal } = seen;
  for (const id of [ada, bob, owned, communal]) assert.match(id, HEX);
  assert.deepEqual(seen.users, [ada, bob]);
  const kinds = seen.spaces.map(({ id, kind, hasSecret }) => [id, kind, hasSecret]);
  assert.deepEqual(kinds.sort(), [[owned, "owned", true], [communal, "communal", false]].sort());
  assert.equal(seen.capabilities.length, 4);
  assert.equal(seen.mayWrite.length, 1);
  const [{ area, ...held }] = seen.mayWrite;
  assert.deepEqual(held, { namespace: owned, access: "write", user: ada, delegations: held.delegations });
  assert.deepEqual(area, { user: null, path: [], from: 0n, to: null });
  assert.deepEqual(seen.nothing, []);
  assert.deepEqual(seen.imported, [ada, owned]);
  assert.deepEqual(seen.users2, [ada]);
  assert.deepEqual(seen.spaces2.map(({ id, hasSecret }) => [id, hasSecret]), [[owned, true]]);
  assert.equal(seen.pruned, 0);
  assert.deepEqual(seen.filled, [{ id: owned, kind: "owned", hasSecret: true, entries: 1, payloadBytes: 5, storedBytes: 5 }]);
});

test("entries are written, found, read in parts and replaced", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space } = await harness.owner();
    const put = (path, payload, timestamp) => node.set(space, { user, path, payload, timestamp });
    const text = async (entry, options) => new TextDecoder().decode(await node.payload(entry, options));
    const first = await put(["notes", "a"], "grüße", 1n);
    await put(["notes", "b"], new Uint8Array([104, 105]), 2n);
    await put(["notes", "c"], new Blob(["from ", "a Blob"]), 3n);
    await put(["empty"], "", 4n);
    const bytes = await put(["bin", new Uint8Array([0xff, 0])], "x", 5n);
    const found = await node.get(space, user, ["notes", "c"]);
    const paths = async (area, options) => {
      const list = [];
      for await (const entry of node.entries(space, area, options)) list.push(entry.path.map(String).join("/"));
      return list;
    };
    const before = await paths();
    const seen = {
      space, user, first: first.entry, binary: bytes.entry.path, found, before,
      reverse: await paths({}, { order: "descending" }),
      two: await paths({}, { limit: 2 }),
      below: await paths({ path: ["notes"] }),
      ofUser: await paths({ user }),
      ofNobody: await paths({ user: space }),
      early: await paths({ to: 2n }),
      late: await paths({ from: 5n }),
      texts: [await text(first.entry), await text(found), await text(found, { offset: 5 }), await text(found, { offset: 5, length: 1 })],
      absent: await node.get(space, user, ["nothing"]),
    };
    const again = await put(["notes", "a"], "newer");
    const above = await put(["notes"], "replaces all below");
    return { ...seen, again: again.pruned, above: above.pruned, after: await paths(), forgotten: await node.forget(space, { path: ["bin"] }), left: await paths() };
  });
  const { digest, ...entry } = seen.first;
  assert.deepEqual(entry, { namespace: seen.space, user: seen.user, path: ["notes", "a"], timestamp: 1n, length: 7, available: 7 });
  assert.match(digest, HEX);
  assert.deepEqual([seen.binary[0], [...seen.binary[1]]], ["bin", [255, 0]]);
  assert.equal(seen.found.length, 11);
  assert.equal(seen.absent, undefined);
  const all = ["bin/255,0", "empty", "notes/a", "notes/b", "notes/c"];
  assert.deepEqual(seen.before, all);
  assert.deepEqual(seen.reverse, [...all].reverse());
  assert.deepEqual(seen.two, all.slice(0, 2));
  assert.deepEqual(seen.below, all.slice(2));
  assert.deepEqual(seen.ofUser, all);
  assert.deepEqual(seen.ofNobody, []);
  assert.deepEqual(seen.early, ["notes/a"]);
  assert.deepEqual(seen.late, ["bin/255,0"]);
  assert.deepEqual(seen.texts, ["grüße", "from a Blob", "a Blob", "a"]);
  assert.deepEqual([seen.again, seen.above], [1, 3]);
  assert.deepEqual(seen.after, ["bin/255,0", "empty", "notes"]);
  assert.equal(seen.forgotten, 1);
  assert.deepEqual(seen.left, ["empty", "notes"]);
});

test("a payload may be a stream", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space } = await harness.owner();
    const pieces = Array.from({ length: 300 }, (_, index) => new Uint8Array(index * 10).fill(index));
    const expected = new Uint8Array(await new Blob(pieces).arrayBuffer());
    const payload = new ReadableStream({ pull: (to) => (pieces.length > 0 ? to.enqueue(pieces.shift()) : to.close()) });
    const { entry } = await node.set(space, { user, path: ["stream"], payload });
    const stored = await node.payload(entry);
    const empty = await node.set(space, { user, path: ["empty"], payload: new Blob([]).stream() });
    return { length: entry.length, same: stored.length === expected.length && stored.every((byte, at) => byte === expected[at]), empty: empty.entry.length };
  });
  assert.deepEqual(seen, { length: 448_500, same: true, empty: 0 });
});

test("a quota limits what is kept of a space, and says what is used of it", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const { node, space, user, write } = owner;
    const info = async (of) => {
      const { entries, payloadBytes, storedBytes, quota } = (await of.namespaces())[0];
      return { entries, payloadBytes, storedBytes, quota };
    };
    const seen = { none: await info(node) };
    await node.setQuota(space, { entries: 3, payloadBytes: 10 });
    for (const path of ["a", "b"]) await write([path], "12345");
    seen.used = await info(node);
    const code = async (promise) => (await harness.failure(promise)).code;
    seen.codes = [await code(write(["c"], "1")), await code(node.set(space, { user, path: ["c"], payload: new Blob([new Uint8Array(2_000_000)]) }))];
    await write(["c"], "");
    seen.codes.push(await code(write(["d"], "")));
    await node.setQuota(space, { entries: 9 });
    await write(["d"], "123456");
    const guest = await harness.guest(owner);
    await guest.node.setQuota(space, { payloadBytes: 11 });
    // What is refused does not end the session.
    await guest.node.sync(guest.peers[0], { mode: "once" }).completed;
    seen.guest = await info(guest.node);
    await guest.node.setQuota(space, null);
    await guest.node.sync(guest.peers[0], { mode: "once" }).completed;
    seen.after = await info(guest.node);
    const wrong = [[space, { bytes: 5 }], [space, { entries: -1 }], [space, 5], ["space", null]];
    seen.wrong = await Promise.all(wrong.map(async (given) => (await harness.failure(node.setQuota(...given))).argument));
    return seen;
  });
  assert.deepEqual(seen, {
    none: { entries: 0, payloadBytes: 0, storedBytes: 0, quota: undefined },
    used: { entries: 2, payloadBytes: 10, storedBytes: 10, quota: { entries: 3, payloadBytes: 10 } },
    codes: ["quotaExceeded", "quotaExceeded", "quotaExceeded"],
    guest: { entries: 3, payloadBytes: 10, storedBytes: 10, quota: { payloadBytes: 11 } },
    after: { entries: 4, payloadBytes: 16, storedBytes: 16, quota: undefined },
    wrong: ["quota", "entries", "quota", "namespace"],
  });
});

test("timestamps are dates or bigints, and never lose to a clock by default", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space } = await harness.owner();
    const date = new Date("2024-02-29T12:34:56.789Z");
    const set = async (path, timestamp) => (await node.set(space, { user, path, payload: "x", timestamp })).entry.timestamp;
    const ahead = osier.timestampFromDate(new Date(Date.now() + 300_000));
    return {
      ofDate: await set(["date"], date),
      expected: osier.timestampFromDate(date),
      back: osier.dateFromTimestamp(osier.timestampFromDate(date)).toISOString(),
      exact: await set(["bigint"], 123_456_789n),
      now: osier.dateFromTimestamp(await set(["now"])).getTime() - Date.now(),
      ahead,
      aheadSet: await set(["ahead"], ahead),
      after: await set(["ahead"]),
      obsolete: (await harness.failure(set(["ahead"], ahead))).code,
      epoch: osier.dateFromTimestamp(0n).toISOString(),
    };
  });
  assert.equal(seen.ofDate, seen.expected);
  assert.equal(seen.back, "2024-02-29T12:34:56.789Z");
  assert.equal(seen.exact, 123_456_789n);
  assert.ok(Math.abs(seen.now) < 10_000, `${seen.now} ms`);
  assert.equal(seen.aheadSet, seen.ahead);
  assert.equal(seen.after, seen.ahead + 1n);
  assert.equal(seen.obsolete, "obsolete");
  assert.equal(seen.epoch, "2000-01-02T11:59:28.000Z");
});

test("an entry leaves one node as bytes and enters another without its payload", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const entry = await owner.write(["a"], "hello");
    const bytes = await owner.node.exportEntry(entry);
    const other = await harness.fresh();
    const changes = other.subscribe(owner.space);
    const [first, second] = [await other.ingest(bytes), await other.ingest(bytes)];
    const [{ type, origin }] = await harness.until(changes, () => true);
    const there = await other.get(owner.space, owner.user, ["a"]);
    return {
      entry, first, second, type, origin, there,
      same: String(await other.exportEntry(there)) === String(bytes),
      missing: await harness.failure(other.payload(there)),
      unfetched: await harness.failure(other.fetchPayload(there)),
      nothing: await harness.failure(other.exportEntry({ ...entry, path: ["b"] })),
    };
  });
  assert.deepEqual([seen.first, seen.second], [true, false]);
  assert.deepEqual([seen.type, seen.origin], ["inserted", "import"]);
  assert.deepEqual(seen.there, { ...seen.entry, available: 0 });
  assert.equal(seen.same, true);
  assert.equal(seen.missing.code, "payloadMissing");
  assert.equal(seen.unfetched.code, "payloadMissing");
  assert.equal(seen.nothing.code, "noSuchEntry");
});

test("a subscription tells what changes in its area, and resumes where it was left", async () => {
  const seen = await shared.run(async () => {
    const { node, space, write } = await harness.owner();
    const changes = node.subscribe(space, { path: ["notes"] });
    await write(["elsewhere"], "not in the area");
    await write(["notes", "a"], "1");
    await write(["notes", "b"], "2");
    const [first] = await harness.until(changes, () => true);
    await write(["notes"], "prunes both");
    await node.forget(space);
    const rest = await harness.until(node.subscribe(space, { path: ["notes"] }, { from: first.progress }), ({ type }) => type === "forgotten");
    return { first, rest };
  });
  assert.deepEqual([seen.first.type, seen.first.origin, seen.first.entry.path], ["inserted", "local", ["notes", "a"]]);
  const told = seen.rest.map(({ type, entry }) => `${type} ${entry?.path.join("/") ?? ""}`.trim());
  assert.deepEqual(told.filter((text) => text.startsWith("inserted")), ["inserted notes/b", "inserted notes"]);
  assert.deepEqual(told.filter((text) => text.startsWith("pruned")).sort(), ["pruned notes/a", "pruned notes/b"]);
  const forgotten = seen.rest.at(-1);
  assert.equal(forgotten.count, 2);
  const numbers = [seen.first, ...seen.rest].map(({ progress }) => progress);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
});

test("links and tickets give what they say, and the grants tell of them", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const guest = await harness.fresh();
    const [first, second] = [await guest.createUser(), await guest.createUser()];
    const share = (options) => owner.node.share({ namespace: owner.space, ...options });
    const byLink = await guest.join(await share({ access: "write" }), { as: second });
    const forFirst = await guest.join(await share({ access: "read", to: first, from: owner.user, area: { path: ["public"] } }));
    const nobody = await harness.fresh();
    const made = await nobody.join(await share({ access: "read" }));
    return { owner: owner.user, space: owner.space, node: owner.node.id, first, second, byLink, forFirst, made,
      users: await nobody.users(), grants: await owner.node.grants(owner.space) };
  });
  const { owner, first, second, byLink, forFirst, made, grants } = seen;
  for (const joined of [byLink, forFirst, made]) {
    assert.equal(joined.namespace, seen.space);
    assert.deepEqual(joined.peers.map(({ id }) => id), [seen.node]);
    assert.deepEqual(joined.peers[0].relays.map((relay) => new URL(relay).href), [new URL(shared.relay).href]);
  }
  assert.deepEqual([byLink.user, byLink.access, byLink.area.path], [second, "write", []]);
  assert.deepEqual([forFirst.user, forFirst.access, forFirst.area.path], [first, "read", ["public"]]);
  assert.deepEqual([made.access, seen.users], ["read", [made.user]]);
  const given = grants.map(({ from, to, access, area, link }) => [from === owner, link || to === first, access, area.path.join("/"), link]);
  for (const expected of [[true, true, "write", "", true], [true, true, "read", "public", false], [true, true, "read", "", true]]) {
    assert.ok(given.some((grant) => String(grant) === String(expected)), `${expected} in ${JSON.stringify(given)}`);
  }
});

test("two nodes sync, and both tell what happens", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["notes", "today"], "hello");
    const guest = await harness.guest(owner);
    const [incoming, watched] = [owner.node.incoming(), guest.node.watchPeers()];
    const intent = guest.node.sync(guest.peers[0], { mode: "live", interests: [{ namespace: owner.space, area: { path: ["notes"] } }] });
    const events = await harness.until(intent, ({ type }) => type === "reconciledAll");
    const { value: session } = await incoming.next();
    const accepted = await harness.until(session, ({ type }) => type === "overlap");
    const [peer] = await guest.node.peers();
    const entry = await guest.node.get(owner.space, owner.user, ["notes", "today"]);
    await guest.node.fetchPayload(entry);
    const text = new TextDecoder().decode(await guest.node.payload(entry));
    await guest.node.disconnect(owner.node.id);
    const completion = await intent.completed;
    const told = await harness.until(watched, ({ type }) => type === "gone");
    return { owner: owner.node.id, guest: guest.node.id, intentPeer: intent.peer, sessionPeer: session.peer, isClass: session instanceof osier.IncomingSession,
      events, accepted, peer, text, completion, told, left: await guest.node.peers() };
  });
  const types = seen.events.map(({ type }) => type);
  for (const type of ["connecting", "established", "overlap", "reconciled", "reconciledAll"]) assert.ok(types.includes(type), types.join(" "));
  assert.equal(seen.events.find(({ type }) => type === "established").role, "dialer");
  assert.deepEqual(seen.events.find(({ type }) => type === "overlap").area.path, ["notes"]);
  assert.deepEqual([seen.intentPeer, seen.sessionPeer, seen.isClass], [seen.owner, seen.guest, true]);
  assert.equal(seen.accepted[0].role, "acceptor");
  const { id, state, role, relay, rtt, bytesSent, bytesReceived, intents, since } = seen.peer;
  assert.deepEqual([id, state, role, intents], [seen.owner, "active", "dialer", 1]);
  assert.equal(new URL(relay).href, new URL(shared.relay).href);
  assert.ok(bytesSent > 0 && bytesReceived > 0 && rtt > 0 && Math.abs(since - Date.now()) < 60_000, JSON.stringify(seen.peer));
  assert.equal(seen.text, "hello");
  assert.equal(seen.completion.outcome, "closed");
  const told = seen.told.map(({ type }) => type);
  assert.deepEqual([told.includes("connecting"), told.includes("established"), told.at(-1)], [true, true, "gone"]);
  assert.deepEqual(seen.left, []);
});

test("a peer that is known by its id alone is found behind the own relay", async () => {
  const completion = await shared.run(async () => {
    const owner = await harness.owner();
    await owner.write(["a"], "hello");
    const guest = await harness.guest(owner);
    return guest.node.sync(owner.node.id).completed;
  });
  assert.deepEqual(completion, { outcome: "complete" });
});

test("a large payload is fetched with progress", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const payload = harness.noise(3_000_000);
    const entry = await owner.write(["large"], payload);
    const guest = await harness.guest(owner);
    // Nothing is to be reconciled below `small`: the large payload comes because it is asked for.
    await guest.node.ingest(await owner.node.exportEntry(entry));
    const intent = guest.node.sync(guest.peers[0], { mode: "live", interests: [{ namespace: owner.space, area: { path: ["large"] } }] });
    await harness.until(intent, ({ type }) => type === "reconciledAll");
    const progress = [];
    await guest.node.fetchPayload(entry, { peer: owner.node.id, onProgress: (made) => progress.push(made) });
    const got = await guest.node.payload(entry);
    const { available } = await guest.node.get(owner.space, owner.user, ["large"]);
    return { progress, available, equal: got.length === payload.length && got.every((byte, index) => byte === payload[index]) };
  });
  assert.equal(seen.equal, true);
  assert.equal(seen.available, 3_000_000);
  const received = seen.progress.map((made) => made.received);
  assert.deepEqual(received, [...received].sort((a, b) => a - b));
  assert.ok(seen.progress.length > 1 && seen.progress.every(({ total }) => total === 3_000_000), JSON.stringify(seen.progress));
});

test("a node is disposed of, and another one opens at once", async () => {
  const seen = await shared.run(async () => {
    const secretKey = new Uint8Array(32).fill(9);
    const codes = [];
    for (let round = 0; round < 3; round += 1) {
      const node = await harness.fresh({ secretKey });
      await node.createUser();
      const disposed = node[Symbol.asyncDispose]();
      const next = await harness.fresh();
      await next.shutdown();
      await Promise.all([disposed, node.shutdown()]);
      codes.push((await harness.failure(node.users())).code);
    }
    const [one, two] = await Promise.all([harness.fresh(), harness.fresh()]);
    return { codes, different: one.id !== two.id };
  });
  assert.deepEqual(seen.codes, ["shuttingDown", "shuttingDown", "shuttingDown"]);
  assert.equal(seen.different, true);
});
