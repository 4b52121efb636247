// Bad input: each mistake is a WillowError with its code, names the argument, and changes nothing.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

const shared = sharedPage();

/** Compares `{ name: { code, argument, message } }` with `{ name: [code, argument] }`. */
function assertRefused(seen, expected) {
  assert.deepEqual(Object.keys(seen).sort(), Object.keys(expected).sort());
  for (const [name, { code, argument, message }] of Object.entries(seen)) {
    assert.deepEqual([code, argument], [expected[name][0], expected[name][1]], `${name}: ${message}`);
    assert.ok(message.length > 10, name);
    if (code === "invalidArgument") assert.ok(message.includes(argument), `${name}: ${message}`);
  }
}

const invalid = (argument) => ["invalidArgument", argument];

test("a node does not open with wrong options", async () => {
  const seen = await shared.run(async () => {
    const wrong = {
      "no object": 3, "null": null, "unknown name": { relay: "x" }, "no array of relays": { relays: "http://127.0.0.1:1" },
      "relay that is no URL": { relays: ["no url"] }, "relay with another scheme": { relays: ["ftp://127.0.0.1"] }, "relay that is no text": { relays: [7] },
      "unknown storage": { storage: "disk" }, "short key": { secretKey: new Uint8Array(31) }, "key of another type": { secretKey: "00".repeat(32) },
      "negative limit": { limits: { maxSessions: -1 } }, "unknown limit": { limits: { sessions: 1 } }, "fraction": { limits: { maxFuture: 0.5 } },
      "no transfers": { limits: { maxTransfersPerPeer: 0 } }, "endless handshakes": { limits: { maxHandshakes: Infinity } }, "half a handshake": { limits: { maxHandshakesPerPeer: 0.5 } }, "no handler": { accept: "everyone" },
      "policy that is none": { reconnect: true }, "unknown part of a policy": { reconnect: { delay: 5 } }, "no first delay": { reconnect: { firstDelay: 0 } },
      "factor below 1": { reconnect: { factor: 0.5 } }, "cap that is no number": { reconnect: { cap: Infinity } }, "jitter over 1": { reconnect: { jitter: 1.5 } },
      "half an attempt": { reconnect: { attempts: 0.5 } },
      "no signal": { signal: {} }, "no module": { wasm: 5 },
    };
    const seen = {};
    for (const [name, options] of Object.entries(wrong)) seen[name] = await harness.failure(osier.WillowNode.open(options));
    return seen;
  });
  assertRefused(seen, {
    "no object": invalid("options"), "null": invalid("options"), "unknown name": invalid("options"), "no array of relays": invalid("relays"),
    "relay that is no URL": invalid("relays"), "relay with another scheme": invalid("relays"), "relay that is no text": invalid("relays"),
    "unknown storage": invalid("storage"), "short key": invalid("secretKey"), "key of another type": invalid("secretKey"),
    "negative limit": invalid("maxSessions"), "unknown limit": invalid("limits"), "fraction": invalid("maxFuture"),
    "no transfers": invalid("maxTransfersPerPeer"), "endless handshakes": invalid("maxHandshakes"), "half a handshake": invalid("maxHandshakesPerPeer"), "no handler": invalid("accept"),
    "policy that is none": invalid("reconnect"), "unknown part of a policy": invalid("reconnect"), "no first delay": invalid("firstDelay"),
    "factor below 1": invalid("factor"), "cap that is no number": invalid("cap"), "jitter over 1": invalid("jitter"), "half an attempt": invalid("attempts"),
    "no signal": invalid("signal"), "no module": invalid("wasm"),
  });
});

test("a node is not told of a state that is none", async () => {
  const seen = await shared.run(async () => {
    const node = await harness.fresh();
    node.notify({ visible: true, frozen: false, online: undefined });
    const seen = {};
    for (const [name, state] of Object.entries({ "nothing": undefined, "unknown name": { hidden: true }, "no boolean": { visible: 1 } })) {
      seen[name] = await harness.failure((async () => node.notify(state))());
    }
    return seen;
  });
  assertRefused(seen, { "nothing": invalid("state"), "unknown name": invalid("state"), "no boolean": invalid("visible") });
});

