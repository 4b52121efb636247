// Accepting: the handler of `open`, what it may answer, and what the peers see.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedPage } from "./support/shared.mjs";

// What a handler throws is logged, since nobody else hears of it.
const shared = sharedPage({ expected: /the accept handler failed/ });

test("an accept handler says who may connect, and for what", async () => {
  const seen = await shared.run(async () => {
    const asked = [];
    const known = {};
    const accept = async (peer, signal) => {
      asked.push([peer, signal instanceof AbortSignal && !signal.aborted]);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return peer === known.friend ? { interests: [{ namespace: known.space, area: { path: ["in"] } }] } : null;
    };
    const owner = await harness.owner({ accept });
    await owner.write(["in", "a"], "for friends");
    await owner.write(["out", "a"], "for nobody");
    const [friend, stranger] = [await harness.guest(owner), await harness.guest(owner)];
    Object.assign(known, { friend: friend.node.id, space: owner.space });
    const incoming = owner.node.incoming();
    const intent = friend.node.sync(friend.peers[0], { mode: "live" });
    await harness.until(intent, ({ type }) => type === "reconciledAll");
    const { value: session } = await incoming.next();
    const told = await harness.until(session, ({ type }) => type === "reconciledAll");
    // Live, as the default of what is accepted.
    await owner.write(["in", "b"], "later");
    await harness.until(friend.node.subscribe(owner.space, {}, { from: 0 }), (event) => event.entry?.path[1] === "b");
    const entries = await harness.until(friend.node.entries(owner.space), () => false);
    const refused = await harness.failure(stranger.node.sync(stranger.peers[0]).completed);
    return {
      asked, expected: [friend.node.id, stranger.node.id], peer: session.peer, told: told.map(({ type }) => type),
      paths: entries.map(({ path }) => path.join("/")), refused,
    };
  });
  assert.deepEqual(seen.asked, seen.expected.map((peer) => [peer, true]));
  assert.equal(seen.peer, seen.expected[0]);
  assert.deepEqual(seen.told.filter((type) => type !== "progress"), ["established", "overlap", "reconciled", "reconciledAll"]);
  assert.deepEqual(seen.paths, ["in/a", "in/b"]);
  assert.equal(seen.refused.code, "refused");
});

test("whatever else a handler does refuses that peer, and the next one is asked again", async () => {
  const seen = await shared.run(async () => {
    const answers = {
      "throws": () => { throw new Error("no"); },
      "rejects": () => Promise.reject(new Error("no")),
      "null": () => null,
      "nothing": () => undefined,
      "no object": () => true,
      "unknown mode": () => ({ mode: "always" }),
      "unknown option": () => ({ when: 5 }),
      "no interests": () => ({ interests: 5 }),
      "interest without space": async () => ({ interests: [{}] }),
      "no signal": () => ({ signal: 5 }),
      "a signal that has aborted": () => ({ signal: AbortSignal.abort() }),
    };
    const waiting = Object.entries(answers);
    const owner = await harness.owner({ accept: () => (waiting.length === 0 ? {} : waiting.shift()[1]()) });
    const guest = await harness.guest(owner);
    const codes = {};
    for (const name of Object.keys(answers)) codes[name] = (await harness.failure(guest.node.sync(guest.peers[0]).completed)).code;
    return { codes, completion: await guest.node.sync(guest.peers[0]).completed };
  });
  assert.equal(Object.keys(seen.codes).length, 11);
  for (const [name, code] of Object.entries(seen.codes)) assert.equal(code, "refused", name);
  assert.deepEqual(seen.completion, { outcome: "complete" });
});

test("a handler that never answers stalls nothing, and is told when nobody waits any more", async () => {
  const seen = await shared.run(async () => {
    let aborted, isAsked;
    const forgotten = new Promise((resolve) => (aborted = resolve));
    const asked = new Promise((resolve) => (isAsked = resolve));
    let friend;
    const accept = (peer, signal) => {
      if (peer === friend) return { mode: "live" };
      isAsked();
      signal.addEventListener("abort", () => aborted(peer));
      return new Promise(() => {});
    };
    const owner = await harness.owner({ accept });
    const [stuck, other] = [await harness.guest(owner), await harness.guest(owner)];
    friend = other.node.id;
    const failing = stuck.node.sync(stuck.peers[0], { reconnect: { attempts: 0 } });
    await asked;
    const live = other.node.sync(other.peers[0], { mode: "live" });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    await owner.write(["a"], "meanwhile");
    await harness.until(other.node.subscribe(owner.space, {}, { from: 0 }), ({ type }) => type === "inserted");
    const first = await Promise.race([forgotten, "the other"]);
    return { first, forgotten: await forgotten, stuck: stuck.node.id, error: await harness.failure(failing.completed) };
  });
  assert.equal(seen.first, "the other", "it is asked about, and in sync, while the handler has yet to answer for the one before");
  assert.equal(seen.forgotten, seen.stuck);
  assert.equal(seen.error.code, "dialFailed", "it may try again");
});

