// Makes the script that workers run, in one file without imports: node worker.mjs ENTRY SCRIPT
import { build } from "esbuild";

const [entry, script] = process.argv.slice(2);
await build({ entryPoints: [entry], outfile: script, bundle: true, format: "iife", minify: true, target: "es2022", legalComments: "none", logLevel: "warning" });
