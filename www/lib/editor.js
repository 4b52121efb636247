import { save } from "./blobs.js";
import { $, h, toast } from "./dom.js";
import { FILES } from "./notebook.js";
import { bytesText, pathFrom, pathText, textOf, when, who } from "./text.js";

const SAVE_AFTER = 350; // ms without a keystroke
const TEXT_LIMIT = 256 * 1024; // bytes; longer payloads are offered as a file
const SHOWN_LIMIT = 16 * 1024 * 1024; // bytes; longer files are read when they are saved

/** The editor and the preview of one page. */
export class Editor {
  #notebook;
  #select;
  #page; // text of the path that is shown, undefined for a new note
  #timer;
  #dirty = false;
  #saving = Promise.resolve();
  #drawing = 0;
  #objectUrls = [];

  constructor(notebook, select) {
    this.#notebook = notebook;
    this.#select = select;
    $("text").addEventListener("input", () => this.#typed());
    $("path").addEventListener("change", () => $("text").value !== "" && this.#typed());
    $("editor").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
      $("text").focus();
    });
    notebook.addEventListener("change", ({ detail }) => detail === this.#page && this.#refresh());
    notebook.addEventListener("names", () => this.#preview());
    setInterval(() => this.#page !== undefined && document.visibilityState === "visible" && this.#preview(), 30_000);
  }

  /** Shows a page, or an empty note. What was typed before is saved first. */
  async show(text) {
    await this.#flush();
    await this.#flush(); // what was typed meanwhile
    this.#page = text;
    this.#dirty = false;
    $("saved").textContent = "";
    $("path").value = text ?? (this.#notebook.readOnly ? "" : newPath());
    $("text").value = "";
    await this.#refresh();
    if (text === undefined) $("text").focus();
    else if (matchMedia("(max-width: 42rem)").matches) $("editor").scrollIntoView(); // there it is below the list
  }

  async #refresh() {
    const page = this.#notebook.page(this.#page);
    const isFile = page !== undefined && (page.path[0] === FILES || page.versions[0].length > TEXT_LIMIT);
    for (const id of ["path", "text"]) $(id).readOnly = isFile || this.#notebook.readOnly;
    $("text-label").hidden = isFile;
    if (page !== undefined && !isFile && !this.#dirty) await this.#fill(page.versions[0]);
    await this.#preview();
  }

  async #fill(version) {
    const bytes = await this.#notebook.read(version).catch(() => undefined);
    const text = bytes && textOf(bytes);
    if (text === undefined || this.#dirty || $("text").value === text) return;
    const { selectionStart, selectionEnd } = $("text");
    $("text").value = text;
    if (document.activeElement === $("text")) $("text").setSelectionRange(selectionStart, selectionEnd);
  }

  #typed() {
    this.#dirty = true;
    $("saved").textContent = "writing…";
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), SAVE_AFTER);
  }

  #flush() {
    if (this.#dirty) this.#save();
    return this.#saving;
  }

  #save() {
    clearTimeout(this.#timer);
    this.#saving = this.#saving.then(() => this.#write());
    return this.#saving;
  }

  async #write() {
    const path = pathFrom($("path").value);
    if (!this.#dirty || $("text").readOnly) return;
    if (path.length === 0) {
      $("saved").textContent = "needs a path";
      return;
    }
    this.#dirty = false;
    try {
      await this.#notebook.write(path, $("text").value);
      $("saved").textContent = this.#dirty ? "writing…" : "saved";
      if (this.#page !== pathText(path)) {
        this.#page = pathText(path);
        this.#select(this.#page, { shown: true });
      }
      await this.#preview();
    } catch (error) {
      this.#dirty = true;
      $("saved").textContent = "not saved";
      toast(error.message, true);
    }
  }

  async #preview() {
    const turn = ++this.#drawing;
    const page = this.#notebook.page(this.#page);
    const urls = [];
    const versions = page === undefined ? [] : await Promise.all(page.versions.map((version) => this.#version(page, version, urls)));
    if (turn !== this.#drawing) {
      urls.forEach((url) => URL.revokeObjectURL(url));
      return;
    }
    $("preview").replaceChildren(...(versions.length > 0 ? versions : [h("p", { className: "hint" }, this.#notebook.readOnly ? "Pick an entry to read it." : "What you write shows here, with who wrote it and when.")]));
    this.#objectUrls.forEach((url) => URL.revokeObjectURL(url));
    this.#objectUrls = urls;
  }

  async #version(page, version, urls) {
    const head = h("header", {}, who(this.#notebook.nameOf(version.user), version.user), when(version.timestamp), h("span", {}, bytesText(version.length)));
    if (version.available < version.length) {
      return h("article", {}, head, h("p", { className: "hint" }, `${bytesText(version.available)} of ${bytesText(version.length)} are here.`), this.#fetchButton(version));
    }
    const content = await this.#content(page, version, urls).catch(() => h("p", { className: "hint" }, "Its content is not here."));
    return h("article", {}, head, content);
  }

  async #content(page, version, urls) {
    const isText = page.path[0] !== FILES && version.length <= TEXT_LIMIT;
    const text = isText ? textOf(await this.#notebook.read(version)) : undefined;
    return text === undefined ? this.#fileView(page, version, urls) : h("pre", {}, text);
  }

  async #fileView(page, version, urls) {
    const name = String(page.path.at(-1));
    const type = IMAGES[name.split(".").at(-1).toLowerCase()];
    if (version.length > SHOWN_LIMIT) {
      const saveIt = () => this.#notebook.blob(version, type).then((blob) => save(blob, name), (error) => toast(error.message, true));
      return h("p", {}, h("button", { type: "button", onclick: saveIt }, `Save ${name}`));
    }
    const url = URL.createObjectURL(await this.#notebook.blob(version, type ?? "application/octet-stream"));
    urls.push(url);
    const link = h("a", { href: url, download: name, className: "button" }, `Save ${name}`);
    return h("div", {}, ...(type === undefined ? [] : [h("p", {}, h("img", { src: url, alt: name }))]), h("p", {}, link));
  }

  #fetchButton(version) {
    return h("button", { type: "button", onclick: () => this.#notebook.read(version).catch((error) => toast(error.message, true)) }, "Get it");
  }
}

/** Where a new note goes unless a person says otherwise: the local time, which sorts well. */
function newPath() {
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return `notes/${local.toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".")}`;
}

const IMAGES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif" };
