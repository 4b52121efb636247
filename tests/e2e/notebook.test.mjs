// The notebook, as people use it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { openPage, openProfile } from "./support/browser.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Opens the notebook in a profile of its own, runs `body` with what `people.arrive()` gives, and closes them all. */
async function withPeople(body) {
  const profiles = [];
  const errors = [];
  const arrive = async (path = `#relay=${encodeURIComponent(relay.url)}`, options = {}) => {
    const profile = await openProfile({ acceptDownloads: true, ...options });
    profiles.push(profile);
    const opened = await openPage(profile, path);
    errors.push(opened.errors);
    return opened.page;
  };
  try {
    await within(120_000, "the people are done", body(arrive));
    assert.deepEqual(errors.flat(), []);
  } finally {
    await Promise.all(profiles.map((profile) => profile.close()));
  }
}

async function create(page, name) {
  const form = page.locator("#create");
  await form.getByLabel("Your name").fill(name);
  await form.getByRole("button", { name: "Create a notebook" }).click();
  await page.getByText("online", { exact: true }).waitFor();
}

async function link(page, access) {
  await page.getByRole("button", { name: "Share" }).click();
  const dialog = page.getByRole("dialog", { name: "Invite someone" });
  await dialog.getByLabel("They may").selectOption(access);
  const field = dialog.getByLabel("Link");
  await page.waitForFunction(() => document.getElementById("link").value.includes("ticket="));
  const text = await field.inputValue();
  await dialog.getByRole("button", { name: "Close" }).click();
  return text;
}

async function join(arrive, invitation, name, options) {
  const page = await arrive(invitation, options);
  const form = page.locator("#join");
  await form.getByLabel("Your name").fill(name);
  await form.getByRole("button", { name: "Join" }).click();
  await page.getByText("connected", { exact: true }).waitFor();
  return page;
}

async function write(page, path, text) {
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByLabel("Path").fill(path);
  await page.getByLabel("Text").fill(text);
  await page.getByText("saved", { exact: true }).waitFor();
}

const entry = (page, path) => page.getByRole("navigation", { name: "Entries" }).getByRole("button", { name: path });
const preview = (page) => page.getByRole("complementary", { name: "Who wrote what" });

/** As in a browser that has no workers. */
const withoutWorkers = (page) =>
  page.addInitScript(() => ["SharedWorker", "Worker"].forEach((name) => Object.defineProperty(globalThis, name, { value: undefined })));

test("durable: tabs of one browser are in the same notebook at the same time, and each may close", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    await write(ada, "notes/today", "Seen in both.");
    const second = await ada.context().newPage();
    await second.goto(ada.url());
    await entry(second, "notes/today").click();
    await second.waitForFunction(() => document.getElementById("text").value === "Seen in both.");
    await write(second, "notes/later", "From the other tab.");
    await entry(ada, "notes/later").waitFor();
    await ada.close();
    await write(second, "notes/last", "Alone.");
    await second.getByText("online", { exact: true }).waitFor();
  }));

test("durable: a notebook outlives its page, and without workers is taken over by another tab only if its reader says so", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await withoutWorkers(ada.context());
    await ada.reload();
    await create(ada, "Ada");
    await write(ada, "notes/today", "It lasts.");
    await ada.locator("#storage").getByText("in this browser", { exact: false }).waitFor();
    await ada.reload();
    await entry(ada, "notes/today").click();
    await ada.waitForFunction(() => document.getElementById("text").value === "It lasts.");
    await ada.getByText("online", { exact: true }).waitFor();
    await ada.getByText("Ada", { exact: true }).first().waitFor();

    const second = await ada.context().newPage();
    await second.goto(ada.url());
    await second.getByText("open in another tab", { exact: false }).waitFor();
    await second.getByRole("button", { name: "Go on here" }).click();
    await entry(second, "notes/today").waitFor();
    await ada.getByText("the storage was lost", { exact: true }).waitFor();
    await write(second, "notes/later", "Here now.");
    await second.close();

    await ada.reload();
    await entry(ada, "notes/later").waitFor();
    await ada.getByRole("button", { name: "Leave this notebook" }).click();
    await ada.getByRole("button", { name: "Create a notebook" }).waitFor();
  }));

