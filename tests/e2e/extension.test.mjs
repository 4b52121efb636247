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
    await Promise.all(profiles.map((profile) => profile.remove()));
  }
}

const online = (popup) => popup.getByText("online", { exact: true }).waitFor();

async function create(popup) {
  await popup.getByRole("button", { name: "Settings" }).click();
  await popup.getByLabel("Relays").fill(relay.url);
  await popup.getByRole("button", { name: "Save" }).click();
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

test("a note in one profile appears in the other, is changed and deleted there", () =>
  withProfiles(["Ada", "Grace"], async (atAda, atGrace) => {
    const ada = await atAda.popup(PAGE);
    await create(ada);
    await write(ada, "<b>Buy</b> willow rods");
    const grace = await atGrace.popup(PAGE);
    await enter(grace, await invite(ada));
    await note(grace, "<b>Buy</b> willow rods").getByText("someone").waitFor();
  }));
