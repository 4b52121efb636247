// The extension, unpacked in two profiles: notes on a page go from one to the other, whatever the browser ends meanwhile.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import ts from "typescript";
import { extensionFolder, site } from "./support/environment.mjs";
import { openExtension } from "./support/extension.mjs";
import { startRelay } from "./support/programs.mjs";
import { within } from "./support/three.mjs";

const PAGE = "https://example.org/willow?query=is#not-kept";

let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay.stop());

/** Opens a profile for each name, runs `body`, and closes them. Nothing may go wrong in any part of the extension. */
async function withProfiles(names, body) {
  const profiles = await Promise.all(names.map(() => openExtension()));
  try {
    await within(150_000, "the people are done", body(...profiles));
    assert.deepEqual(profiles.flatMap(({ errors }) => errors), []);
  } finally {
    await Promise.all(profiles.map((profile) => profile.close()));
  }
}

const online = (popup) => popup.getByText("online", { exact: true }).waitFor();

async function setRelay(popup, url) {
  await popup.getByRole("button", { name: "Settings" }).click();
  await popup.getByLabel("Relays").fill(url);
  await popup.getByRole("button", { name: "Save" }).click();
}

async function create(popup) {
  await setRelay(popup, relay.url);
  await online(popup);
  await popup.getByRole("button", { name: "Begin with an empty space" }).click();
  await popup.getByText("No notes on this page yet.").waitFor();
}

async function invite(popup, access = "write") {
  await popup.getByRole("button", { name: "Share" }).click();
  await popup.getByLabel("They may").selectOption(access);
  await popup.waitForFunction(() => document.getElementById("invitation").value.includes("ticket="));
  const link = await popup.getByLabel("Link", { exact: true }).inputValue();
  await popup.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  return link;
}

async function enter(popup, link) {
  await popup.getByLabel("Or join with a link").fill(link);
  await popup.getByRole("button", { name: "Join" }).click();
  await popup.getByText("1 connected").waitFor();
}

async function write(popup, text) {
  await popup.getByLabel("New note").fill(text);
  await popup.getByRole("button", { name: "Add" }).click();
  await note(popup, text).waitFor();
}

const note = (popup, text) => popup.getByRole("list", { name: "Notes on this page" }).getByRole("listitem").filter({ hasText: text });

test("the extension asks for what it needs and for nothing more", async () => {
  const { name, description, version, icons, action, ...rest } = JSON.parse(await readFile(join(extensionFolder(), "manifest.json"), "utf8"));
  assert.deepEqual(rest, {
    manifest_version: 3,
    background: { service_worker: "service-worker.js", page: "node.html", type: "module" },
    permissions: ["activeTab", "offscreen"],
    content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'" },
    minimum_chrome_version: "121",
    browser_specific_settings: { gecko: { id: "notes@osier.example", strict_min_version: "121.0" } },
  });
});

test("what popups and the node say to each other is what messages.d.ts says", () => {
  const options = {
    noEmit: true, allowJs: true, checkJs: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler, lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  };
  const chrome = join(extensionFolder(), "chrome.d.ts");
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (file) => file === chrome || fileExists(file);
  host.getSourceFile = (file, ...rest) => (file === chrome ? ts.createSourceFile(file, "declare const chrome: any;", ts.ScriptTarget.ES2022) : getSourceFile(file, ...rest));
  const files = ["service-worker.js", "node.js", "link.js", "page.js"].map((file) => join(extensionFolder(), file));
  const faults = ts.getPreEmitDiagnostics(ts.createProgram([chrome, ...files], options, host));
  assert.deepEqual(faults.map(({ file, start, messageText }) => `${file?.fileName} ${file?.getLineAndCharacterOfPosition(start).line + 1}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`), []);
});

test("a note in one profile appears in the other, is changed and deleted there, as text", () =>
  withProfiles(["Ada", "Grace"], async (atAda, atGrace) => {
    const ada = await atAda.popup(PAGE);
    await create(ada);
    await write(ada, "<b>Buy</b> willow rods");
    await ada.getByText("1 entry is nowhere but here").waitFor();
    const grace = await atGrace.popup("https://example.org/willow");
    await enter(grace, await invite(ada));
    await note(grace, "<b>Buy</b> willow rods").waitFor();
    await ada.getByText("nowhere but here").waitFor({ state: "hidden" });

    await note(grace, "willow rods").getByRole("button", { name: "Edit" }).click();
    await grace.getByLabel("Text of the note").fill("Buy nothing");
    await grace.getByRole("button", { name: "Save" }).click();
    await note(ada, "Buy nothing").waitFor();
    assert.equal(await note(ada, "").count(), 1);

    // Another page has other notes.
    const elsewhere = await atGrace.popup("https://example.org/other");
    await elsewhere.getByText("No notes on this page yet.").waitFor();
    await write(elsewhere, "somewhere else");

    // What Grace wrote while her clock was ahead is deleted all the same.
    await atGrace.parts.evaluate("node.html", "{ const now = Date.now; Date.now = () => now() + 300_000; }");
    await write(grace, "from the future");
    await note(ada, "from the future").getByRole("button", { name: "Delete" }).click();
    await ada.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await note(grace, "from the future").waitFor({ state: "hidden" });
    await note(ada, "from the future").waitFor({ state: "hidden" });
    assert.equal(await note(ada, "").count(), 1);
  }));

