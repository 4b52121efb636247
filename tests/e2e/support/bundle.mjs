// Bundles a test's program that uses React, as an app's build does.
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { packageFolder } from "./environment.mjs";

const modules = fileURLToPath(new URL("../../../node_modules", import.meta.url));

/** The package by its names, and React for it wherever it lies. */
const options = () => ({
  bundle: true, write: false, logLevel: "error", nodePaths: [modules], define: { "process.env.NODE_ENV": '"development"' },
  alias: { "osier/react": join(packageFolder(), "react.js"), osier: join(packageFolder(), "index.js") },
});

const stdin = (contents) => ({ contents, loader: "jsx", resolveDir: fileURLToPath(new URL("../react", import.meta.url)) });

/** For a page of the site: `contents`, a program that may use JSX. Of the package it has the hooks alone: the rest is what the site serves, and what the page has loaded. */
export async function bundleForPage(contents) {
  const served = {
    name: "served",
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.?\// }, ({ resolveDir, path }) => {
        const within = relative(packageFolder(), join(resolveDir, path));
        return within.startsWith("..") ? undefined : { path: `/osier/${within}`, external: true };
      });
    },
  };
  const { outputFiles } = await build({ ...options(), stdin: stdin(contents), jsx: "automatic", format: "esm", plugins: [served] });
  return outputFiles[0].text;
}

/** For Node: what `contents` exports. */
export async function evaluateInNode(contents) {
  const { outputFiles } = await build({ ...options(), stdin: stdin(contents), format: "cjs", platform: "node", logOverride: { "empty-import-meta": "silent" } });
  const module = { exports: {} };
  const { createRequire } = await import("node:module");
  new Function("module", "exports", "require", outputFiles[0].text)(module, module.exports, createRequire(import.meta.url));
  return module.exports;
}
