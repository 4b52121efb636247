import { $, h, toast } from "./dom.js";
import { bytesText } from "./text.js";

const REFRESH = 10_000; // ms

/** The panel of storage: whether what is written here lasts, how much there is, how much may be, and how much nobody else has. */
export class Storage {
  #node;
  #atRisk = false;

  constructor(node) {
    this.#node = node;
    $("persist").addEventListener("click", () => this.#persist());
    // Browsers ask in words of their own whether the page is to be left.
    addEventListener("beforeunload", (event) => this.#atRisk && event.preventDefault());
    this.#poll();
    this.#watch();
  }

  /** Whether leaving the page loses what nobody else has. */
  get atRisk() {
    return this.#atRisk;
  }

  /** Leaving is fine. */
  letGo() {
    this.#atRisk = false;
  }

  async #watch() {
    for await (const { storage } of this.#node.watchStatus()) {
      this.#atRisk = storage.unheld > 0 && !storage.durable;
      $("only-here").hidden = storage.unheld === 0;
      $("only-here").textContent = onlyHere(storage);
      await this.#refresh();
    }
  }

  async #poll() {
    let storage = await this.#refresh();
    if (storage !== undefined) warnOfLoss(storage);
    while (storage !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, REFRESH));
      storage = await this.#refresh();
    }
  }

  async #persist() {
    const granted = await this.#node.requestPersistence();
    toast(granted ? "The browser keeps this notebook until you delete it." : "The browser did not promise that: when its disk is full, it may delete this.", !granted);
    await this.#refresh();
  }

  /** Shows how the storage stands, and resolves to that; undefined when the node was shut down. */
  async #refresh() {
    let storage;
    try {
      storage = await this.#node.storage();
    } catch {
      return undefined;
    }
    const { durable, entries, payloadBytes, usage, quota, persisted } = storage;
    const rows = [
      ["kept", durable ? (persisted ? "in this browser, until you delete it" : "in this browser, as long as it has room") : "while this page is open"],
      ["entries", String(entries)],
      ["payloads", bytesText(payloadBytes)],
    ];
    if (usage !== null && quota !== null) rows.push(["in use", `${bytesText(usage)} of ${bytesText(quota)}`]);
    $("storage").replaceChildren(...rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]));
    $("persist").hidden = !durable || persisted;
    return storage;
  }
}

function onlyHere({ unheld, durable }) {
  const entries = unheld === 1 ? "1 entry is" : `${unheld} entries are`;
  return `${entries} nowhere but here. ${durable ? "Nobody else has stored that yet." : "Closing this page loses that: wait until somebody has it, or save a backup."}`;
}

/** Says what was lost before the page was opened. */
function warnOfLoss({ damaged, dataLoss }) {
  if (dataLoss !== null) toast(`This browser has lost what it kept here (${dataLoss}). Join again with a link to get it from the others.`, true);
  else if (damaged > 0) toast(`${damaged} damaged entries were removed; they come back from whoever has them.`, true);
}

/** Says once what a change of the storage's state means for whoever writes. */
export function warnOf({ state, reason }) {
  if (state === "full") toast("There is no room left in this browser: what you write now is not kept.", true);
  else if (state === "readOnly") toast("This browser's storage cannot be written: nothing new is kept.", true);
  else if (state === "lost") toast(`This page cannot keep anything any more (${reason}). Reload it to go on.`, true);
}
