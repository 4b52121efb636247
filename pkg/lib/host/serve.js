import { WillowError, shuttingDown, trapped } from "../error.js";
import { failedIntent } from "../intent.js";
import { Nodes } from "./nodes.js";
import { KINDS, hold, lifeOf, transferable, whenGone } from "./wire.js";

/** What serves pages: it has the nodes, and a client for each page that holds one. */
export class Host {
  #nodes;
  #version;
  #life = crypto.randomUUID();
  #alive;
  #clients = new Set();

  /** `open(options, accept, onProgress, wasm)` gives a node of the module. */
  constructor(version, open) {
    this.#version = version;
    this.#nodes = new Nodes(open);
    this.#alive = hold(lifeOf(this.#life));
  }

  /** Serves whoever is at the other end of a channel until it says good-bye or is gone. */
  connect(channel) {
    const client = new Client(channel, this.#nodes, () => this.#clients.delete(client));
    this.#clients.add(client);
    channel.listen((message) => (message.type === "hello" ? this.#welcome(client, message) : client.hear(message)));
  }

  async #welcome(client, { life }) {
    // Whoever greets again does not hear what it was told before.
    for (const other of this.#clients) if (other !== client && other.life === life) other.leave();
    client.follow(life);
    await this.#alive;
    client.channel.post({ type: "welcome", version: this.#version, life: this.#life });
  }

  /** The module is of no use any more: everyone hears of it. */
  fail(message) {
    for (const client of this.#clients) client.channel.post({ type: "fatal", message });
  }

  /** Shuts all nodes down. Pages that are still there hear nothing of it: they find the next host, and go on. */
  close() {
    for (const { channel } of this.#clients) channel.close();
    return this.#nodes.close();
  }
}

/** One page, and what it holds of its node. */
class Client {
  channel;
  life;
  #nodes;
  #left;
  #node;
  /** Objects of the module, or promises of them, by their numbers. */
  #objects = new Map();
  #questions = new Map();
  /** Numbers of questions and sessions: others than those of any host before, to which a page may still refer. */
  #numbers = crypto.getRandomValues(new Uint32Array(1))[0] * 2 ** 20;
  #hasLeft = false;
  #stopFollowing = () => {};

  constructor(channel, nodes, left) {
    this.channel = channel;
    this.#nodes = nodes;
    this.#left = left;
  }

  /** The page is gone when its lock is free. */
  follow(life) {
    this.life = life;
    this.#stopFollowing();
    this.#stopFollowing = whenGone(lifeOf(life), () => this.leave());
  }

  async hear(message) {
    const { type, id } = message;
    if (type === "tell") return this.#tell(message);
    if (type === "make") return this.#make(message);
    if (type === "said") return this.#questions.get(id)?.said(message.answer);
    if (type === "takeBack") return this.#questions.get(id)?.takenBack.abort();
    if (type === "ping") return this.channel.post({ type: "pong", id });
    const answers = { open: () => this.#open(message), call: () => this.#call(message), pull: () => this.#pull(message), bye: () => this.leave() };
    if (!Object.hasOwn(answers, type)) return undefined;
    try {
      const { value, ...more } = await answers[type]();
      this.channel.post({ type: "answer", id, value, ...more }, transferable(value));
    } catch (thrown) {
      this.channel.post({ type: "answer", id, error: WillowError.from(thrown).toJSON() });
      if (thrown instanceof WebAssembly.RuntimeError) trapped(thrown.message);
    }
    return undefined;
  }

  async #open({ key, options, wasm, hasAccept, hasProgress }) {
    const said = {
      accept: hasAccept ? (peer, forgotten) => this.#ask(peer, forgotten) : undefined,
      onProgress: hasProgress ? (progress) => this.channel.post({ type: "event", on: 0, value: progress }) : undefined,
      address: (address) => this.channel.post({ type: "address", address }),
    };
    const node = await this.#nodes.join(key, options, wasm, said);
    if (this.#hasLeft) {
      await node.leave();
      throw shuttingDown();
    }
    this.#node = node;
    this.#objects.set(0, { kind: "node", of: this.#node.raw });
    return { value: { id: this.#node.raw.id, address: this.#node.raw.address() } };
  }

  /** Asks the page whether a peer may connect. */
  #ask(peer, forgotten) {
    const id = (this.#numbers += 1);
    return new Promise((resolve) => {
      const takenBack = new TakenBack(() => {
        this.#questions.delete(id);
        this.channel.post({ type: "over", id });
      });
      const said = (init) => {
        forgotten.removeEventListener("abort", forget);
        if (init === null) this.#questions.delete(id);
        resolve(init && { init, signal: takenBack });
      };
      const forget = () => {
        this.channel.post({ type: "forget", id });
        said(null);
      };
      forgotten.addEventListener("abort", forget, { once: true });
      this.#questions.set(id, { said, takenBack });
      this.channel.post({ type: "ask", id, peer });
    });
  }

  #object(on) {
    const object = this.#objects.get(on);
    if (this.#hasLeft) throw shuttingDown();
    if (object === undefined) throw new WillowError("closed", "this is over, or belongs to a node that is");
    return object;
  }

  async #call({ on, method, args }) {
    const { kind, of } = this.#object(on);
    if (!KINDS[kind].calls?.includes(method)) throw new WillowError("internal", `${kind} has no ${method}`);
    const object = isPromise(of) ? await of : of;
    const value = await object[method](...args);
    return { value, progress: KINDS[kind].hasProgress ? object.progress() : undefined };
  }

  async #tell({ on, method, args }) {
    const object = this.#objects.get(on);
    if (object === undefined) return;
    const { kind, of } = object;
    if (method === "drop") this.#objects.delete(on);
    if (on === 0 && method === "notify") this.#node?.notify(args[0]);
    else if (method === "drop" ? KINDS[kind].pulls : KINDS[kind].tells?.includes(method)) {
      // What cannot be told needs no answer: it is over.
      await Promise.resolve(of).then((of) => of[method === "drop" ? "close" : method](...args)).catch(() => {});
    }
  }

  /** Makes an object, at once if what makes it is there: so that what is asked of it in the same breath finds it as it would here. */
  #make({ handle, on, method, args }) {
    const kind = KINDS[this.#objects.get(on)?.kind]?.makes?.[method] ?? "stream";
    if (method === "fetchPayload") args.push((value) => this.channel.post({ type: "event", on: handle, value }));
    let of;
    try {
      const { kind: maker, of: by } = this.#object(on);
      if (!Object.hasOwn(KINDS[maker].makes ?? {}, method)) throw new WillowError("internal", `${maker} makes no ${method}`);
      of = isPromise(by) ? by.then((by) => by[method](...args)) : by[method](...args);
    } catch (thrown) {
      // Told to whoever uses it.
      of = kind === "intent" ? failedIntent(args[0], WillowError.from(thrown).toJSON()) : Promise.reject(thrown);
    }
    if (isPromise(of)) of.catch(() => {});
    this.#objects.set(handle, { kind, of });
  }

  /** The next items of a stream: one that is waited for, and those that are there already. */
  async #pull({ on }) {
    const object = this.#object(on);
    const stream = await object.of;
    const items = [];
    let turn;
    while (items.length < KINDS[object.kind].pulls) {
      object.next ??= stream.next();
      turn = items.length === 0 ? undefined : (turn ?? turnOfEvents());
      try {
        const item = await (turn === undefined ? object.next : Promise.race([object.next, turn]));
        if (item === LATER) break;
        object.next = undefined;
        if (item === undefined) return { value: object.kind === "pieces" ? undefined : { items, ended: true } };
        items.push(object.kind === "sessions" ? this.#session(item) : item);
      } catch (thrown) {
        // Told by the next pull, after what came before it.
        if (items.length > 0) break;
        object.next = undefined;
        throw thrown;
      }
    }
    return { value: object.kind === "pieces" ? items[0] : { items, ended: false } };
  }

  #session(raw) {
    const handle = -(this.#numbers += 1);
    this.#objects.set(handle, { kind: "session", of: raw });
    return { handle, peer: raw.peer };
  }

  /** The page is done with its node. Resolves when that is shut down, if it was the last one. */
  async leave() {
    this.#hasLeft = true;
    this.#left();
    this.#stopFollowing();
    const [objects, questions] = [[...this.#objects.values()], [...this.#questions.values()]];
    this.#objects.clear();
    this.#questions.clear();
    // What it accepted stays, for the other pages.
    for (const { said } of questions) said(null);
    for (const { kind, of } of objects) {
      if (kind === "node" || kind === "session") continue;
      const end = KINDS[kind].pulls ? "close" : KINDS[kind].tells[0];
      Promise.resolve(of).then((of) => of[end](), () => {});
    }
    const node = this.#node;
    this.#node = undefined;
    await node?.leave();
    return { value: undefined };
  }
}

const LATER = Symbol("later");

const isPromise = (value) => typeof value?.then === "function";

/** A signal for the module, which says when the module does not listen any more. */
class TakenBack extends EventTarget {
  aborted = false;
  #over;

  constructor(over) {
    super();
    this.#over = over;
  }

  abort() {
    this.aborted = true;
    this.dispatchEvent(new Event("abort"));
  }

  removeEventListener(...rest) {
    super.removeEventListener(...rest);
    this.#over();
  }
}

/** Resolves after everything that is ready now. */
function turnOfEvents() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(LATER);
    };
    port2.postMessage(undefined);
  });
}
