// Chromium with the extension, unpacked, and everything that goes wrong in any of its parts.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { ARGUMENTS } from "./browser.mjs";
import { chromiumPath, extensionFolder } from "./environment.mjs";

/** A browser with the extension, in the profile of `folder`, or in a fresh one. */
export async function openExtension(known) {
  const folder = known ?? (await mkdtemp(join(tmpdir(), "osier-profile-")));
  const args = [...ARGUMENTS, "--enable-unsafe-extension-debugging", `--disable-extensions-except=${extensionFolder()}`, `--load-extension=${extensionFolder()}`];
  const context = await chromium.launchPersistentContext(folder, { executablePath: chromiumPath(), headless: true, args });
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
  const { origin, host: id } = new URL(worker.url());
  const session = await context.browser().newBrowserCDPSession();
  const parts = new Parts(session, `chrome-extension://${id}/`);
  await parts.follow();
  return {
    context,
    folder,
    errors: parts.errors,
    parts,
    /** The popup in a tab of its own, about the page at an address. */
    async popup(address) {
      const page = await context.newPage();
      await page.goto(`chrome-extension://${id}/popup.html?${new URLSearchParams({ page: address })}`);
      return page;
    },
    /** Clicks the extension's button while `page` is shown. */
    async click(page) {
      await page.bringToFront();
      const { targetInfos } = await session.send("Target.getTargets", { filter: [{ type: "tab" }] });
      await session.send("Extensions.triggerAction", { id, targetId: targetInfos.find(({ url }) => url === page.url()).targetId });
    },
    /** Ends the browser as its person does; the profile stays. */
    close: () => context.close(),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** The documents and workers of an extension, which playwright does not show all. */
class Parts {
  errors = [];
  #session;
  #origin;
  #open = new Map();
  #answers = new Map();
  #next = 1;

  constructor(session, origin) {
    this.#session = session;
    this.#origin = origin;
  }

  async follow() {
    this.#session.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => this.#hear(sessionId, JSON.parse(message)));
    this.#session.on("Target.targetCreated", ({ targetInfo }) => this.#met(targetInfo));
    this.#session.on("Target.targetInfoChanged", ({ targetInfo }) => this.#met(targetInfo));
    this.#session.on("Target.targetDestroyed", ({ targetId }) => this.#open.delete(targetId));
    await this.#session.send("Target.setDiscoverTargets", { discover: true });
  }

  /** Those whose address ends so. */
  all(name) {
    return [...this.#open.values()].filter(({ url }) => url.endsWith(name));
  }

  /** Ends all parts whose address ends so, as the browser may at any time. */
  async kill(name) {
    const { targetInfos } = await this.#session.send("Target.getTargets");
    const doomed = targetInfos.filter(({ url }) => url === this.#origin + name);
    for (const { targetId } of doomed) await this.#session.send("Target.closeTarget", { targetId }).catch(() => {}); // gone with another
    return doomed.length;
  }

  /** What an expression is in a part. */
  async evaluate({ sessionId }, expression) {
    const { result } = await this.#send(sessionId, "Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    return result.value;
  }

  /** Errors that were before are told, too. */
  async #met({ targetId, type, url }) {
    if (!url.startsWith(this.#origin) || type === "tab" || this.#open.has(targetId)) return;
    const part = { url };
    this.#open.set(targetId, part);
    try {
      part.sessionId = (await this.#session.send("Target.attachToTarget", { targetId, flatten: false })).sessionId;
      for (const domain of ["Runtime", "Log"]) await this.#send(part.sessionId, `${domain}.enable`);
    } catch {
      this.#open.delete(targetId); // it was gone again
    }
  }

  #send(sessionId, method, params = {}) {
    const id = this.#next++;
    const answer = new Promise((resolve) => this.#answers.set(id, resolve));
    return this.#session.send("Target.sendMessageToTarget", { sessionId, message: JSON.stringify({ id, method, params }) }).then(() => answer);
  }

  #hear(sessionId, { id, result, method, params }) {
    if (id !== undefined) return this.#answers.get(id)?.(result);
    const { url = "?" } = [...this.#open.values()].find((part) => part.sessionId === sessionId) ?? {};
    const note = (text) => this.errors.push(`${url}: ${text}`);
    if (method === "Runtime.exceptionThrown") note(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) note(params.args.map(({ value, description }) => value ?? description).join(" "));
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) note(params.entry.text);
  }
}
