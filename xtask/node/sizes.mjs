// Prints the sizes of files, raw and compressed as a web server would: node sizes.mjs FILE…
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const files = process.argv.slice(2);
const kilobytes = (bytes) => `${(bytes.length / 1000).toFixed(1)} kB`.padStart(12);

console.log(`${"".padEnd(24)}${["raw", "gzip", "brotli"].map((name) => name.padStart(12)).join("")}`);
for (const file of files) {
  const raw = readFileSync(file);
  const gzip = gzipSync(raw, { level: 9 });
  const brotli = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } });
  console.log(`${basename(file).padEnd(24)}${[raw, gzip, brotli].map(kilobytes).join("")}`);
}
