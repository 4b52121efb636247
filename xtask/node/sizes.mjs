// Prints a table of what the package weighs, raw and compressed as a web server would: node sizes.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzipSync } from "node:zlib";

const [folder] = process.argv.slice(2);
const scriptsIn = (part) => readdirSync(join(folder, part), { recursive: true }).filter((name) => name.endsWith(".js")).map((name) => join(part, name));
const scripts = ["slim.js", ...scriptsIn("lib"), "generated/osier.js"];
const rows = { "`osier.wasm`": ["osier.wasm"], "the module inside `osier/inline`": ["generated/inline.js"], "the scripts": scripts, "the script of workers": ["worker.js"] };

const kilobytes = (bytes) => `${(bytes.length / 1000).toFixed(1)} kB`;
const brotli = promisify(brotliCompress);

/** A row of the table. Brotli takes seconds, and a thread of its own. */
async function row([name, files]) {
  const raw = Buffer.concat(files.map((file) => readFileSync(join(folder, file))));
  const packed = [gzipSync(raw, { level: 9 }), await brotli(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } })];
  return `| ${[name, ...[raw, ...packed].map(kilobytes)].join(" | ")} |`;
}

console.log(["| | raw | gzip | brotli |", "|---|--:|--:|--:|", ...(await Promise.all(Object.entries(rows).map(row)))].join("\n"));
