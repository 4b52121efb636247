import { $, h } from "./dom.js";
import { bytesText, when, who } from "./text.js";
import { FILES } from "./notebook.js";

/** The list of pages. `select(text)` is called when a person picks one. */
export class List {
  #notebook;
  #select;
  #current;
  #queued = false;

  constructor(notebook, select) {
    this.#notebook = notebook;
    this.#select = select;
    $("filter").addEventListener("input", () => this.draw());
    $("entries").addEventListener("keydown", (event) => this.#walk(event));
    for (const name of ["change", "names"]) notebook.addEventListener(name, () => this.#later());
    this.draw();
  }

  mark(text) {
    this.#current = text;
    this.draw();
  }

  draw() {
    const wanted = $("filter").value.trim().toLowerCase();
    const pages = this.#notebook.pages().filter((page) => page.text.toLowerCase().includes(wanted));
    const focused = document.activeElement?.dataset?.page;
    $("entries").replaceChildren(...pages.map((page) => this.#row(page)));
    $("empty").hidden = this.#notebook.pages().length > 0;
    if (focused !== undefined) $("entries").querySelector(`[data-page="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Many changes, one drawing. */
  #later() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.draw();
    });
  }

  #row(page) {
    const [newest] = page.versions;
    const cut = page.text.lastIndexOf("/") + 1;
    const row = h("button", { type: "button", onclick: () => this.#select(page.text) },
      h("span", { className: "entry-path" }, h("span", { className: "dir" }, page.text.slice(0, cut)), page.text.slice(cut)),
      h("span", { className: "entry-by" }, who(this.#notebook.nameOf(newest.user), newest.user), "·", when(newest.timestamp),
        page.path[0] === FILES ? ` · ${bytesText(newest.length)}` : ""));
    row.dataset.page = page.text;
    if (page.text === this.#current) row.setAttribute("aria-current", "true");
    return h("li", {}, row);
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const rows = [...$("entries").querySelectorAll("button")];
    rows[rows.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }
}