async function restore(page, buffer) {
  await page.getByRole("button", { name: "Save a backup" }).waitFor(); // a field for files takes them even while it is hidden
  await page.getByLabel("Restore a backup").setInputFiles({ name: "a.drop", mimeType: "application/octet-stream", buffer });
}

test("a notebook is saved to a file, and restored from it with a link when nobody is there any more", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    await write(ada, "notes/today", "Do not lose me.");
    const [download] = await Promise.all([ada.waitForEvent("download"), ada.getByRole("button", { name: "Save a backup" }).click()]);
    assert.match(download.suggestedFilename(), /^notebook-[0-9-]+\.drop$/);
    const file = await readFile(await download.path());
    await ada.getByText(/^Saved \d+ entries/).waitFor();

    const kept = await link(ada, "write");
    await ada.close();

    const later = await arrive(kept);
    await later.locator("#join").getByRole("button", { name: "Join" }).click();
    await restore(later, file);
    await later.getByText(/^Restored \d+ entries; 0 were here already/).waitFor();
    await entry(later, "notes/today").click();
    await preview(later).getByText("Ada", { exact: true }).waitFor();
    await later.waitForFunction(() => document.getElementById("text").value === "Do not lose me.");
    await write(later, "notes/later", "Here again.");

    const damaged = Buffer.from(file);
    damaged[damaged.length - 20] ^= 1;
    await restore(later, damaged);
    await later.getByRole("alert").getByText("not a good drop").waitFor();

    const other = await arrive();
    await create(other, "Grace");
    await restore(other, file);
    await other.getByRole("alert").getByText("a backup of another notebook").waitFor();
  }));

test("what nobody else has is said, and leaving a page that keeps nothing asks first, until somebody has it", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await ada.evaluate(() => ["SharedWorker", "Worker", "indexedDB"].forEach((name) => Object.defineProperty(globalThis, name, { value: undefined })));
    await ada.locator("#create").getByLabel("Your name").fill("Ada");
    await ada.getByRole("button", { name: "Create a notebook" }).click();
    await ada.getByRole("button", { name: "Go on", exact: true }).click();
    await ada.getByText("online", { exact: true }).waitFor();
    await write(ada, "notes/today", "The only copy.");
    const panel = ada.getByRole("complementary", { name: "Connections" });
    await panel.getByText(/^[1-9]\d* entries are nowhere but here\. Closing this page loses that/).waitFor();

    const asked = ada.waitForEvent("dialog");
    await ada.close({ runBeforeUnload: true });
    const dialog = await asked;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.dismiss();
    await ada.getByRole("button", { name: "Leave this notebook" }).click();
    await ada.getByText("Leave, and lose it?", { exact: false }).waitFor();
    await ada.getByRole("button", { name: "No", exact: true }).click();

    await join(arrive, await link(ada, "write"), "Grace");
    await panel.getByText("nowhere but here", { exact: false }).waitFor({ state: "hidden" });
    ada.on("dialog", () => assert.fail("leaving asks, though somebody has everything"));
    const closed = ada.waitForEvent("close");
    await ada.close({ runBeforeUnload: true });
    await closed;
  }));

test("two people share a notebook, and see who wrote what while it is written", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    await write(ada, "notes/today", "Buy willow rods");
    const grace = await join(arrive, await link(ada, "write"), "Grace");
    await entry(grace, "notes/today").click();
    await preview(grace).getByText("Buy willow rods").waitFor();
    await preview(grace).getByText("Ada", { exact: true }).waitFor();
    assert.equal(await grace.getByLabel("Text").inputValue(), "Buy willow rods");

    await write(grace, "notes/from Grace", "I have some");
    await entry(ada, "notes/from Grace").getByText("Grace", { exact: true }).waitFor();

    await entry(ada, "notes/today").click();
    await ada.getByLabel("Text").pressSequentially(", and string", { delay: 30 });
    await grace.getByRole("button", { name: "notes/today" }).click();
    await grace.waitForFunction(() => document.getElementById("text").value === "Buy willow rods, and string");
    await preview(grace).getByText("Buy willow rods, and string").waitFor();

    await grace.getByLabel("Text").fill("Buy nothing");
    await preview(ada).getByText("Buy nothing").waitFor();
    const authors = await preview(ada).locator("header .who").allTextContents();
    assert.deepEqual(authors, ["Grace", "Ada (you)"]);

    for (const page of [ada, grace]) {
      const panel = page.getByRole("complementary", { name: "Connections" });
      await panel.getByText(/↑ .* ↓ /).waitFor();
      assert.match(await panel.locator("#events").innerText(), /reconciledAll/);
    }
  }));

