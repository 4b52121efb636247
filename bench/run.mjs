// `cargo xtask bench`: runs the measures in one page of headless Chromium, prints a table, and as the last line one JSON object.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { openPage, openProfile } from "../tests/e2e/support/browser.mjs";

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
  ["P7", "shipped module ÷ bare iroh module, brotli", "≤ 1.3", sizes, "bytes"],
];

function sizes() {
  const ours = compressed(packageFolder, "generated", "osier_bg.wasm");
  return { ours, baseline: compressed(modules, "iroh", "bench_iroh_bg.wasm") };
}

function row([name, sentence, goal], { ratio, ours, baseline, unit, heap }) {
  const memory = heap ? `${mebibytes(heap.ours)} / ${mebibytes(heap.baseline)} MiB` : "";
  return [name, sentence, goal, ratio, ours, baseline, unit, memory].map(String);
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

const profile = await openProfile();
const { page, errors } = await openPage(profile, "bench/bench.html");
await page.waitForFunction(() => globalThis.bench !== undefined);
const results = {};
const rows = [["", "measure", "goal", "ratio", "ours", "baseline", "unit", "heap of ours / baseline"]];
try {
  for (const measure of MEASURES) {
    const { ours, baseline, ...more } = await measure[3](page);
    const result = { ratio: round(ours / baseline), ours: round(ours), baseline: round(baseline), unit: measure[4], ...more };
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