test("a yes ends with its signal, and leaves nothing on it", async () => {
  const seen = await shared.run(async () => {
    const control = new AbortController();
    let listeners = 0;
    for (const [name, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
      const original = control.signal[name];
      control.signal[name] = (...rest) => {
        listeners += step;
        return original.apply(control.signal, rest);
      };
    }
    const owner = await harness.owner({ accept: () => ({ signal: control.signal }) });
    const guest = await harness.guest(owner);
    const incoming = owner.node.incoming();
    const most = [];
    for (let round = 0; round < 3; round += 1) {
      await guest.node.sync(guest.peers[0]).completed;
      const { value: session } = await incoming.next();
      await harness.until(session, () => false);
      most.push(listeners);
    }
    while (listeners > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const live = guest.node.sync(guest.peers[0], { mode: "live" });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    const { value: session } = await incoming.next();
    const during = listeners;
    control.abort();
    const last = (await harness.until(session, () => false)).at(-1);
    while (listeners > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await live.close();
    return { most, during, last, refused: (await harness.failure(guest.node.sync(guest.peers[0]).completed)).code };
  });
  assert.ok(Math.max(...seen.most) <= 1, String(seen.most));
  assert.equal(seen.during, 1);
  assert.deepEqual(seen.last, { type: "ended", completion: { outcome: "closed" } });
  assert.equal(seen.refused, "refused", "a yes with a signal that has aborted is a no");
});

test("limits turn peers away with a code", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner({ limits: { maxSessions: 1, maxHandshakes: 16, maxTransfersPerPeer: 1 } });
    for (const name of ["a", "b", "c"]) await owner.write([name], harness.noise(200_000));
    const [first, second] = [await harness.guest(owner), await harness.guest(owner)];
    const once = { reconnect: { attempts: 0 } };
    const live = first.node.sync(first.peers[0], { mode: "live" });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    const error = await harness.failure(second.node.sync(second.peers[0], once).completed);
    // An own intent is not limited.
    const own = await owner.node.sync(second.node.address()).completed;
    const closed = await harness.fresh({ limits: { maxHandshakes: 0 } });
    await closed.online();
    const before = await harness.failure(first.node.sync(closed.address(), once).completed);
    return { error, own, before };
  });
  assert.deepEqual([seen.error.code, seen.before.code], ["limitExceeded", "limitExceeded"]);
  assert.deepEqual(seen.own, { outcome: "complete" });
});

test("sessions that nobody takes, or that are left, cost nothing, and one who comes late sees them", async () => {
  const seen = await shared.run(async () => {
    const owner = await harness.owner();
    const guest = await harness.guest(owner);
    for (let round = 0; round < 100; round += 1) await owner.node.incoming().return();
    const untaken = owner.node.incoming();
    const waiting = owner.node.incoming();
    const turn = waiting.next();
    await waiting.return();
    const live = guest.node.sync(guest.peers[0], { mode: "live" });
    await harness.until(live, ({ type }) => type === "reconciledAll");
    const late = [];
    for await (const session of owner.node.incoming()) {
      late.push(session.peer);
      for await (const event of session) {
        late.push(event.type);
        if (event.type === "established") break;
      }
      break;
    }
    await owner.write(["a"], "still");
    await harness.until(guest.node.subscribe(owner.space, {}, { from: 0 }), ({ type }) => type === "inserted");
    await live.close();
    const { value: session } = await untaken.next();
    const last = (await harness.until(session, () => false)).at(-1).type;
    await owner.node.shutdown();
    return { turn: await turn, late, guest: guest.node.id, last, end: await untaken.next() };
  });
  assert.equal(seen.turn.done, true);
  assert.deepEqual(seen.late, [seen.guest, "established"]);
  assert.equal(seen.last, "ended");
  assert.equal(seen.end.done, true);
});