test("it goes on when the browser ends the service worker, and when it ends the document of the node", () =>
  withProfiles(["Ada", "Grace"], async (atAda, atGrace) => {
    const ada = await atAda.popup(PAGE);
    await create(ada);
    const grace = await atGrace.popup(PAGE);
    await enter(grace, await invite(ada));
    await write(ada, "before");
    await note(grace, "before").waitFor();

    for (const { parts } of [atAda, atGrace]) await parts.kill("service-worker.js");
    await write(ada, "without service workers");
    await note(grace, "without service workers").waitFor();
    await write(grace, "and back");
    await note(ada, "and back").waitFor();
    for (const { parts } of [atAda, atGrace]) assert.deepEqual(await parts.running("service-worker.js"), [], "nothing needs one");

    // A note that is written while there is no node waits for the next one.
    await atGrace.parts.kill("node.html");
    await write(grace, "written to nobody");
    await note(ada, "written to nobody").waitFor();
    assert.equal(await note(grace, "").count(), 4);
  }));

test("notes and half-written ones outlive the browser", async () => {
  await withProfiles(["Ada", "Grace"], async (atAda, atGrace) => {
    const popups = await Promise.all([atAda, atGrace].map((profile) => profile.popup(PAGE)));
    await create(popups[0]);
    await enter(popups[1], await invite(popups[0]));
    await write(popups[0], "It lasts.");
    await note(popups[1], "It lasts.").waitFor();
    await popups[1].getByLabel("New note").fill("half of a");
    await Promise.all([atAda, atGrace].map((profile) => profile.restart()));

    const [ada, grace] = await Promise.all([atAda, atGrace].map((profile) => profile.popup(PAGE)));
    for (const popup of [ada, grace]) await note(popup, "It lasts.").waitFor();
    assert.equal(await grace.getByLabel("New note").inputValue(), "half of a");
    await grace.getByText("1 connected").waitFor();
    await write(grace, "So does this.");
    await note(ada, "So does this.").waitFor();
  });
});

test("the button shows the notes on the page of the current tab, and no other tab is seen", () =>
  withProfiles(["Ada"], async (atAda) => {
    const tab = await atAda.context.newPage();
    await tab.goto(`${site()}style.css`);
    const ada = await atAda.popup(`${site()}style.css`);
    await create(ada);
    await write(ada, "on the site");
    assert.deepEqual(await ada.evaluate(async () => (await chrome.tabs.query({})).map(({ url }) => url).filter((url) => url?.startsWith("http"))), []);
    await atAda.click(tab);
    const shown = `new Promise((resolve) => setInterval(() => document.querySelector(".note p") && resolve(document.querySelector("#space").innerText)))`;
    const text = await atAda.parts.evaluate("popup.html", shown);
    assert.ok(text.startsWith(`${new URL(site()).host}/style.css`) && text.includes("on the site"), text);
  }));

test("who joins by a link for reading reads, and cannot write; what makes no sense is said", () =>
  withProfiles(["Ada", "Rita"], async (atAda, atRita) => {
    const ada = await atAda.popup(PAGE);
    await create(ada);
    await write(ada, "for all to read");
    const rita = await atRita.popup(PAGE);
    await enter(rita, await invite(ada, "read"));
    await note(rita, "for all to read").waitFor();
    await rita.getByText("You were given read access").waitFor();
    assert.equal(await rita.getByRole("button", { name: /^(Add|Edit|Delete)$/ }).count(), 0);

    const settings = await atRita.popup("chrome://version");
    await settings.getByText("There are no notes on pages of this kind.").waitFor();
    await settings.getByRole("button", { name: "Settings" }).click();
    await settings.getByRole("button", { name: "Leave this space" }).click();
    await settings.getByRole("dialog").getByRole("button", { name: "Leave", exact: true }).click();
    await rita.getByRole("button", { name: "Begin with an empty space" }).waitFor();
    await rita.getByLabel("Or join with a link").fill("https://example.org/");
    await rita.getByRole("button", { name: "Join" }).click();
    await rita.getByRole("alert").getByText("invalid ticket").waitFor();
    await setRelay(rita, "nonsense");
    await rita.getByRole("note").getByText(/relays/).waitFor();
    await setRelay(rita, relay.url);
    await online(rita);
  }));