test("two people with two tabs each are in one notebook, whichever tab they write in", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    const ben = await join(arrive, await link(ada, "write"), "Ben");
    const tabs = [ada, ben];
    for (const first of [ada, ben]) {
      const second = await first.context().newPage();
      await second.goto(first.url());
      tabs.push(second);
    }
    for (const [number, tab] of tabs.entries()) {
      await write(tab, `notes/${number}`, `From tab ${number}.`);
      for (const other of tabs) await entry(other, `notes/${number}`).waitFor();
    }
    // Each node goes on without the tab that it began in.
    await Promise.all([ada.close(), ben.close()]);
    const [, , adas, bens] = tabs;
    await write(adas, "notes/last", "Still here.");
    await entry(bens, "notes/last").click();
    await bens.waitForFunction(() => document.getElementById("text").value === "Still here.");
  }));

test("a peer is disconnected and called again with a button, and the panel counts down to the next attempt", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    const grace = await join(arrive, await link(ada, "write"), "Grace");
    const panel = grace.getByRole("complementary", { name: "Connections" });
    await panel.getByRole("button", { name: /^Disconnect / }).click();
    await panel.getByText("not connected", { exact: true }).waitFor();
    await panel.getByText("Nobody is connected").waitFor();
    await panel.getByRole("button", { name: /^Connect / }).click();
    await panel.getByText("connected", { exact: true }).waitFor();

    await ada.goto("about:blank");
    await panel.getByText(/^tries again in \d+ s$/).waitFor();
    assert.match(await panel.locator("#events").innerText(), /disconnected: /);
    await panel.getByRole("button", { name: /^Disconnect / }).click();
    await panel.getByText("not connected", { exact: true }).waitFor();
  }));

test("files that are added or dropped show their progress, arrive, and can be saved", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    const grace = await join(arrive, await link(ada, "write"), "Grace");
    for (const page of [ada, grace]) {
      await page.evaluate(() => {
        globalThis.bars = [];
        new MutationObserver(() => bars.push(...[...document.querySelectorAll("#transfers progress")].map((bar) => bar.getAttribute("aria-label"))))
          .observe(document.getElementById("transfers"), { childList: true });
      });
    }
    const bytes = Buffer.alloc(3_000_000, (index) => index).map((byte, index) => byte ^ (index >> 8));
    await ada.getByLabel("Add files").setInputFiles({ name: "basket.bin", mimeType: "application/octet-stream", buffer: bytes });
    await entry(grace, "files/basket.bin").click();
    const save = preview(grace).getByRole("link", { name: "Save basket.bin" });
    await save.waitFor();
    const [download] = await Promise.all([grace.waitForEvent("download"), save.click()]);
    assert.equal(download.suggestedFilename(), "basket.bin");
    assert.ok(bytes.equals(await readFile(await download.path())));
    assert.ok((await ada.evaluate(() => bars)).some((label) => label.startsWith("basket.bin")));
    assert.ok((await grace.evaluate(() => bars)).some((label) => label === "files/basket.bin from Ada"));

    const dropped = await grace.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["dropped here"], "drop.txt", { type: "text/plain" }));
      return transfer;
    });
    await grace.dispatchEvent("main", "drop", { dataTransfer: dropped });
    await entry(ada, "files/drop.txt").click();
    await preview(ada).getByRole("link", { name: "Save drop.txt" }).waitFor();
  }));

