// Makes the copy of the module that `osier/inline` holds, a script; refuses a module that no browser could instantiate:
// node inline.mjs MODULE SCRIPT
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [module, script] = process.argv.slice(2);
const bytes = readFileSync(module);
const foreign = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).filter((it) => it.module === "env");
if (foreign.length > 0) {
  console.error(`${module}: imports from "env", which nobody provides: ${foreign.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}
writeFileSync(script, `export default "${gzipSync(bytes, { level: 9 }).toString("base64")}";\n`);
