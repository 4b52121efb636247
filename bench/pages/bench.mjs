// The measures that need a browser. Each takes ours and its baseline in turn, in this page, and returns the middle of the rounds.
import { WillowNode } from "osier";
import initCore, { Signatures, difference, heap_bytes as coreHeap } from "/modules/core/bench_core.js";
import initIroh, { RawLink, heap_bytes as irohHeap } from "/modules/iroh/bench_iroh.js";
import { manyEntries, median, osierHeap, pair, payloadArrives, timed } from "./common.mjs";
import { idlePeers, latency, partnerIsBack, relayIsBack } from "./connections.mjs";
import { durableSync, largePayload, localWrites, opening } from "./storage.mjs";

/** Payload throughput, page to page, and a raw stream of iroh with its defaults: MiB/s. */
export async function throughput(relay, mebibytes, rounds) {
  const bytes = mebibytes * 1024 * 1024;
  await initIroh({ module_or_path: "/modules/iroh.wasm" });
  const link = await RawLink.open(relay);
  const { a, b, user, namespace, ticket, close } = await pair(relay);
  const joined = await b.join(ticket);
  const intent = b.sync(joined.peers[0], { mode: "live" });
  const times = { ours: [], baseline: [] };
  await link.transfer(1024 * 1024); // both congestion controllers have seen the path
  for (let round = -1; round < rounds; round += 1) {
    const path = ["large", String(round)];
    const arrived = payloadArrives(b, namespace, path);
    const size = round < 0 ? 1024 * 1024 : bytes;
    const payload = new Blob([crypto.getRandomValues(new Uint8Array(65_536)), new Uint8Array(size - 65_536).fill(round)]);
    await a.set(namespace, { user, path, payload });
    const ours = await timed(() => arrived);
    if (round < 0) continue;
    times.ours.push(ours);
    times.baseline.push(await timed(() => link.transfer(bytes)));
  }
  await intent.close();
  const heap = { ours: await osierHeap(), baseline: irohHeap() };
  await Promise.all([close(), link.close()]);
  return { ours: (mebibytes * 1000) / median(times.ours), baseline: (mebibytes * 1000) / median(times.baseline), heap };
}

/** A fresh sync of small entries by one author with their payloads, and the verification of as many signatures alone: ms. */
export async function freshSync(relay, count, rounds) {
  await initCore({ module_or_path: "/modules/core.wasm" });
  const signatures = Signatures.of_one_author();
  signatures.sign(count);
  const verified = [];
  for (let round = 0; round < rounds; round += 1) {
    verified.push(await timed(() => signatures.verify(1024) || Promise.reject(new Error("a signature is wrong"))));
  }
  const synced = [];
  const { sync, close } = await manyEntries(relay, count);
  for (let round = 0; round < rounds; round += 1) synced.push(await sync("memory"));
  const heap = { ours: await osierHeap(), baseline: coreHeap() };
  await close();
  return { ours: median(synced), baseline: median(verified), heap };
}

/** A local insert of a small entry, and one signature alone: µs. */
export async function insert(relay, count, rounds) {
  await initCore({ module_or_path: "/modules/core.wasm" });
  const node = await WillowNode.open({ relays: [relay], storage: "memory" });
  const user = await node.createUser();
  const namespace = await node.createNamespace({ kind: "owned", owner: user });
  const times = { ours: [], baseline: [] };
  for (let round = 0; round < rounds; round += 1) {
    const write = async () => {
      for (let index = 0; index < count; index += 1) {
        await node.set(namespace, { user, path: [String(round), String(index)], payload: "small" });
      }
    };
    times.ours.push((await timed(write)) / count);
    const signatures = Signatures.of_one_author();
    times.baseline.push((await timed(() => signatures.sign(count))) / count);
    signatures.free();
  }
  const heap = { ours: await osierHeap(), baseline: coreHeap() };
  await node.shutdown();
  return { ours: 1000 * median(times.ours), baseline: 1000 * median(times.baseline), heap };
}

/** What one difference among so many entries costs beyond the entry, and none. The baseline is the goal: 4,000 bytes. */
export async function findDifference(count) {
  await initCore({ module_or_path: "/modules/core.wasm" });
  const cost = (more) => {
    const { bytes, entry_bytes: own, round_trips: roundTrips } = difference(count, more);
    return { bytes: bytes - own, round_trips: roundTrips };
  };
  const [one, none] = [cost(1), cost(0)];
  return { ours: one.bytes, baseline: 4_000, round_trips: one.round_trips, none, heap: { ours: coreHeap(), baseline: 0 } };
}

globalThis.bench = { throughput, freshSync, findDifference, insert, latency, partnerIsBack, relayIsBack, idlePeers, opening, localWrites, durableSync, largePayload };
