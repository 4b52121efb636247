// What `cargo xtask test` tells the tests of an engine, and pages with the harness in it.
import { site } from "../../e2e/support/environment.mjs";
import { within } from "../../e2e/support/three.mjs";
import { launch } from "./webdriver.mjs";

const { OSIER_ENGINE: name, OSIER_DRIVER: driver, OSIER_BROWSER: browser } = process.env;
if (!["chromium", "firefox", "webkit"].includes(name)) throw new Error("OSIER_ENGINE is not set: run the tests with `cargo xtask test --engines all`");

/** The engine under test. */
export const engine = { name, driver, browser };

/** Two profiles of the engine. `withPages` runs a `body` with two functions that open pages, one for each; nothing may go wrong in them unseen. */
export async function openProfiles() {
  const started = await Promise.allSettled([1, 2].map(() => launch(engine)));
  const browsers = started.map(({ value }) => value).filter((browser) => browser !== undefined);
  const close = () => Promise.all(browsers.map((browser) => browser.close()));
  const failed = started.find(({ reason }) => reason !== undefined);
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  return { version: browsers[0].version, withPages: (body) => withPages(browsers, body), close };
}

async function withPages(browsers, body) {
  const pages = new Set();
  const opener = (browser) => async () => {
    const page = await openHarness(browser);
    pages.add(page);
    return { ...page, close: () => pages.delete(page) && page.close() };
  };
  try {
    await body(...browsers.map(opener));
    for (const page of pages) {
      const failures = await page.run("nothing went wrong", () => failures);
      if (failures.length > 0) throw new Error(failures.join("; "));
    }
  } finally {
    for (const page of pages) await page.close();
  }
}

/** A page with `harness` and `osier` ready. */
async function openHarness(browser) {
  const page = await browser.openPage(new URL("e2e/harness.html?host=page", site()).href);
  const run = (what, call, ...args) => within(60_000, what, page.evaluate(call, ...args));
  const ready = () => run("the page is ready", async () => {
    while (globalThis.harness === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  });
  await ready();
  const reload = async () => {
    await page.reload();
    await ready();
  };
  return { run, reload, close: () => page.close() };
}
