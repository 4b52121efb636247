// A browser of any engine, driven through WebDriver (https://www.w3.org/TR/webdriver2/): what playwright cannot drive, and just as much of it
// as the tests need.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "../../e2e/support/three.mjs";

/** How the browser of each engine is asked for. Firefox would ask a person whether storage may stay; the answer is yes. */
const WANTED = {
  chromium: (binary) => ({
    "goog:chromeOptions": { binary, args: ["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"] },
  }),
  firefox: (binary) => ({
    "moz:firefoxOptions": { binary, args: ["-headless"], prefs: { "dom.storageManager.prompt.testing": true, "dom.storageManager.prompt.testing.allow": true } },
  }),
  webkit: () => ({}),
};

/** A browser with a fresh profile of its own, and a driver beside it. `engine`: `{ name, driver, browser }`. */
export async function launch({ name, driver, browser }) {
  const port = await freePort();
  const child = spawn(driver, [`--port=${port}`], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  const ended = Promise.race([once(child, "exit"), once(child, "error")]).then(() => Promise.reject(new Error(`${driver} ended: ${said}`)));
  ended.catch(() => {});
  const send = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body), headers: { "content-type": "application/json" } });
    const { value } = await answer.json();
    if (value?.error !== undefined) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  const begin = async () => {
    while (!child.killed && !(await fetch(`http://127.0.0.1:${port}/status`).catch(() => undefined))?.ok) await sleep(50);
    return send("POST", "/session", { capabilities: { alwaysMatch: WANTED[name](browser) } });
  };
  try {
    const { sessionId, capabilities } = await within(60_000, "the browser is there", Promise.race([begin(), ended]));
    const session = new Session((method, path, body) => send(method, `/session/${sessionId}${path}`, body));
    const close = async () => {
      await send("DELETE", `/session/${sessionId}`).catch(() => {});
      child.kill();
    };
    return { version: `${capabilities.browserName} ${capabilities.browserVersion}`, openPage: (url) => session.openPage(url), close };
  } catch (failure) {
    child.kill();
    throw failure;
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/**
 * The pages of a browser, each in a window, beside the empty one that it begins with and that keeps it open. A command is for the window that
 * was chosen by the one before: pages take turns.
 */
class Session {
  #send;
  #turn = Promise.resolve();
  #first;

  constructor(send) {
    this.#send = send;
  }

  async openPage(url) {
    const first = (this.#first ??= await this.#send("GET", "/window"));
    const { handle } = await this.#in(first, "POST", "/window/new", { type: "window" });
    const page = new Page((...command) => this.#in(handle, ...command));
    await page.goto(url);
    return page;
  }

  #in(handle, ...command) {
    const done = this.#turn.then(async () => {
      await this.#send("POST", "/window", { handle });
      return this.#send(...command);
    });
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** What runs in the page, in its own realm: begins a call, and tells of it once it has ended. */
const BEGIN = `([id, source, args]) => {
  const call = ((window.calls ??= {})[id] = {});
  new Promise((resolve) => resolve((0, eval)("(" + source + ")")(...args))).then(
    (value) => (call.outcome = { value }),
    (error) => (call.outcome = { error: (error?.code ?? error?.name) + ": " + error?.message }),
  );
}`;
const OUTCOME = `([id]) => {
  const outcome = window.calls?.[id]?.outcome;
  if (outcome) delete window.calls[id];
  return outcome;
}`;
const LISTEN = `() => {
  window.failures = [];
  window.addEventListener("error", (event) => failures.push("uncaught: " + event.message));
  window.addEventListener("unhandledrejection", (event) => failures.push("unhandled: " + event.reason));
}`;

/** One page: a tab. */
class Page {
  #send;
  #calls = 0;

  constructor(send) {
    this.#send = send;
  }

  async goto(url) {
    await this.#send("POST", "/url", { url });
    await this.#run(LISTEN);
  }

  async reload() {
    await this.#send("POST", "/refresh", {});
    await this.#run(LISTEN);
  }

  close() {
    return this.#send("DELETE", "/window");
  }

  /** What went wrong in the page, unseen. */
  failures() {
    return this.evaluate(() => failures);
  }

  /** Calls a function in the page, as often as it may take to hear what came of it: other pages have their turns meanwhile. Arguments and result are JSON. */
  async evaluate(call, ...args) {
    const id = (this.#calls += 1);
    await this.#run(BEGIN, id, String(call), args);
    for (;;) {
      const outcome = await this.#run(OUTCOME, id);
      if (outcome?.error !== undefined) throw new Error(outcome.error);
      if (outcome) return outcome.value;
      await sleep(20);
    }
  }

  /** A driver runs scripts in a realm of its own, where an array is not the page's. */
  async #run(source, ...args) {
    const script = "const text = window.eval('text => JSON.stringify((' + arguments[0] + ')(JSON.parse(text)))')(arguments[1]); return text;";
    const text = await this.#send("POST", "/execute/sync", { script, args: [source, JSON.stringify(args)] });
    return text == null ? undefined : JSON.parse(text);
  }
}
