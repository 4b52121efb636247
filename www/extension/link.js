import { startNode } from "./start.js";

/** A port that was lost is opened again after so many milliseconds. */
const AGAIN_AFTER = 200;

/**
 * A popup's way to the document of the node. Whatever becomes of that document, another one is started; what was not answered is asked again.
 */
export class Link {
  #page;
  #hear;
  #port;
  #asked = new Map();
  #next = 0;

  /** @param {import("./messages").Page | undefined} page @param {(message: import("./messages").ToPopup) => void} hear */
  constructor(page, hear) {
    this.#page = page;
    this.#hear = hear;
    this.#connect();
  }

  /** @param {import("./messages").Request} request @returns {Promise<string | undefined>} */
  ask(request) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { request, resolve, reject });
      this.#post({ ...request, id });
    });
  }

  async #connect() {
    try {
      await startNode();
      const port = chrome.runtime.connect({ name: "popup" });
      port.onMessage.addListener((message) => (message.type === "answer" ? this.#answered(message) : this.#hear(message)));
      port.onDisconnect.addListener(() => {
        void chrome.runtime.lastError; // looked at, or Chromium reports it: nobody listens yet
        this.#later();
      });
      this.#port = port;
      this.#post({ type: "page", page: this.#page });
      for (const [id, { request }] of this.#asked) this.#post({ ...request, id });
    } catch {
      this.#later();
    }
  }

  #later() {
    this.#port = undefined;
    setTimeout(() => this.#connect(), AGAIN_AFTER);
  }

  /** @param {import("./messages").ToNode} message */
  #post(message) {
    this.#port?.postMessage(message);
  }

  #answered({ id, value, error }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(Object.assign(new Error(error.message), { code: error.code }));
  }
}