test("a write with wrong arguments is refused and leaves no trace", async () => {
  const { seen, unchanged } = await shared.run(async () => {
    const { node, user, space, write } = await harness.owner();
    await write(["there"], "before");
    const before = await harness.contents(node);
    const set = (options) => node.set(space, { user, path: ["a"], payload: "x", ...options });
    const seen = {};
    const refuse = async (name, promise) => (seen[name] = await harness.failure(promise));
    await refuse("no namespace", node.set("xyz", { user, path: ["a"], payload: "x" }));
    await refuse("unknown namespace", node.set("11".repeat(32), { user, path: ["a"], payload: "x" }));
    await refuse("no options", node.set(space));
    await refuse("unknown option", set({ when: 5 }));
    await refuse("no user", set({ user: 5 }));
    await refuse("unknown user", set({ user: space }));
    await refuse("no path", set({ path: undefined }));
    await refuse("path as text", set({ path: "a/b" }));
    await refuse("component of another type", set({ path: ["a", 5] }));
    await refuse("component over 4096 bytes", set({ path: ["x".repeat(4097)] }));
    await refuse("path over 4096 bytes", set({ path: ["x".repeat(3000), "y".repeat(3000)] }));
    await refuse("path over 4096 components", set({ path: Array(4097).fill("") }));
    await refuse("negative timestamp", set({ timestamp: -1n }));
    await refuse("timestamp beyond u64", set({ timestamp: 2n ** 64n }));
    await refuse("timestamp that is a number", set({ timestamp: 5 }));
    await refuse("invalid Date", set({ timestamp: new Date(Number.NaN) }));
    await refuse("Date before Willow's time", set({ timestamp: new Date(-1) }));
    await refuse("too far ahead", set({ timestamp: new Date(Date.now() + 11 * 60_000) }));
    await refuse("largest timestamp", set({ timestamp: 2n ** 64n - 1n }));
    await refuse("obsolete", set({ path: ["there"], timestamp: 5n }));
    await refuse("no payload", set({ payload: undefined }));
    await refuse("payload of another type", set({ payload: { text: "x" } }));
    await refuse("no signal", set({ signal: "soon" }));
    return { seen, unchanged: before === (await harness.contents(node)) };
  });
  assertRefused(seen, {
    "no namespace": invalid("namespace"), "unknown namespace": ["noSuchNamespace", "namespace"], "no options": invalid("user"), "unknown option": invalid("options"),
    "no user": invalid("user"), "unknown user": ["noSuchUser", "user"], "no path": invalid("path"), "path as text": invalid("path"),
    "component of another type": invalid("path"), "component over 4096 bytes": invalid("path"), "path over 4096 bytes": invalid("path"),
    "path over 4096 components": invalid("path"), "negative timestamp": invalid("timestamp"), "timestamp beyond u64": invalid("timestamp"),
    "timestamp that is a number": invalid("timestamp"), "invalid Date": invalid("timestamp"), "Date before Willow's time": invalid("timestamp"),
    "too far ahead": ["timestampTooFarAhead", "timestamp"], "largest timestamp": ["timestampTooFarAhead", "timestamp"], "obsolete": ["obsolete", undefined],
    "no payload": invalid("payload"), "payload of another type": invalid("payload"), "no signal": invalid("signal"),
  });
  assert.equal(unchanged, true);
});

