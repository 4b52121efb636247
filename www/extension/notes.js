import { dateFromTimestamp, liveEntries, timestampFromDate } from "./osier/index.js";

const decoder = new TextDecoder();

/**
 * Notes in a space. One is an entry below its page; whoever changes it writes their own version of it, of which the newest counts. An empty
 * one is a deleted note: an entry of one's own replaces nobody else's, so that it says so by being newer.
 */
export class Notes {
  #node;
  #space;

  /** @param {import("./osier/index.js").WillowNode} node @param {import("./osier/index.js").Joined} space */
  constructor(node, space) {
    this.#node = node;
    this.#space = space;
  }

  /**
   * Calls `tell` with the notes of a page, now and after each change, until the function that it returns is called.
   * @param {import("./messages").Page} page @param {(notes: import("./messages").Note[]) => void} tell
   */
  follow(page, tell) {
    const entries = liveEntries(this.#node, this.#space.namespace, { path: page });
    let turn = 0;
    const read = async () => {
      const own = ++turn;
      const notes = await Promise.all(newest(entries.getSnapshot().value ?? [], page).map((entry) => this.#note(entry)));
      if (own === turn) tell(notes);
    };
    return entries.subscribe(read);
  }

  /** @returns {Promise<import("./messages").Note>} */
  async #note(entry) {
    const { path, user, timestamp, length, available } = entry;
    const bytes = available < length ? undefined : await this.#node.payload(entry).catch(() => undefined); // replaced: the next one comes
    return { id: path.at(-1), text: bytes && decoder.decode(bytes), user, isOwn: user === this.#space.user, at: dateFromTimestamp(timestamp).getTime() };
  }

  /** Writes a version of a note that is newer than all others, whose clocks may be ahead. */
  async write(page, id, text) {
    const { namespace, user } = this.#space;
    const path = [...page, id];
    let last = 0n;
    for await (const { timestamp } of this.#node.entries(namespace, { path })) if (timestamp > last) last = timestamp;
    const timestamp = last < timestampFromDate(new Date()) ? undefined : last + 1n;
    await this.#node.set(namespace, { user, path, payload: text, timestamp });
  }
}

/** The newest version of each note that is not deleted, the youngest note first: ids begin with the time. */
function newest(entries, page) {
  const notes = new Map();
  for (const entry of entries) {
    const id = entry.path.at(-1);
    if (entry.path.length !== page.length + 1 || typeof id !== "string") continue;
    if (!(notes.get(id)?.timestamp > entry.timestamp)) notes.set(id, entry);
  }
  return [...notes].filter(([, entry]) => entry.length > 0).sort(([one], [other]) => (one < other ? 1 : -1)).map(([, entry]) => entry);
}