test("who joins by a link for reading follows, cannot write, and is told so", () =>
  withPeople(async (arrive) => {
    const ada = await arrive();
    await create(ada, "Ada");
    await write(ada, "notes/today", "for all to read");
    const reader = await join(arrive, await link(ada, "read"), "Rita");
    await reader.getByRole("note").getByText("You were given read access").waitFor();
    await entry(reader, "notes/today").click();
    await preview(reader).getByText("for all to read").waitFor();
    assert.equal(await reader.getByLabel("Text").isEditable(), false);
    assert.equal(await reader.getByRole("button", { name: "New note" }).isEnabled(), false);
    assert.equal(await reader.getByLabel("Add files").isEnabled(), false);
    await reader.keyboard.press("Alt+KeyN");
    await reader.getByRole("alert").getByText("You were given read access").waitFor();
    await ada.getByLabel("Text").fill("for all to read, still");
    await preview(reader).getByText("for all to read, still").waitFor();
  }));

test("a link that is no link, and a path that would replace others, are refused in words", () =>
  withPeople(async (arrive) => {
    const page = await arrive();
    await page.getByLabel("Link or ticket").fill("https://example.org/");
    await page.getByRole("button", { name: "Join" }).click();
    await page.getByRole("alert").getByText("invalid ticket").waitFor();
    await create(page, "Ada");
    await write(page, "notes/today", "keep me");
    await page.getByRole("button", { name: "New note" }).click();
    await page.getByLabel("Path").fill("notes");
    await page.getByLabel("Text").fill("a note where others are");
    await page.getByRole("alert").getByText('"notes" already holds "notes/today"').waitFor();
    assert.equal(await entry(page, "notes/today").count(), 1);
  }));

test("everything is done with the keyboard alone", () =>
  withPeople(async (arrive) => {
    const page = await arrive();
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    await page.keyboard.type("Ada");
    await page.keyboard.press("Enter");
    await page.getByText("online", { exact: true }).waitFor();
    await page.waitForFunction(() => document.activeElement.id === "text");
    for (const name of ["a", "b", "c"]) {
      await page.keyboard.press("Alt+KeyN");
      await page.waitForFunction(() => document.activeElement.id === "text" && document.getElementById("text").value === "");
      await page.keyboard.press("Shift+Tab");
      assert.equal(await focused(), "path");
      await page.keyboard.press("Control+KeyA");
      await page.keyboard.type(`keys/${name}`);
      await page.keyboard.press("Enter");
      assert.equal(await focused(), "text");
      await page.keyboard.type(`written at ${name}`);
      await entry(page, `keys/${name}`).waitFor();
    }
    await entry(page, "keys/a").focus();
    await page.keyboard.press("ArrowDown");
    assert.match(await focused(), /^keys\/b/);
    await page.keyboard.press("Enter");
    await preview(page).getByText("written at b").waitFor();
    assert.match(await focused(), /^keys\/b/);
    await page.keyboard.press("ArrowUp");
    assert.match(await focused(), /^keys\/a/);
    await page.getByRole("button", { name: "Share" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("link").value.includes("ticket="));
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("dialog").count(), 0);
    assert.equal(await focused(), "share");
  }));

/** Roles and names of what a screen reader meets, of those that need a name and have none. */
async function nameless(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const roles = new Set(["textbox", "searchbox", "combobox", "button", "link", "progressbar", "dialog", "navigation", "complementary", "img", "form"]);
  return nodes.filter(({ ignored, role, name }) => !ignored && roles.has(role?.value) && !name?.value).map(({ role, properties }) => `${role.value} ${JSON.stringify(properties)}`);
}

test("every field, button and part has a name, on a phone nothing is cut off", () =>
  withPeople(async (arrive) => {
    const page = await arrive(undefined, PHONE);
    const check = async (what) => {
      assert.deepEqual(await nameless(page), [], what);
      const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= screen, `${what}: ${content} px wide on a screen of ${screen}`);
    };
    await check("the start");
    await create(page, "Ada");
    await write(page, "notes/a path that goes on and on, as paths do when people think of them/while-others-use-no-spaces-at-all-in-what-they-name", "x".repeat(300));
    await check("the notebook");
    const invitation = await link(page, "write");
    await join(arrive, invitation, "Grace with a name as long as it may be");
    await page.getByText("connected", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Share" }).click();
    await page.waitForFunction(() => document.querySelectorAll("#grants li").length > 0);
    await check("the dialog");
    await page.keyboard.press("Escape");
    await check("two people");
  }));
