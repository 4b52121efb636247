// Apps of strangers: each fixture is copied, gets the package and a library from tarballs alone, and is built and served as it would be.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, cp, mkdir, mkdtemp, readFile, readdir, rename, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify, stripVTControlCharacters } from "node:util";
import { tarball } from "../../e2e/support/environment.mjs";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1" };

/** Runs a program in a folder to its end; its output is in the error if it fails. */
export async function run(folder, program, ...words) {
  const { stdout } = await promisify(execFile)(program, words, { cwd: folder, env }).catch(({ message, stdout, stderr }) => {
    throw new Error([message, stdout, stderr].join("\n"));
  });
  return stdout;
}

/** A folder for fixtures, in which the tarballs lie. */
export async function openWorkshop() {
  const folder = await mkdtemp(join(tmpdir(), "osier-package-"));
  await copyFile(tarball(), join(folder, "osier.tgz"));
  const packed = await run(join(fixtures, "library"), "npm", "pack", "--loglevel=error", "--pack-destination", folder);
  await rename(join(folder, packed.trim()), join(folder, "greeting.tgz"));
  return {
    /** Where the package lies. */
    tarball: join(folder, "osier.tgz"),
    /** A folder with nothing in it. */
    async empty(name) {
      await mkdir(join(folder, name));
      return join(folder, name);
    },
    /** A copy of a fixture, with what it depends on. */
    async install(name, [program, ...words] = ["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]) {
      const copy = join(folder, name);
      await cp(join(fixtures, name), copy, { recursive: true });
      await run(copy, program, ...words);
      return copy;
    },
    close: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** The files in a folder that are WebAssembly modules. */
export async function modulesIn(folder) {
  return (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".wasm"));
}

/** Starts a server, a program of an installed fixture, and waits until it says where it listens. */
export async function startServer(folder, program, ...words) {
  const child = spawn(join(folder, "node_modules/.bin", program), words, { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"], detached: true });
  const ended = once(child, "exit");
  const announced = async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const [url] = /http:\/\/(localhost|127\.0\.0\.1):\d+/.exec(stripVTControlCharacters(line)) ?? [];
      if (url !== undefined) return url;
    }
    throw new Error(`${program} ended before it listened`);
  };
  const url = await announced();
  child.stdout.resume();
  return {
    url,
    async close() {
      process.kill(-child.pid);
      await ended;
    },
  };
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** A server of the files in these folders, the first that has one, and of nothing else. */
export async function serve(...folders) {
  const read = async ([folder, ...others], file) => readFile(join(folder, file)).catch((error) => (others.length > 0 ? read(others, file) : Promise.reject(error)));
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    try {
      const bytes = await read(folders, file);
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
