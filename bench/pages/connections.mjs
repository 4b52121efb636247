// The measures of connections: how fast news travels, how soon a lost partner or relay is back in use, what an idle peer takes.
import { WillowNode } from "osier";
import initIroh, { RawHub, RawLink, heap_bytes as irohHeap } from "/modules/iroh/bench_iroh.js";
import { median, osierHeap, pair, startWorker, timed } from "./common.mjs";

/** The same clock in every page, worker and program of a machine, in ms. */
const clock = () => performance.timeOrigin + performance.now();

/** When the next entry that a peer wrote is here. The iterator goes on. */
async function arrival(news) {
  for (;;) {
    const { value, done } = await news.next();
    if (done) throw new Error("the node was shut down");
    if (value.type === "inserted" && value.origin === "peer") return clock();
  }
}

/** A small entry there and another back, from write to event each, and a byte there and back over a raw stream: µs. */
export async function latency(relay, rounds) {
  await initIroh({ module_or_path: "/modules/iroh.wasm" });
  const link = await RawLink.open(relay);
  const { a, b, user, namespace, ticket, close } = await pair(relay);
  const joined = await b.join(ticket);
  const intent = b.sync(joined.peers[0], { mode: "live" });
  for await (const { type } of intent) if (type === "reconciledAll") break;
  const [atA, atB] = [a, b].map((node) => node.subscribe(namespace));
  const turns = { there: [], ours: [], baseline: [] };
  for (let round = -5; round < rounds; round += 1) {
    const began = clock();
    await a.set(namespace, { user, path: ["ping"], payload: String(round) });
    const there = await arrival(atB);
    await b.set(namespace, { user: joined.user, path: ["pong"], payload: String(round) });
    const back = await arrival(atA);
    const ping = await timed(() => link.ping());
    if (round < 0) continue; // everything has been used once
    turns.there.push(there - began);
    turns.ours.push(back - began);
    turns.baseline.push(ping);
  }
  await intent.close();
  await Promise.all([close(), link.close()]);
  const [there, ours, baseline] = [turns.there, turns.ours, turns.baseline].map((times) => 1000 * median(times));
  return { ours, baseline, one_way: there, one_way_beyond_half_a_ping: there - baseline / 2 };
}

/** A node that wants to stay in touch with a partner in a worker. */
async function survivor(relay) {
  const node = await WillowNode.open({ relays: [relay], storage: "memory" });
  const user = await node.createUser();
  const namespace = await node.createNamespace({ kind: "owned", owner: user });
  await node.online();
  return { node, namespace, ticket: await node.share({ namespace, access: "write" }) };
}

const secret = (index) => crypto.getRandomValues(new Uint8Array(32)).fill(index, 0, 1);

/**
 * The first entry of a partner that was killed without a word and started again at once, and that of one that was never there before,
 * each from the moment that the partner is started. `mutual`: both sides ask for the session; else the survivor alone does.
 */
export async function partnerIsBack(relay, rounds) {
  const { node, namespace, ticket } = await survivor(relay);
  const times = { fresh: [], back: [], alone: [] };
  const meet = async (key, dials, intent) => {
    const [partner, news] = [await startWorker(), node.subscribe(namespace)];
    const began = clock();
    const id = await partner.ask("partner", relay, ticket, key, dials);
    const live = intent ?? node.sync({ id, relays: [relay] }, { mode: "live" });
    const took = (await arrival(news)) - began;
    await news.return();
    return { partner, live, took };
  };
  for (let round = 0; round < rounds; round += 1) {
    const key = secret(round);
    const first = await meet(key, true);
    times.fresh.push(first.took);
    first.partner.kill();
    const second = await meet(key, true, first.live);
    times.back.push(second.took);
    second.partner.kill();
    if (round === 0) {
      const third = await meet(key, false, first.live);
      times.alone.push(third.took);
      third.partner.kill();
    }
    await first.live.close();
  }
  await node.shutdown();
  return { ours: median(times.back), baseline: median(times.fresh), unless_the_partner_dials: times.alone[0] };
}

/** When a node that has lost its relay is connected to it again. */
async function online(node) {
  let lost = false;
  for await (const { relay } of node.watchStatus()) {
    if (lost && relay.state === "connected") return clock();
    lost ||= relay.state !== "connected";
  }
  throw new Error("the node was shut down");
}

/** Two nodes in touch; the later call resolves to when both are connected to their relay again, and an edit made while it was down has arrived. */
export async function relayIsBack(relay) {
  const { a, b, user, namespace, ticket, close } = await pair(relay);
  const intent = b.sync((await b.join(ticket)).peers[0], { mode: "live" });
  for await (const { type } of intent) if (type === "reconciledAll") break;
  globalThis.editWithoutRelay = async () => {
    const news = b.subscribe(namespace);
    await a.set(namespace, { user, path: ["meanwhile"], payload: "written without a relay" });
    const [connected, arrived] = await Promise.all([Promise.all([a, b].map(online)), arrival(news)]);
    await close();
    return { connected: Math.max(...connected), arrived };
  };
}

/** Bytes of the module's heap per connected peer that is idle, from `few` peers to `many`, and the same of raw iroh. */
export async function idlePeers(relay, few, many) {
  await initIroh({ module_or_path: "/modules/iroh.wasm" });
  const workers = [await startWorker(), await startWorker()];
  const { node, ticket } = await survivor(relay);
  const hub = await RawHub.open(relay);
  const grown = async (join, heap) => {
    await join(few);
    const before = await heap();
    await join(many - few);
    return ((await heap()) - before) / (many - few);
  };
  const ours = await grown((count) => workers[0].ask("peers", relay, ticket, count), osierHeap);
  const connected = (await node.peers()).filter(({ state }) => state === "active").length;
  if (connected !== many) throw new Error(`${connected} of ${many} peers are connected`);
  const baseline = await grown((count) => workers[1].ask("rawPeers", relay, hub.id(), count), irohHeap);
  if (hub.connections() !== many) throw new Error(`${hub.connections()} of ${many} raw peers are connected`);
  for (const worker of workers) worker.kill();
  await Promise.all([node.shutdown(), hub.close()]);
  return { ours: ours / 1024, baseline: baseline / 1024 };
}
