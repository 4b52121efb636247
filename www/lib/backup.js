import { blobsOf, save } from "./blobs.js";
import { $, toast } from "./dom.js";
import { bytesText } from "./text.js";

/** The notebook as a file, and back. */
export class Backup {
  #node;
  #namespace;

  constructor({ node, namespace }) {
    this.#node = node;
    this.#namespace = namespace;
    $("save-backup").addEventListener("click", () => this.#busy(() => this.#save()));
    $("restore-backup").addEventListener("change", () => {
      const [file] = $("restore-backup").files;
      if (file !== undefined) this.#busy(() => this.#restore(file)).finally(() => ($("restore-backup").value = ""));
    });
  }

  /** One thing at a time; the buttons wait. */
  async #busy(work) {
    const buttons = [$("save-backup"), $("restore-backup")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      await work();
    } catch (error) {
      $("backup").textContent = "";
      toast(error.message, true);
    }
    buttons.forEach((button) => (button.disabled = false));
  }

  async #save() {
    let made;
    const drop = this.#node.exportDrop(this.#namespace, undefined, {
      onProgress: (progress) => {
        made = progress;
        $("backup").textContent = `${progress.entries} entries, ${bytesText(progress.bytes)}`;
      },
    });
    save(new Blob(await blobsOf(drop)), `notebook-${new Date().toISOString().slice(0, 10)}.drop`);
    $("backup").textContent = `Saved ${made.entries} entries, ${bytesText(made.bytes)}.`;
    if (made.withoutPayload > 0) toast(`${made.withoutPayload} files have not arrived in this browser yet: they are not in the backup.`, true);
  }

  async #restore(file) {
    const show = ({ inserted, skipped, bytes }) => ($("backup").textContent = `${inserted + skipped} entries, ${bytesText(bytes)}`);
    const before = await this.#entries();
    const { inserted, skipped } = await this.#node.importDrop(file, { onProgress: show }).catch((error) => {
      throw new Error(`${file.name}: ${error.message}`);
    });
    const arrived = [...(await this.#entries())].some((entry) => !before.has(entry));
    $("backup").textContent = `Restored ${inserted} entries; ${skipped} were here already.`;
    if (inserted > 0 && !arrived) toast("This is a backup of another notebook: open a link to that one first.", true);
  }

  /** What the notebook holds: a backup brings entries of whatever space it was made of. */
  async #entries() {
    const held = new Set();
    for await (const { user, path, timestamp, digest } of this.#node.entries(this.#namespace)) held.add([user, path.join("/"), timestamp, digest].join());
    return held;
  }
}
