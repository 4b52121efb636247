import { $, h, toast } from "./dom.js";
import { FILES, READ_ONLY } from "./notebook.js";
import { bytesText } from "./text.js";

/** Adds files by drop or by the button, each with a progress bar; shows what arrives from others likewise. */
export class Files {
  #notebook;
  #arriving = new Map();

  constructor(notebook) {
    this.#notebook = notebook;
    $("files").addEventListener("change", () => this.#add([...$("files").files]).finally(() => ($("files").value = "")));
    for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => this.#drag(event, true));
    addEventListener("dragleave", (event) => event.relatedTarget === null && this.#drag(event, false));
    addEventListener("drop", (event) => {
      this.#drag(event, false);
      this.#add([...event.dataTransfer.files]);
    });
    notebook.addEventListener("arriving", ({ detail }) => this.#show(detail));
  }

  #drag(event, over) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dragging", over);
  }

  async #add(files) {
    if (this.#notebook.readOnly) return toast(READ_ONLY, true);
    for (const file of files) {
      const row = transfer(`${file.name} (${bytesText(file.size)})`, file.size);
      try {
        await this.#notebook.write([FILES, file.name], file, ({ written }) => (row.bar.value = written));
      } catch (error) {
        toast(`${file.name}: ${error.message}`, true);
      }
      row.element.remove();
    }
  }

  #show({ text, user, available, total }) {
    const key = `${user}/${text}`;
    let row = this.#arriving.get(key);
    if (row === undefined && available < total) this.#arriving.set(key, (row = transfer(`${text} from ${this.#notebook.nameOf(user)}`, total)));
    if (row === undefined) return;
    row.bar.value = available;
    if (available < total) return;
    row.element.remove();
    this.#arriving.delete(key);
  }
}

function transfer(label, total) {
  const bar = h("progress", { max: Math.max(total, 1), value: 0, "aria-label": label });
  const element = h("li", {}, label, bar);
  $("transfers").append(element);
  return { element, bar };
}
