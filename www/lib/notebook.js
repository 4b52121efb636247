import { blobsOf } from "./blobs.js";
import { pathText, textOf } from "./text.js";

/** Where a person's name stands, in their own part of the space. */
const NAME_PATH = [".profile", "name"];
export const FILES = "files";
export const READ_ONLY = "You were given read access: you can follow this notebook, but not write in it.";

/**
 * One space as a notebook. A page of it is a path; each person writes their own version of it, and the newest one is what the
 * page says. Emits `change` (with the page's path as text) and `names`.
 */
export class Notebook extends EventTarget {
  #pages = new Map();
  #names = new Map();
  #stop = new AbortController();

  /** `access` is "write", or "read" for who was given no more. */
  constructor(node, { namespace, user, access }) {
    super();
    this.node = node;
    this.namespace = namespace;
    this.user = user;
    this.readOnly = access === "read";
  }

  /** Follows the store: first what will change, then what is there, so that nothing falls between. */
  async start() {
    const changes = this.node.subscribe(this.namespace, {}, { signal: this.#stop.signal });
    await this.#readAll();
    this.#follow(changes);
  }

  stop() {
    this.#stop.abort();
  }

  /** Pages as `{ path, text, versions }`, newest version first in each; profiles are not pages. */
  pages() {
    return [...this.#pages.values()].filter((page) => page.path[0] !== NAME_PATH[0]).sort((a, b) => a.text.localeCompare(b.text));
  }

  page(text) {
    return this.#pages.get(text);
  }

  get ownName() {
    return this.#names.get(this.user) ?? "no name";
  }

  nameOf(user) {
    const name = this.#names.get(user);
    if (user === this.user) return name ? `${name} (you)` : "you";
    return name ?? `someone (${user.slice(0, 6)})`;
  }

  /** Writes the own version of a page. A path that begins other own pages is refused: in Willow it would replace them all. */
  async write(path, payload, onProgress) {
    const text = pathText(path);
    const below = [...this.#pages.values()].find((page) => page.text.startsWith(`${text}/`) && page.versions.some(({ user }) => user === this.user));
    if (below !== undefined) throw new Error(`"${text}" already holds "${below.text}": choose another path.`);
    const { entry } = await this.node.set(this.namespace, { user: this.user, path, payload, onProgress });
    this.#take(entry);
    return entry;
  }

  rename(name) {
    return this.write(NAME_PATH, name);
  }

  /** The payload of an entry: fetched from a peer first if it is not all here. */
  async read(entry) {
    if (entry.available < entry.length) await this.node.fetchPayload(entry);
    return this.node.payload(entry);
  }

  /** A payload that is here, of any length, as a Blob. */
  async blob(entry, type) {
    return new Blob(await blobsOf(this.node.payloadStream(entry)), { type });
  }

  async #readAll() {
    const entries = [];
    for await (const entry of this.node.entries(this.namespace)) entries.push(entry);
    const gone = [...this.#pages.keys()];
    this.#pages.clear();
    for (const entry of entries) this.#take(entry);
    for (const text of gone) if (!this.#pages.has(text)) this.#changed(text);
  }

  async #follow(changes) {
    for await (const event of changes) {
      if (event.type === "inserted") this.#take(event.entry);
      else if (event.type === "pruned") this.#drop(event.entry);
      else if (event.type === "payload") this.#arrived(event);
      else await this.#readAll(); // forgotten, or too much at once
    }
  }

  #take(entry) {
    const text = pathText(entry.path);
    const page = this.#pages.get(text) ?? { path: entry.path, text, versions: [] };
    const known = page.versions.find((version) => version.user === entry.user);
    if (known !== undefined && known.timestamp > entry.timestamp) return;
    page.versions = page.versions.filter((version) => version !== known).concat(entry);
    page.versions.sort((a, b) => (a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : 0));
    this.#pages.set(text, page);
    if (text === pathText(NAME_PATH)) this.#learnName(entry);
    this.#changed(text);
  }

  #drop(key) {
    const text = pathText(key.path);
    const page = this.#pages.get(text);
    if (page === undefined) return;
    page.versions = page.versions.filter((version) => version.user !== key.user);
    if (page.versions.length === 0) this.#pages.delete(text);
    this.#changed(text);
  }

  #arrived({ entry: key, available, total }) {
    const text = pathText(key.path);
    const version = this.#pages.get(text)?.versions.find(({ user }) => user === key.user);
    if (version === undefined) return;
    version.available = available;
    if (text === pathText(NAME_PATH) && available === total) this.#learnName(version);
    this.dispatchEvent(new CustomEvent("arriving", { detail: { text, user: key.user, available, total } }));
    if (available === total) this.#changed(text);
  }

  async #learnName(entry) {
    try {
      const name = textOf(await this.read(entry))?.trim();
      if (!name) return;
      this.#names.set(entry.user, name.slice(0, 40));
      this.dispatchEvent(new Event("names"));
    } catch {
      // The name comes with the payload, later; until then the key stands in for it.
    }
  }

  #changed(text) {
    this.dispatchEvent(new CustomEvent("change", { detail: text }));
  }
}
