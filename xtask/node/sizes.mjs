// Prints a table of what the package weighs, raw and compressed as a web server would: node sizes.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [folder] = process.argv.slice(2);
const scripts = ["slim.js", ...readdirSync(join(folder, "lib")).map((name) => join("lib", name)), "generated/osier.js"];
const rows = { "`osier.wasm`": ["osier.wasm"], "the module inside `osier/inline`": ["generated/inline.js"], "the scripts": scripts };

const kilobytes = (bytes) => `${(bytes.length / 1000).toFixed(1)} kB`;

console.log("| | raw | gzip | brotli |\n|---|--:|--:|--:|");
for (const [name, files] of Object.entries(rows)) {
  const raw = Buffer.concat(files.map((file) => readFileSync(join(folder, file))));
  const gzip = gzipSync(raw, { level: 9 });
  const brotli = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } });
  console.log(`| ${[name, ...[raw, gzip, brotli].map(kilobytes)].join(" | ")} |`);
}
