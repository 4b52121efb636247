// `cargo xtask bench`: runs the measures, or those named, each in a page of its own in headless Chromium, prints a table, and as the last line one JSON object.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { openPage, openProfile } from "../tests/e2e/support/browser.mjs";
import { startRelay } from "../tests/e2e/support/programs.mjs";

const { OSIER_RELAY: relay, OSIER_MODULES: modules, OSIER_PACKAGE: packageFolder } = process.env;

const round = (number, digits = 2) => Number(number.toFixed(digits));
const mebibytes = (bytes) => round(bytes / 1024 / 1024, 1);

/** Size of a module as servers send it. */
const compressed = (...path) => brotliCompressSync(readFileSync(join(...path))).length;

/** What is measured: name, sentence, goal, and the measure, which yields `{ ours, baseline, unit }` and perhaps more. */
const MEASURES = [
  ["P1", "payload throughput, page to page ÷ raw iroh stream", "≥ 1.0", (page) => page.evaluate((url) => bench.throughput(url, 16, 5), relay), "MiB/s"],
  ["P2", "fresh sync of 5,000 small entries ÷ their verification", "≤ 4", (page) => page.evaluate((url) => bench.freshSync(url, 5_000, 3), relay), "ms"],
  ["P4", "one difference in 20,000: bytes beyond the entry ÷ 4,000", "≤ 1", (page) => page.evaluate(() => bench.findDifference(20_000)), "bytes"],
  ["P5", "local insert ÷ one signature", "≤ 2.0", (page) => page.evaluate((url) => bench.insert(url, 1_000, 5), relay), "µs"],
  ["P6", "live, a write there and one back until seen ÷ a byte there and back", "≤ 1.3", (page) => page.evaluate((url) => bench.latency(url, 200), relay), "µs"],
  ["P7", "shipped module ÷ bare iroh module, brotli", "≤ 1.3", sizes, "bytes"],
  ["P8", "100,000 stored entries, open until the first is seen ÷ their rows, a value each, read raw", "≤ 1.5", (page) => page.evaluate((url) => bench.opening(url, 100_000, 3), relay), "ms"],
  ["P9", "first entry of a partner killed and started again ÷ of a new one", "report", reconnect, "ms"],
  ["P10", "heap per idle connected peer ÷ per raw iroh connection", "report", (page) => page.evaluate((url) => bench.idlePeers(url, 16, 80), relay), "KiB"],
  ["P11", "100 writes at once, durable ÷ their rows, a value each, put raw in one transaction", "≤ 1.5", (page) => page.evaluate((url) => bench.localWrites(url, 40), relay), "ms"],
  ["P12", "fresh sync of 5,000 small entries, durable ÷ in memory", "≤ 1.5", (page) => page.evaluate((url) => bench.durableSync(url, 5_000, 3), relay), "ms"],
  ["P13", "256 MiB written and synced, both durable: growth of the shared heap ÷ 64 MiB", "≤ 1", (page) => page.evaluate((url) => bench.largePayload(url, 256, 64), relay), "MiB"],
];

/** How long the relay is away, in ms. */
const AWAY = 8_000;

async function reconnect(page) {
  const partner = await page.evaluate((url) => bench.partnerIsBack(url, 5), relay);
  // What was promised: the first step of the backoff, and twice a connect.
  const result = { ...partner, at_most: 500 + 2 * partner.baseline, relay_away: AWAY };
  const mortal = await startRelay();
  await page.evaluate((url) => bench.relayIsBack(url), mortal.url);
  await mortal.stop();
  const arrival = page.evaluate(() => editWithoutRelay());
  await new Promise((resolve) => setTimeout(resolve, AWAY));
  const back = await startRelay(mortal.port);
  const began = Date.now();
  const { connected, arrived } = await arrival;
  result.relay_is_back = { connected: round(connected - began), first_entry: round(arrived - began) };
  await back.stop();
  return result;
}

function sizes() {
  const ours = compressed(packageFolder, "osier.wasm");
  return { ours, baseline: compressed(modules, "iroh.wasm") };
}

function row([name, sentence, goal], { ratio, ours, baseline, unit, heap }) {
  const memory = heap ? `${mebibytes(heap.ours)} / ${mebibytes(heap.baseline)} MiB` : "";
  return [name, sentence, goal, ratio, ours, baseline, unit, memory].map(String);
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

const names = process.argv.slice(2);
const unknown = names.find((name) => !MEASURES.some((measure) => measure[0] === name));
if (unknown !== undefined) throw new Error(`there is no measure ${unknown}, only ${MEASURES.map((measure) => measure[0]).join(", ")}`);
const profile = await openProfile();
// A browser logs each WebSocket that fails, as they do while a relay is away.
const { page, errors } = await openPage(profile, "bench/bench.html", { expected: /WebSocket connection to .* failed|net::ERR_/ });

/** A page of its own for each measure: the heap of a module never shrinks, and what one measure left would be another's. */
async function fresh() {
  await page.reload();
  await page.waitForFunction(() => globalThis.bench !== undefined);
  return page;
}

const results = {};
const rows = [["", "measure", "goal", "ratio", "ours", "baseline", "unit", "heap of ours / baseline"]];
try {
  for (const measure of MEASURES.filter(([name]) => names.length === 0 || names.includes(name))) {
    const { ours, baseline, ...more } = await measure[3](await fresh());
    const rounded = Object.entries(more).map(([name, value]) => [name, typeof value === "number" ? round(value) : value]);
    const result = { ratio: round(ours / baseline), ours: round(ours), baseline: round(baseline), unit: measure[4], ...Object.fromEntries(rounded) };
    results[measure[0]] = result;
    rows.push(row(measure, result));
    console.error(`${measure[0]}: ${result.ratio}`);
  }
} finally {
  await profile.close();
}
for (const error of errors) console.error(error);
console.log(`\n${profile.version}\n${table(rows)}`);
console.log(JSON.stringify(results));
process.exit(errors.length === 0 ? 0 : 1);
