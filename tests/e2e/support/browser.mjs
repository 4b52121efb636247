// Chromium, one profile per call, and pages that fail their test on any error that they did not expect.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { chromiumPath, site } from "./environment.mjs";

export const ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"];

/** A browser with a fresh profile of its own, which is removed when it closes. */
export async function openProfile(options = {}) {
  const folder = await mkdtemp(join(tmpdir(), "osier-profile-"));
  const context = await chromium.launchPersistentContext(folder, { executablePath: chromiumPath(), headless: true, args: ARGUMENTS, ...options });
  const version = context.browser()?.version() ?? "";
  return {
    context,
    version: `Chromium ${version}`.trim(),
    async close() {
      await context.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/**
 * A browser whose pages can be hidden and frozen, as people's are: playwright keeps those of a browser that it launches visible and awake.
 * It can be killed, too, and go on with the same profile, in the `folder` that the one before had.
 */
export async function openMortalProfile(known) {
  const folder = known ?? (await mkdtemp(join(tmpdir(), "osier-profile-")));
  const child = spawn(chromiumPath(), [...ARGUMENTS, "--headless", "--no-first-run", "--remote-debugging-port=0", `--user-data-dir=${folder}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"], detached: true });
  const ended = once(child, "exit");
  const announced = async () => {
    for await (const line of createInterface({ input: child.stderr })) {
      const [, endpoint] = /^DevTools listening on (\S+)/.exec(line) ?? [];
      if (endpoint !== undefined) return endpoint;
    }
    throw new Error("Chromium ended before it listened");
  };
  const endpoint = await announced();
  child.stderr.resume();
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  return {
    context: browser.contexts()[0],
    version: `Chromium ${browser.version()}`,
    folder,
    /** Ends it without giving it a chance to write anything. */
    async kill() {
      process.kill(-child.pid, "SIGKILL");
      await ended;
      await groupEnded(child.pid);
    },
    async close() {
      await browser.close();
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/**
 * Resolves once no thread of a group of processes runs any more. One that is killed while it waits for the disk goes on until the disk has
 * answered, and its process keeps the files open until then, though the process itself is said to have ended.
 */
async function groupEnded(group) {
  const list = (folder) => readdir(folder).catch(() => []);
  const stat = async (folder) => {
    const text = await readFile(join(folder, "stat"), "utf8").catch(() => "");
    const [state, , of] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { runs: state !== "" && !"ZX".includes(state), isOurs: Number(of) === group };
  };
  const runs = async (process) => {
    if (!(await stat(process)).isOurs) return false;
    const threads = await list(join(process, "task"));
    return (await Promise.all(threads.map((thread) => stat(join(process, "task", thread))))).some((thread) => thread.runs);
  };
  for (;;) {
    const processes = (await list("/proc")).filter((name) => /^\d+$/.test(name));
    if (!(await Promise.all(processes.map((name) => runs(join("/proc", name))))).includes(true)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * A page of the profile. `errors` collects what went wrong in it: exceptions, unhandled rejections, console errors, except those
 * that match `expected` (a browser logs a failed WebSocket by itself, for example).
 */
export async function openPage(profile, path, { expected } = {}) {
  const page = await profile.context.newPage();
  const errors = [];
  const note = (text) => expected?.test(text) || errors.push(text);
  page.on("pageerror", (error) => note(`uncaught: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && note(`console: ${message.text()} (${message.location().url})`));
  page.on("crash", () => errors.push("the page crashed"));
  await page.goto(new URL(path, site()).href);
  return { page, errors };
}

/** A page with `harness` and `osier` ready. */
export async function openHarness(profile, { host = process.env.OSIER_HOST ?? "page", ...options } = {}) {
  const opened = await openPage(profile, `e2e/harness.html?host=${host}`, options);
  await opened.page.waitForFunction(() => globalThis.harness !== undefined);
  return opened;
}
