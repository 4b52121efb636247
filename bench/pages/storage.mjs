// The measures of durable storage: against IndexedDB with the same rows and no Osier, and against a node in memory.
import { WillowNode } from "osier";
import initCore, { Signatures } from "/modules/core/bench_core.js";
import { manyEntries, median, osierHeap, pair, payloadArrives, settled, startWorker, timed } from "./common.mjs";

/** Entries that are written at a time. */
const BATCH = 100;

const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });

const remove = (name) => settled(indexedDB.deleteDatabase(name));

const PACK = 3;

/** The values of entries, one each, as they are where there are no packs (see src/backend/indexed_db/value.rs). */
function ofEach(value) {
  if (value[32] !== PACK) return [value];
  const values = [];
  for (let at = 35; at < value.length; ) {
    const length = value[at] * 256 + value[at + 1];
    values.push(value.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return values;
}

/** The rows that a node stored. */
async function rowsOf(name) {
  const database = await settled(indexedDB.open(name));
  const stored = await settled(database.transaction("entries").objectStore("entries").getAll());
  database.close();
  return stored.flatMap(ofEach);
}

/** A new database for rows. */
function openRaw(name) {
  const opening = indexedDB.open(name);
  opening.onupgradeneeded = () => opening.result.createObjectStore("entries");
  return settled(opening);
}

/** Puts the rows that a node stored into another database, a value each under its id. */
async function putRaw(name, raw) {
  const [rows, database] = [await rowsOf(name), await openRaw(raw)];
  for (let first = 0; first < rows.length; first += 10_000) {
    const writing = database.transaction("entries", "readwrite");
    for (const row of rows.slice(first, first + 10_000)) writing.objectStore("entries").put(row, row.slice(0, 32));
    await committed(writing);
  }
  database.close();
}

/** A durable node with a space of its own. */
async function owner(relay, name) {
  const node = await WillowNode.open({ relays: [relay], storage: { indexedDb: name }, host: "page" });
  const user = await node.createUser();
  const namespace = await node.createNamespace({ kind: "owned", owner: user });
  const write = (first) => {
    const paths = Array.from({ length: BATCH }, (_, index) => ["small", String(first + index)]);
    return Promise.all(paths.map((path) => node.set(namespace, { user, path, payload: `the payload of ${path[1]}` })));
  };
  return { node, namespace, write };
}

/** A node with so many stored entries, from `open` to its first entry, and the same rows, a value each, read from IndexedDB in parts: ms. */
export async function opening(relay, count, rounds) {
  const [name, raw] = ["bench-opening", "bench-opening-raw"];
  const { node, namespace, write } = await owner(relay, name);
  for (let first = 0; first < count; first += BATCH) await write(first);
  await node.shutdown();
  await putRaw(name, raw);
  const seen = { ours: [], baseline: [], heap: [] };
  for (let round = -1; round < rounds; round += 1) {
    const worker = await startWorker();
    const baseline = await worker.ask("readStored", raw, count);
    const { took, heap, entries } = await worker.ask("openStored", relay, name, namespace);
    worker.kill();
    if (entries !== count) throw new Error(`${entries} of ${count} entries were there`);
    if (round < 0) continue; // whatever the browser keeps at hand is at hand
    seen.baseline.push(baseline);
    seen.ours.push(took);
    seen.heap.push(heap);
  }
  await Promise.all([remove(name), remove(raw)]);
  return { ours: median(seen.ours), baseline: median(seen.baseline), heap_bytes_per_entry: median(seen.heap) / count };
}

/** A hundred small writes at once, and the same rows, with the payloads in them, put into IndexedDB in one transaction, a value each: ms. */
export async function localWrites(relay, batches) {
  const [name, raw] = ["bench-writes", "bench-raw"];
  await initCore({ module_or_path: "/modules/core.wasm" });
  const { node, write } = await owner(relay, name);
  const times = { ours: [], baseline: [], signing: [] };
  for (let batch = -2; batch < batches; batch += 1) {
    const took = await timed(() => write((batch + 2) * BATCH));
    if (batch >= 0) times.ours.push(took);
  }
  await node.shutdown();
  const [rows, database] = [(await rowsOf(name)).slice(0, BATCH), await openRaw(raw)];
  for (let batch = -2; batch < batches; batch += 1) {
    const took = await timed(() => {
      const writing = database.transaction("entries", "readwrite", { durability: "strict" });
      const entries = writing.objectStore("entries");
      for (const row of rows) entries.put(row, crypto.getRandomValues(new Uint8Array(32)));
      writing.commit();
      return committed(writing);
    });
    const signatures = Signatures.of_one_author();
    const signing = await timed(() => signatures.sign(BATCH));
    signatures.free();
    if (batch < 0) continue;
    times.baseline.push(took);
    times.signing.push(signing);
  }
  database.close();
  await Promise.all([remove(name), remove(raw)]);
  return { ours: median(times.ours), baseline: median(times.baseline), signing: median(times.signing) };
}

/** By how much the heap that two durable nodes share grows while a Blob is written at one and arrives at the other: MiB. */
export async function largePayload(relay, mebibytes, allowed) {
  const names = ["bench-large-a", "bench-large-b"];
  const { a, b, user, namespace, ticket, close } = await pair(relay, names.map((indexedDb) => ({ indexedDb })));
  const joined = await b.join(ticket);
  const intent = b.sync(joined.peers[0], { mode: "live" });
  const before = await osierHeap();
  const path = ["large"];
  const arrived = payloadArrives(b, namespace, path);
  let payload = new Blob([]);
  for (let index = 0; index < mebibytes; index += 1) payload = new Blob([payload, crypto.getRandomValues(new Uint8Array(65_536)), new Uint8Array(15 * 65_536)]);
  const written = await timed(() => a.set(namespace, { user, path, payload }));
  const came = await timed(() => arrived);
  const grown = (await osierHeap()) - before;
  await intent.close();
  await close();
  await Promise.all(names.map(remove));
  return { ours: grown / 1024 / 1024, baseline: allowed, written_ms: written, arrived_ms: came };
}

/** A fresh sync of so many small entries into durable storage, and into memory: ms. */
export async function durableSync(relay, count, rounds) {
  const { sync, close } = await manyEntries(relay, count);
  const times = { ours: [], baseline: [] };
  for (let round = 0; round < rounds; round += 1) {
    const name = `bench-sync-${round}`;
    times.baseline.push(await sync("memory"));
    times.ours.push(await sync({ indexedDb: name }));
    await remove(name);
  }
  const heap = { ours: await osierHeap(), baseline: 0 };
  await close();
  return { ours: median(times.ours), baseline: median(times.baseline), heap };
}
