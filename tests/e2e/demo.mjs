// `cargo xtask demo --headless`: two pages and a native peer sync this repository over a relay, then edit it, then are compared. All three keep
// what they hold: page B is reloaded and the native peer is killed in the middle of their first sync, page A between edits.
// The last line on stdout is one JSON object; the exit code says whether all three hold the same.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, editLive, entriesOfEdits, fill, joinPage, joinPeer, median, openPages, reload, within } from "./support/three.mjs";

const NOISE_BYTES = 5 * 1024 * 1024 + 321;
const EDITS = 20;
/** Of the pages' nodes. */
const KEPT = { storage: { indexedDb: "demo" } };

const result = { pages: 2, native: 1, entries: 0, payload_bytes: 0, first_sync_ms: 0, live_ms_median: 0, equal: false, browser: "" };

function trackedFiles() {
  const names = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").filter(Boolean);
  return names.map((name) => ({ path: name.split("/"), bytes: readFileSync(name) }));
}

async function run(relay) {
  const data = await mkdtemp(join(tmpdir(), "osier-demo-"));
  const files = trackedFiles();
  const pages = await openPages();
  const { a, b } = pages;
  result.browser = pages.browser;
  try {
    const ticket = await within(300_000, "page A holds the repository", fill(a, relay, files, NOISE_BYTES, KEPT));
    const count = files.length + 1;
    console.log(`page A holds ${count} entries`);
    result.first_sync_ms = Math.round(await joinPage(b, relay, ticket, count, KEPT, () => reload(b, relay, KEPT)));
    console.log(`page B holds them after ${result.first_sync_ms} ms, and a reload in the middle`);
    const peer = await joinPeer(relay, ticket, count, data);
    console.log("the native peer holds them, after it was killed in the middle");
    const before = await editLive(a, b, peer, EDITS / 2);
    await reload(a, relay, KEPT);
    const after = await editLive(a, b, peer, EDITS / 2, EDITS / 2);
    result.live_ms_median = Math.round(10 * median([...before, ...after.slice(2)])) / 10;
    const total = count + entriesOfEdits(EDITS);
    const everywhere = [a, b].map((page) => page.evaluate((wanted) => harness.holds(wanted), total));
    await within(60_000, `all hold ${total} entries`, Promise.all([...everywhere, peer.holds(total)]));
    const { differences, entries, bytes } = await compare(a, b, peer);
    const faults = [...differences, ...pages.errors()];
    for (const fault of faults) console.error(fault);
    Object.assign(result, { entries, payload_bytes: bytes, equal: faults.length === 0 });
    await peer.stop();
  } finally {
    for (const error of result.equal ? [] : pages.errors()) console.error(error);
    await pages.close();
    await rm(data, { recursive: true, force: true });
  }
}

try {
  await run(process.env.OSIER_RELAY);
} catch (error) {
  result.equal = false;
  console.error(error.stack);
}
console.log(JSON.stringify(result));
process.exit(result.equal ? 0 : 1);
