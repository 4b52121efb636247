// Chromium with the extension, unpacked, and everything that goes wrong in any of its parts.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { ARGUMENTS } from "./browser.mjs";
import { chromiumPath, extensionFolder } from "./environment.mjs";

/** A browser with the extension, in a fresh profile. */
export async function openExtension() {
  const folder = await mkdtemp(join(tmpdir(), "osier-profile-"));
  const profile = new Profile(folder);
  await profile.open();
  return profile;
}

class Profile {
  /** What went wrong in any part of the extension. */
  errors = [];
  #folder;
  #session;
  #id;

  constructor(folder) {
    this.#folder = folder;
  }

  async open() {
    const args = [...ARGUMENTS, "--enable-unsafe-extension-debugging", `--disable-extensions-except=${extensionFolder()}`, `--load-extension=${extensionFolder()}`];
    this.context = await chromium.launchPersistentContext(this.#folder, { executablePath: chromiumPath(), headless: true, args });
    const worker = this.context.serviceWorkers()[0] ?? (await this.context.waitForEvent("serviceworker"));
    this.#id = new URL(worker.url()).host;
    this.#session = await this.context.browser().newBrowserCDPSession();
    this.parts = new Parts(this.#session, `chrome-extension://${this.#id}/`, this.errors);
    await this.parts.follow();
  }

  /** The popup in a tab of its own, about the page at an address. */
  async popup(address) {
    const page = await this.context.newPage();
    await page.goto(`chrome-extension://${this.#id}/popup.html?${new URLSearchParams({ page: address })}`);
    return page;
  }

  /** Clicks the extension's button while `page` is shown. */
  async click(page) {
    await page.bringToFront();
    const { targetInfos } = await this.#session.send("Target.getTargets", { filter: [{ type: "tab" }] });
    await this.#session.send("Extensions.triggerAction", { id: this.#id, targetId: targetInfos.find(({ url }) => url === page.url()).targetId });
  }

  /** Ends the browser as its person does, and starts it again. */
  async restart() {
    await this.context.close();
    await this.open();
  }

  async close() {
    await this.context.close();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The documents and workers of an extension, which playwright does not show all. */
class Parts {
  #session;
  #origin;
  #errors;
  #open = new Map();
  #answers = new Map();
  #met = [];
  #next = 1;

  constructor(session, origin, errors) {
    this.#session = session;
    this.#origin = origin;
    this.#errors = errors;
  }

  async follow() {
    this.#session.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => this.#hear(sessionId, JSON.parse(message)));
    this.#session.on("Target.targetCreated", ({ targetInfo }) => this.#meet(targetInfo));
    this.#session.on("Target.targetInfoChanged", ({ targetInfo }) => this.#meet(targetInfo));
    this.#session.on("Target.targetDestroyed", ({ targetId }) => this.#open.delete(targetId));
    await this.#session.send("Target.setDiscoverTargets", { discover: true });
  }

  /** The ids of those of a file that run. */
  async running(name) {
    const { targetInfos } = await this.#session.send("Target.getTargets");
    return targetInfos.filter(({ url }) => url === this.#origin + name).map(({ targetId }) => targetId);
  }

  /** Ends the part of a file, as the browser may at any time. */
  async kill(name) {
    const [targetId, ...others] = await this.running(name);
    assert.ok(targetId !== undefined && others.length === 0, `${name} runs once`);
    await this.#session.send("Target.closeTarget", { targetId });
    while ((await this.running(name)).includes(targetId)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** The part of a file, once it is there. */
  async part(name) {
    for (;;) {
      const part = [...this.#open.values()].find(({ url, sessionId }) => url === this.#origin + name && sessionId !== undefined);
      if (part !== undefined) return part;
      await new Promise((resolve) => this.#met.push(resolve));
    }
  }

  /** What an expression is in the part of a file, once that is there. */
  async evaluate(name, expression) {
    const { sessionId } = await this.part(name);
    const { result } = await this.#send(sessionId, "Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    return result.value;
  }

  /** Errors that were before are told, too. */
  async #meet({ targetId, type, url }) {
    if (!url.startsWith(this.#origin) || type === "tab" || this.#open.has(targetId)) return;
    const part = { url };
    this.#open.set(targetId, part);
    try {
      part.sessionId = (await this.#session.send("Target.attachToTarget", { targetId, flatten: false })).sessionId;
      for (const domain of ["Runtime", "Log"]) this.#send(part.sessionId, `${domain}.enable`);
      for (const resolve of this.#met.splice(0)) resolve();
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
    const note = (text) => this.#errors.push(`${url}: ${text}`);
    if (method === "Runtime.exceptionThrown") note(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) note(params.args.map(({ value, description }) => value ?? description).join(" "));
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) note(params.entry.text);
  }
}
