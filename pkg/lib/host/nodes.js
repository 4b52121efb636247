/** The nodes of a host, each shared by those who opened the same storage. */
export class Nodes {
  #open;
  #nodes = new Map();
  /** What has to be over before a storage is opened again. */
  #closing = new Map();

  constructor(open) {
    this.#open = open;
  }

  /**
   * The node of a key, with one who uses it more. Whoever comes first says how it is opened. `said` is how to reach the newcomer: `accept`
   * and `onProgress`, if it has them, and `address`, called with each new one.
   */
  async join(key, options, wasm, said) {
    for (;;) {
      await this.#closing.get(key);
      const known = this.#nodes.get(key);
      if (known === undefined) break;
      const isGood = await known.isGood();
      if (this.#nodes.get(key) !== known) continue;
      if (isGood) return known.join(said);
      // Its storage was taken away, or it never opened: those who have it may keep it, who comes now gets another.
      this.#nodes.delete(key);
    }
    const node = new SharedNode((accept, onProgress) => this.#open(options, accept, onProgress, wasm), () => this.#close(key, node));
    this.#nodes.set(key, node);
    return node.join(said);
  }

  #close(key, node) {
    if (this.#nodes.get(key) === node) this.#nodes.delete(key);
    const closed = node.shutdown().then(() => this.#closing.get(key) === closed && this.#closing.delete(key));
    this.#closing.set(key, closed);
    return closed;
  }

  /** Shuts all down. */
  async close() {
    for (const [key, node] of [...this.#nodes]) this.#close(key, node);
    await Promise.all(this.#closing.values());
  }
}

class SharedNode {
  #raw;
  #empty;
  #members = new Map();
  #told;

  constructor(open, empty) {
    this.#empty = empty;
    this.#raw = open(
      (peer, forgotten) => this.#accept(peer, forgotten),
      (progress) => this.#each(({ onProgress }) => onProgress?.(progress)),
    );
    this.#raw.then((raw) => this.#followAddress(raw), () => {});
  }

  /** Whether it opened, and can write. */
  async isGood() {
    try {
      return (await (await this.#raw).storage()).state !== "lost";
    } catch {
      return false;
    }
  }

  async join(said) {
    this.#members.set(said, {});
    try {
      const raw = await this.#raw;
      return { raw, notify: (state) => this.#notify(said, state), leave: () => this.#leave(said) };
    } catch (thrown) {
      await this.#leave(said);
      throw thrown;
    }
  }

  async #leave(said) {
    if (!this.#members.delete(said)) return;
    this.#tell();
    if (this.#members.size === 0) await this.#empty();
  }

  async shutdown() {
    const raw = await this.#raw.catch(() => undefined);
    await raw?.shutdown().catch(() => {});
  }

  #each(call) {
    for (const said of this.#members.keys()) call(said);
  }

  /** A yes of any of them is a yes; who has no handler says yes to everyone. */
  #accept(peer, forgotten) {
    const asked = [...this.#members.keys()].map(async ({ accept }) => {
      const answer = accept === undefined ? { init: {} } : await accept(peer, forgotten);
      if (answer === null) throw new Error("no");
      return answer;
    });
    return Promise.any(asked).catch(() => null);
  }

  #notify(said, state) {
    Object.assign(this.#members.get(said) ?? {}, state);
    this.#tell();
  }

  /** A node is visible and has a network when any of its pages says so, and is frozen when all do. */
  #tell() {
    const states = [...this.#members.values()];
    if (states.length === 0) return;
    const state = {
      visible: states.some(({ visible }) => visible !== false),
      frozen: states.every(({ frozen }) => frozen === true),
      online: states.some(({ online }) => online !== false),
    };
    const told = JSON.stringify(state);
    if (told === this.#told) return;
    this.#told = told;
    this.#raw.then((raw) => raw.notify(state)).catch(() => {});
  }

  async #followAddress(raw) {
    const status = raw.watchStatus();
    let told;
    try {
      while ((await status.next()) !== undefined) {
        const address = raw.address();
        if (JSON.stringify(address) === told) continue;
        told = JSON.stringify(address);
        this.#each(({ address: tell }) => tell(address));
      }
    } catch {
      // The node is over.
    }
  }
}