test("a Blob that cannot be read to its end is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "osier-file-"));
  const file = join(folder, "file.txt");
  try {
    await writeFile(file, "here for now");
    await shared.page.setContent('<input type="file" />');
    await shared.page.setInputFiles("input", file);
    await rm(file);
    const { seen, unchanged } = await shared.run(async () => {
      const { node, user, space } = await harness.owner();
      const before = await harness.contents(node);
      class Broken extends Blob {
        stream() {
          let turn = 0;
          return new ReadableStream({ pull: (to) => (turn++ === 0 ? to.enqueue(new Uint8Array(3)) : to.error(new Error("the disk is gone"))) });
        }
      }
      class Short extends Blob {
        stream() {
          return new Blob(["ab"]).stream();
        }
      }
      const [deleted] = document.querySelector("input").files;
      const seen = {};
      for (const [name, payload] of Object.entries({ deleted, broken: new Broken(["abcdef"]), short: new Short(["abcdef"]) })) {
        seen[name] = await harness.failure(node.set(space, { user, path: ["a"], payload }));
      }
      return { seen, unchanged: before === (await harness.contents(node)) };
    });
    const unreadable = ["payloadUnreadable", "payload"];
    assertRefused(seen, { deleted: unreadable, broken: unreadable, short: unreadable });
    assert.match(seen.broken.message, /the disk is gone/);
    assert.match(seen.short.message, /2 of 6 bytes/);
    assert.equal(unchanged, true);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a stream that cannot be read to its end is refused, and one that is not wanted any more is cancelled", async () => {
  const { seen, cancelled, unchanged } = await shared.run(async () => {
    const { node, user, space } = await harness.owner();
    const before = await harness.contents(node);
    const cancelled = [];
    const stream = (name, ...chunks) =>
      new ReadableStream({
        pull(to) {
          const chunk = chunks.shift();
          if (chunk instanceof Error) to.error(chunk);
          else if (chunk !== undefined) to.enqueue(chunk);
          else return new Promise(() => {}); // stands still
        },
        cancel: () => cancelled.push(name),
      });
    const locked = stream("locked");
    locked.getReader();
    const streams = { broken: stream("broken", new Uint8Array(3), new Error("the wire is cut")), text: stream("text", new Uint8Array(3), "text"), locked };
    const seen = {};
    for (const [name, payload] of Object.entries(streams)) seen[name] = await harness.failure(node.set(space, { user, path: ["a"], payload }));
    const abort = new AbortController();
    const still = node.set(space, { user, path: ["a"], payload: stream("still", new Uint8Array(3)), signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    seen.still = await harness.failure(still);
    return { seen, cancelled, unchanged: before === (await harness.contents(node)) };
  });
  assertRefused(seen, { broken: ["payloadUnreadable", "payload"], text: invalid("payload"), locked: invalid("payload"), still: ["aborted"] });
  assert.match(seen.broken.message, /the wire is cut/);
  assert.deepEqual(cancelled, ["text", "still"]);
  assert.equal(unchanged, true);
});

test("a limit on the future holds for what is written and what is ingested", async () => {
  const seen = await shared.run(async () => {
    const ahead = new Date(Date.now() + 30 * 60_000);
    const patient = await harness.owner({ limits: { maxFuture: 60 * 60_000 } });
    const { entry } = await patient.node.set(patient.space, { user: patient.user, path: ["a"], payload: "x", timestamp: ahead });
    const strict = await harness.fresh({ limits: { maxFuture: 0 } });
    const error = await harness.failure(strict.ingest(await patient.node.exportEntry(entry)));
    return { error, there: await strict.get(patient.space, patient.user, ["a"]) };
  });
  assertRefused({ ingested: seen.error }, { ingested: ["timestampTooFarAhead", "timestamp"] });
  assert.equal(seen.there, undefined);
});

test("nobody writes without a capability", async () => {
  const { seen, unchanged } = await shared.run(async () => {
    const owner = await harness.owner();
    const reader = await harness.guest(owner, "read");
    const before = await harness.contents(reader.node);
    const part = await owner.node.share({ namespace: owner.space, access: "write", area: { path: ["public"] } });
    const seen = { reader: await harness.failure(reader.node.set(owner.space, { user: reader.user, path: ["a"], payload: "x" })) };
    seen["reader that shares"] = await harness.failure(reader.node.share({ namespace: owner.space, access: "write" }));
    const unchanged = before === (await harness.contents(reader.node));
    const { user } = await reader.node.join(part);
    await reader.node.set(owner.space, { user, path: ["public", "a"], payload: "allowed" });
    seen["outside of the part"] = await harness.failure(reader.node.set(owner.space, { user, path: ["a"], payload: "x" }));
    return { seen, unchanged };
  });
  const refused = ["notAuthorised", undefined];
  assertRefused(seen, { reader: refused, "reader that shares": refused, "outside of the part": refused });
  assert.equal(unchanged, true);
});

test("tickets and secrets that are not whole, or for others, are refused", async () => {
  const { seen, unchanged } = await shared.run(async () => {
    const owner = await harness.owner();
    const node = await harness.fresh();
    const me = await node.createUser();
    const before = await harness.contents(node);
    const link = await owner.node.share({ namespace: owner.space, access: "write" });
    const forOwner = await owner.node.share({ namespace: owner.space, access: "read", to: await owner.node.createUser() });
    const secret = await owner.node.exportSecret(owner.user);
    const at = Math.floor(link.length / 2);
    const changed = link.slice(0, at) + (link[at] === "a" ? "b" : "a") + link.slice(at + 1);
    const seen = {};
    const refuse = async (name, promise) => (seen[name] = await harness.failure(promise));
    await refuse("some text", node.join("a ticket, please"));
    await refuse("empty", node.join(""));
    await refuse("cut off", node.join(link.slice(0, -3)));
    await refuse("changed", node.join(changed));
    await refuse("a secret", node.join(secret));
    await refuse("no text", node.join(5));
    await refuse("for another user", node.join(forOwner));
    await refuse("as a stranger", node.join(link, { as: owner.user }));
    await refuse("as nobody", node.join(link, { as: "me" }));
    await refuse("unknown option", node.join(link, { user: me }));
    await refuse("secret: some text", node.importSecret("a secret"));
    await refuse("secret: changed", node.importSecret(`${secret.slice(0, -1)}${secret.endsWith("a") ? "b" : "a"}`));
    await refuse("secret: a ticket", node.importSecret(link));
    await refuse("secret: no text", node.importSecret(null));
    await refuse("secret of a stranger", node.exportSecret(owner.user));
    return { seen, unchanged: before === (await harness.contents(node)) };
  });
  const malformed = ["invalidTicket", "ticket"];
  const { "secret of a stranger": stranger, ...rest } = seen;
  assertRefused(rest, {
    "some text": malformed, "empty": malformed, "cut off": malformed, "changed": malformed, "a secret": malformed, "no text": invalid("ticket"),
    "for another user": ["ticketForAnotherUser", "ticket"], "as a stranger": ["noSuchUser", "user"], "as nobody": invalid("as"), "unknown option": invalid("options"),
    "secret: some text": invalid("secret"), "secret: changed": invalid("secret"), "secret: a ticket": invalid("secret"), "secret: no text": invalid("secret"),
  });
  assert.ok(["noSuchUser", "noSuchNamespace"].includes(stranger.code), stranger.code);
  assert.equal(unchanged, true);
});

test("an entry that is not proven is not taken in", async () => {
  const { seen, unchanged } = await shared.run(async () => {
    const owner = await harness.owner();
    const bytes = await owner.node.exportEntry(await owner.write(["a"], "hello"));
    const node = await harness.fresh();
    await node.join(await owner.node.share({ namespace: owner.space, access: "read" }));
    const before = await harness.contents(node);
    const seen = {};
    const refuse = async (name, entry) => (seen[name] = await harness.failure(node.ingest(entry)));
    await refuse("wrong signature", bytes.with(bytes.length - 1, bytes.at(-1) ^ 1));
    await refuse("cut off", bytes.slice(0, -1));
    await refuse("one byte more", Uint8Array.of(...bytes, 0));
    await refuse("zeros", new Uint8Array(300));
    await refuse("empty", new Uint8Array());
    await refuse("text", "an entry");
    await refuse("an entry as data", await owner.node.get(owner.space, owner.user, ["a"]));
    return { seen, unchanged: before === (await harness.contents(node)) };
  });
  const { "wrong signature": signature, ...rest } = seen;
  assertRefused({ signature }, { signature: ["invalidSignature", "entry"] });
  const wrong = invalid("entry");
  assertRefused(rest, { "cut off": wrong, "one byte more": wrong, "zeros": wrong, "empty": wrong, "text": wrong, "an entry as data": wrong });
  assert.equal(unchanged, true);
});

test("a sync with wrong arguments fails its intent at once", async () => {
  const seen = await shared.run(async () => {
    const { node, space } = await harness.owner();
    const there = { id: "00".repeat(32), relays: [harness.relay] };
    const wrong = {
      "no key": ["zz"], "half a key": ["ab".repeat(16)], "no point of the curve": [`02${"00".repeat(31)}`], "no peer": [], "number": [5],
      "unknown field": [{ ...there, url: "x" }], "address without id": [{ relays: [] }], "relay that is no URL": [{ ...there, relays: ["no url"] }],
      "oneself": [node.address()], "oneself by id": [node.id], "unknown mode": [there, { mode: "always" }], "unknown option": [there, { when: 5 }],
      "no interests": [there, { interests: 5 }], "interest without space": [there, { interests: [{}] }], "interest with a wrong area": [there, { interests: [{ namespace: space, area: { path: "a" } }] }],
      "no signal": [there, { signal: 5 }],
    };
    const seen = {};
    for (const [name, [peer, init]] of Object.entries(wrong)) {
      const intent = node.sync(peer, init);
      const [last] = (await harness.until(intent, () => false)).slice(-1);
      seen[name] = await harness.failure(intent.completed);
      if (last.type !== "error" || last.error.code !== seen[name].code) seen[name].code = `last event: ${JSON.stringify(last)}`;
      await intent.close();
    }
    seen["disconnect"] = await harness.failure(node.disconnect("12"));
    return seen;
  });
  const { "relay that is no URL": relay, ...rest } = seen;
  assert.equal(relay.code, "invalidArgument");
  assertRefused(rest, {
    "no key": invalid("peer"), "half a key": invalid("peer"), "no point of the curve": invalid("peer"), "no peer": invalid("peer"), "number": invalid("peer"),
    "unknown field": invalid("peer"), "address without id": invalid("id"), "oneself": ["selfPeer", "peer"], "oneself by id": ["selfPeer", "peer"],
    "unknown mode": invalid("mode"), "unknown option": invalid("init"), "no interests": invalid("interests"), "interest without space": invalid("namespace"),
    "interest with a wrong area": invalid("path"), "no signal": invalid("signal"), "disconnect": invalid("peer"),
  });
});

test("wrong types and unknown names are told by every other method", async () => {
  const { seen, unchanged } = await shared.run(async () => {
    const { node, user, space, write } = await harness.owner();
    const entry = await write(["a"], "hello");
    const before = await harness.contents(node);
    const first = (stream) => stream.next();
    const calls = {
      "online signal": () => node.online(5),
      "watchPeers signal": () => first(node.watchPeers(5)),
      "incoming signal": () => first(node.incoming({})),
      "createNamespace nothing": () => node.createNamespace(),
      "createNamespace kind": () => node.createNamespace({ kind: "public", owner: user }),
      "createNamespace owner": () => node.createNamespace({ kind: "owned", owner: space }),
      "createNamespace name": () => node.createNamespace({ kind: "owned", owner: user, name: "x" }),
      "capabilities access": () => node.capabilities({ access: "all" }),
      "capabilities name": () => node.capabilities({ who: user }),
      "exportSecret": () => node.exportSecret(5),
      "get namespace": () => node.get(5, user, ["a"]),
      "get user": () => node.get(space, "me", ["a"]),
      "get path": () => node.get(space, user, "a"),
      "entries namespace": () => first(node.entries("x")),
      "entries area": () => first(node.entries(space, { owner: user })),
      "entries times": () => first(node.entries(space, { from: 5n, to: 5n })),
      "entries order": () => first(node.entries(space, {}, { order: "random" })),
      "entries limit": () => first(node.entries(space, {}, { limit: -1 })),
      "entries option": () => first(node.entries(space, {}, { first: 1 })),
      "entries options": () => first(node.entries(space, {}, 5)),
      "payload entry": () => node.payload("a"),
      "payload key": () => node.payload({ ...entry, user: "me" }),
      "payload offset": () => node.payload(entry, { offset: 6 }),
      "payload length": () => node.payload(entry, { length: 6 }),
      "payload option": () => node.payload(entry, { from: 1 }),
      "fetchPayload peer": () => node.fetchPayload(entry, { peer: 5 }),
      "fetchPayload progress": () => node.fetchPayload(entry, { onProgress: 5 }),
      "fetchPayload option": () => node.fetchPayload(entry, { from: 5 }),
      "exportEntry": () => node.exportEntry(undefined),
      "forget namespace": () => node.forget("x"),
      "forget area": () => node.forget(space, { path: 5 }),
      "subscribe from": () => first(node.subscribe(space, {}, { from: "x" })),
      "subscribe namespace": () => first(node.subscribe(undefined)),
      "syncAll peers": async () => node.syncAll("x"),
      "share nothing": () => node.share(),
      "share access": () => node.share({ namespace: space, access: "all" }),
      "share to": () => node.share({ namespace: space, access: "read", to: "x" }),
      "share name": () => node.share({ namespace: space, access: "read", for: user }),
      "share unknown space": () => node.share({ namespace: user, access: "read" }),
      "grants namespace": () => node.grants(),
      "grants of an unknown space": () => node.grants(user),
    };
    const seen = {};
    for (const [name, call] of Object.entries(calls)) seen[name] = await harness.failure(call());
    return { seen, unchanged: before === (await harness.contents(node)) };
  });
  const { "share unknown space": share, "grants of an unknown space": grants, ...rest } = seen;
  for (const error of [share, grants]) assert.equal(error.code, "noSuchNamespace");
  assertRefused(rest, {
    "online signal": invalid("signal"), "watchPeers signal": invalid("signal"), "incoming signal": invalid("signal"),
    "createNamespace nothing": invalid("options"), "createNamespace kind": invalid("kind"), "createNamespace owner": ["noSuchUser", "user"],
    "createNamespace name": invalid("options"), "capabilities access": invalid("access"), "capabilities name": invalid("filter"), "exportSecret": invalid("id"),
    "get namespace": invalid("namespace"), "get user": invalid("user"), "get path": invalid("path"),
    "entries namespace": invalid("namespace"), "entries area": invalid("area"), "entries times": invalid("to"), "entries order": invalid("order"),
    "entries limit": invalid("limit"), "entries option": invalid("options"), "entries options": invalid("options"),
    "payload entry": invalid("entry"), "payload key": invalid("user"), "payload offset": invalid("offset"), "payload length": invalid("length"),
    "payload option": invalid("options"), "fetchPayload peer": invalid("peer"), "fetchPayload progress": invalid("onProgress"),
    "fetchPayload option": invalid("options"), "exportEntry": invalid("entry"), "forget namespace": invalid("namespace"), "forget area": invalid("path"),
    "subscribe from": invalid("from"), "subscribe namespace": invalid("namespace"), "syncAll peers": invalid("peers"), "share nothing": invalid("options"), "share access": invalid("access"),
    "share to": invalid("to"), "share name": invalid("options"), "grants namespace": invalid("namespace"),
  });
  assert.equal(unchanged, true);
});

test("after shutdown everything says so", async () => {
  const seen = await shared.run(async () => {
    const { node, user, space, write } = await harness.owner();
    const entry = await write(["a"], "hello");
    const bytes = await node.exportEntry(entry);
    const link = await node.share({ namespace: space, access: "read" });
    const secret = await node.exportSecret(user);
    const waiting = [node.watchPeers(), node.incoming(), node.subscribe(space)].map((stream) => stream.next());
    await node.shutdown();
    await node.shutdown();
    const calls = {
      online: () => node.online(), peers: () => node.peers(), disconnect: () => node.disconnect("00".repeat(32)),
      createUser: () => node.createUser(), users: () => node.users(), createNamespace: () => node.createNamespace({ kind: "owned", owner: user }),
      namespaces: () => node.namespaces(), setQuota: () => node.setQuota(space, null), capabilities: () => node.capabilities(), exportSecret: () => node.exportSecret(user), importSecret: () => node.importSecret(secret),
      set: () => node.set(space, { user, path: ["b"], payload: "x" }), ingest: () => node.ingest(bytes), exportEntry: () => node.exportEntry(entry),
      get: () => node.get(space, user, ["a"]), entries: () => node.entries(space).next(), payload: () => node.payload(entry), payloadStream: () => node.payloadStream(entry).getReader().read(), fetchPayload: () => node.fetchPayload(entry),
      exportDrop: () => node.exportDrop(space).getReader().read(), importDrop: () => node.importDrop(new Uint8Array(1)),
      forget: () => node.forget(space), subscribe: () => node.subscribe(space).next(), share: () => node.share({ namespace: space, access: "read" }),
      join: () => node.join(link), grants: () => node.grants(space), sync: () => node.sync("00".repeat(32)).completed,
      syncAll: () => node.syncAll(["00".repeat(32)]).intents[0].completed,
      storage: () => node.storage(), requestPersistence: () => node.requestPersistence(),
      watchPeers: () => node.watchPeers().next(), watchStatus: () => node.watchStatus().next(), notify: async () => node.notify({ visible: true }), incoming: () => node.incoming().next(),
    };
    const codes = {};
    for (const [name, call] of Object.entries(calls)) codes[name] = (await harness.failure(call())).code;
    const methods = Object.getOwnPropertyNames(osier.WillowNode.prototype).filter((name) => !["constructor", "id", "host", "address", "shutdown"].includes(name));
    return { codes, methods, ended: await Promise.all(waiting), id: node.id === node.address().id };
  });
  assert.deepEqual(Object.keys(seen.codes).sort(), seen.methods.sort());
  for (const [name, code] of Object.entries(seen.codes)) assert.equal(code, "shuttingDown", name);
  assert.deepEqual(seen.ended, Array(3).fill({ done: true, value: undefined }));
  assert.equal(seen.id, true);
});
