// Two pages and a native peer in one space: how they come together, edit, and are compared. The demo and its test in small.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHarness, openProfile } from "./browser.mjs";
import { startPeer } from "./programs.mjs";

const BATCH_BYTES = 1 << 20; // of files sent into a page at once

/** Fails after so many ms with a sentence that says what did not happen. */
export function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${milliseconds / 1000} s`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Opens two pages in two profiles; `options` as for `openPage`. */
export async function openPages(options) {
  const profiles = await Promise.all([openProfile(), openProfile()]);
  const pages = await Promise.all(profiles.map((profile) => openHarness(profile, options)));
  return {
    profiles,
    a: pages[0].page,
    b: pages[1].page,
    browser: profiles[0].version,
    errors: () => pages.flatMap(({ errors }, index) => errors.map((error) => `page ${"AB"[index]}: ${error}`)),
    close: () => Promise.all(profiles.map((profile) => profile.close())),
  };
}

/** Page A makes a space and writes `files` (`[{ path, bytes }]`) and a binary of `noise` bytes. Returns a ticket. `options`: of its node. */
export async function fill(page, relay, files, noise, options = {}) {
  await page.evaluate(([url, own]) => harness.create([url], own), [relay, options]);
  for (const batch of batches(files)) await page.evaluate((some) => harness.add(some), batch);
  await page.evaluate(([path, length]) => harness.addNoise(path, length), [["demo", "noise.bin"], noise]);
  return page.evaluate(() => harness.share());
}

function* batches(files) {
  let batch = [];
  let bytes = 0;
  for (const file of files) {
    batch.push({ path: file.path, base64: file.bytes.toString("base64") });
    bytes += file.bytes.length;
    if (bytes >= BATCH_BYTES) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
  }
  yield batch;
}

/**
 * Page B joins, live. Resolves to the ms from there until it holds all `count` entries; `midway`, if there is one, is called while it syncs.
 * `options`: of its node.
 */
export async function joinPage(page, relay, ticket, count, options = {}, midway = undefined) {
  const began = await page.evaluate(() => harness.clock());
  await page.evaluate(([url, text, own]) => harness.join([url], text, "live", own), [relay, ticket, options]);
  if (midway !== undefined) {
    await within(300_000, "page B has begun to sync", page.evaluate(() => harness.receives(1)));
    await midway();
  }
  const done = await within(300_000, `page B holds ${count} entries`, page.evaluate((wanted) => harness.holds(wanted), count));
  return done - began;
}

/** Reloads a page whose node has durable storage, `options` as it was opened with; it goes on where it was. */
export async function reload(page, relay, options) {
  const place = await page.evaluate(() => harness.place());
  await page.reload();
  await page.waitForFunction(() => globalThis.harness !== undefined);
  await page.evaluate(([url, where, own]) => harness.resume([url], where, own), [relay, place, options]);
}

/**
 * A native peer joins, live, until it holds all `count` entries. With `data`, a directory, it is killed while it syncs, and another one goes
 * on with what the first has kept.
 */
export async function joinPeer(relay, ticket, count, data = undefined) {
  let peer = await within(60_000, "the native peer is ready", startPeer(relay, ticket, data));
  if (data !== undefined) {
    await within(300_000, "the native peer has begun to sync", peer.holdsAny());
    await peer.kill();
    peer = await within(60_000, "the native peer is ready again", startPeer(relay, ticket, data));
  }
  await within(300_000, `the native peer holds ${count} entries`, peer.holds(count));
  return peer;
}

/**
 * `rounds` edits from each of the three, one after the other, each waited for on the other pages. The first of each page are new
 * entries, every second one a new version of the one before. `first` is the number of the first round, if others were before. Returns the ms
 * that each took from page to page.
 */
export async function editLive(a, b, peer, rounds, first = 0) {
  const times = [];
  for (let round = first; round < first + rounds; round += 1) {
    const name = String(round - (round % 2)).padStart(2, "0");
    for (const [from, to, side] of [[a, b, "a"], [b, a, "b"]]) {
      const edit = ([path, text]) => harness.edit(path, text);
      const { key, began } = await from.evaluate(edit, [["edits", side, name], `edit ${round} of page ${side}`]);
      const seen = to.evaluate((wanted) => harness.arrival(wanted), key);
      times.push((await within(30_000, `an edit of page ${side} arrives at the other`, seen)) - began);
    }
    await peer.command({ cmd: "put", path: ["edits", "native", name], text: `edit ${round} of the native peer` });
  }
  return times;
}

/** How many entries `editLive` leaves. */
export const entriesOfEdits = (rounds) => 3 * Math.ceil(rounds / 2);

/** What differs between the three, entry by entry and payload byte by byte: sentences, none if all is equal. */
export async function compare(a, b, peer) {
  let ofA;
  let differences;
  // The last edits may be on their way.
  for (const end = Date.now() + 20_000; ; ) {
    ofA = await listing(a);
    differences = [...compareListings("page B", ofA, await listing(b)), ...compareListings("the native peer", ofA, await peer.listing())];
    if (differences.length === 0 || Date.now() > end) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  if (differences.length > 0) return { differences, entries: ofA.length, bytes: 0 };
  const folder = await mkdtemp(join(tmpdir(), "osier-export-"));
  await peer.command({ cmd: "export", dir: folder });
  let bytes = 0;
  for (const [index, entry] of ofA.entries()) {
    const [inA, inB] = await Promise.all([a, b].map((page) => payload(page, entry)));
    const inPeer = await readFile(join(folder, String(index)));
    bytes += inA.length;
    if (inA.length !== entry.length) differences.push(`${entry.path.join("/")}: ${inA.length} bytes in page A instead of ${entry.length}`);
    if (!inA.equals(inB)) differences.push(`${entry.path.join("/")}: page B has other bytes`);
    if (!inA.equals(inPeer)) differences.push(`${entry.path.join("/")}: the native peer has other bytes`);
  }
  await rm(folder, { recursive: true });
  return { differences, entries: ofA.length, bytes };
}

const listing = (page) => page.evaluate(() => harness.listing());

async function payload(page, { user, path }) {
  return Buffer.from(await page.evaluate(([who, where]) => harness.payload(who, where), [user, path]), "base64");
}

function compareListings(who, expected, actual) {
  const [there, here] = [expected, actual].map((entries) => new Set(entries.map((entry) => JSON.stringify(entry))));
  const missing = [...there].filter((entry) => !here.has(entry)).map((entry) => `${who} lacks ${entry}`);
  const extra = [...here].filter((entry) => !there.has(entry)).map((entry) => `${who} has ${entry} beyond page A`);
  return [...missing, ...extra];
}

/** The middle of the values. */
export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}
