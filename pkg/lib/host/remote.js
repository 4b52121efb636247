import { WillowError, invalid, shuttingDown } from "../error.js";
import { KINDS, hold, lifeOf, transferable, whenGone } from "./wire.js";

/** How often in a row a host is looked for after one was lost, before everything is told so, and how many milliseconds each has to answer. */
const ATTEMPTS = 8;
const PATIENCE = 5000;

/** How many milliseconds a page that was frozen needs to hear of what came meanwhile. */
const AWAKE = 100;

/** A module that traps more often than this within so many milliseconds is not started again. */
const MOST_TRAPS = 3;
const A_WHILE = 60_000;

const trap = (message) => new WillowError("fatal", `the WebAssembly module trapped (${message})`);
const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
const over = () => new WillowError("closed", "where the node ran has gone while this was under way; it may have happened");

/** A copy of arguments as they are now: what the caller does with them later is the caller's business, and they may have to be sent again. */
function copied(args, isGiven = false) {
  try {
    return structuredClone(args, { transfer: isGiven ? args.flatMap(transferable) : [] });
  } catch (thrown) {
    throw invalid("arguments", `they cannot be sent to the worker: ${thrown.message}`);
  }
}

/**
 * A page's end of a node that runs elsewhere. When the host is lost, a new one is looked for, the node is opened again there, and what can
 * go on goes on: calls that may be repeated are, intents sync again, subscriptions resume where they were.
 */
export class Link {
  #hosts;
  #opening;
  #said;
  #version;
  #lasts;
  #life = crypto.randomUUID();
  #alive;
  #channel;
  #stopFollowing = () => {};
  #numbers = 0;
  /** What waits for an answer, by its number. */
  #waiting = new Map();
  #unsaid = [];
  /** When the module trapped, lately. */
  #trapped = [];
  /** What was made and is in use, by its number. */
  objects = new Map();
  #questions = new Map();
  /** What ends the listening for those who may take back a yes. */
  #accepted = new Map();
  #failed;
  /** A host has answered; and the node is open there. */
  #isMet = false;
  #isOpen = false;
  /** Ends an attempt to open the node. */
  #giveUp = () => {};
  address;
  id;
  /** Why the module trapped, each time it did. */
  fatals = [];
  /** The page has let go of the node; `onLeave` is called then. */
  hasLeft = false;
  onLeave = new Set();

  /**
   * `hosts.connect()` gives a channel to a host; `opening` says what to open there; `said` has `accept` and `onProgress`, each if there
   * is one; `lasts`: another host finds what this one has stored.
   */
  constructor(hosts, opening, said, version, lasts) {
    this.#hosts = hosts;
    this.#opening = opening;
    this.#said = said;
    this.#version = version;
    this.#lasts = lasts;
    this.#alive = hold(lifeOf(this.#life));
  }

  /** Opens the node. A host has so many milliseconds to answer. */
  async open(patience) {
    await this.#alive;
    this.#isMet = false;
    let timer;
    const failed = new Promise((_, reject) => {
      const late = () => reject(new WillowError("hostFailed", `no worker answered within ${patience} ms`));
      timer = setTimeout(late, patience);
      this.#giveUp = () => reject(over());
    });
    failed.catch(() => {});
    const unlessFailed = (promise) => Promise.race([promise, failed]);
    try {
      this.#channel = await unlessFailed(this.#hosts.connect());
      await unlessFailed(this.#greet(this.#channel));
      clearTimeout(timer);
      return await unlessFailed(this.#ask({ type: "open", ...copied(this.#opening()) }, false));
    } finally {
      clearTimeout(timer);
      this.#giveUp = () => {};
    }
  }

  /** Opens the node for the first time. A host that goes meanwhile is followed by another. */
  async start(patience) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        ({ id: this.id, address: this.address } = await this.open(patience));
        this.#isOpen = true;
        return;
      } catch (thrown) {
        if (thrown.code !== "closed" || attempt === ATTEMPTS) throw thrown;
        this.#channel?.close();
      }
    }
  }

  async #greet(channel) {
    const welcome = await new Promise((resolve, reject) => {
      channel.listen((message) => (message.type === "welcome" ? resolve(message) : this.#hear(message)));
      channel.failed?.then(reject);
      channel.post({ type: "hello", version: this.#version, life: this.#life });
    });
    if (welcome.version !== this.#version) {
      throw new WillowError("alreadyOpen", `a tab with osier ${welcome.version} runs the node, and this one has ${this.#version}: reload whichever is older`);
    }
    this.#stopFollowing();
    this.#stopFollowing = whenGone(lifeOf(welcome.life), () => this.lost());
    this.#isMet = true;
  }

  /** A call that is answered. */
  call(on, kind, method, args) {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    const isOnce = KINDS[kind].once?.includes(method) ?? false;
    // The pieces of a writer were made for it alone.
    const isGiven = kind === "writer";
    try {
      const copies = copied(args, isGiven);
      return this.#ask({ type: "call", on, method, args: copies }, !isOnce, isGiven ? copies.flatMap(transferable) : []);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** The next items of a stream. */
  pull(on) {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    return this.#ask({ type: "pull", on }, true);
  }

  #ask(message, isRepeated, transfer = []) {
    const id = (this.#numbers += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, message: { ...message, id }, isRepeated });
      // What is asked before the node is open again is asked then.
      if (this.#isOpen || message.type === "open") this.#channel.post({ ...message, id }, transfer);
      else if (!isRepeated) this.#refuse(id);
    });
  }

  /** The module has trapped. What was asked just then is not repeated, since it may be why; nor is a module that traps again and again. */
  #survives(fatal) {
    this.fatals.push(fatal);
    const now = performance.now();
    this.#trapped = [...this.#trapped.filter((time) => time > now - A_WHILE), now];
    if (this.#trapped.length <= MOST_TRAPS) return true;
    this.fail(trap(fatal));
    return false;
  }

  #refuse(id, fatal) {
    const gone = this.hasLeft ? shuttingDown() : over();
    this.#waiting.get(id)?.reject(fatal === undefined ? gone : trap(fatal));
    this.#waiting.delete(id);
  }

  /** A word that is not answered. Said while there is no host, it is said to the next one, if that has what it is about. */
  tell(on, method, ...args) {
    const message = { type: "tell", on, method, args: copied(args) };
    if (method === "drop") this.objects.delete(on);
    if (this.#isOpen) this.#channel.post(message);
    else if (method !== "drop") this.#unsaid.push(message);
  }

  /** Makes an object there; `again` gives the arguments for another time, if it goes on at another host. */
  make(kind, on, method, args, again) {
    const [handle, copies] = [(this.#numbers += 1), copied(args)];
    this.objects.set(handle, { kind, on, method, args: copies, again });
    if (this.#isOpen) this.#channel.post({ type: "make", handle, on, method, args: copies });
    return handle;
  }

  #hear(message) {
    const { type, id } = message;
    if (type === "answer") {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) return;
      this.#waiting.delete(id);
      if (message.error !== undefined) waiting.reject(WillowError.from(message.error));
      else waiting.resolve(message.progress === undefined ? message.value : { value: message.value, progress: message.progress });
    } else if (type === "event") {
      if (message.on === 0) this.#said.onProgress?.(message.value);
      else this.objects.get(message.on)?.onEvent?.(message.value);
    } else if (type === "address") this.address = message.address;
    else if (type === "ask") this.#answer(id, message.peer);
    else if (type === "forget") this.#questions.get(id)?.abort();
    else if (type === "over") this.#accepted.get(id)?.();
    else if (type === "fatal") this.lost(message.message);
    else if (type === "pong") this.#waiting.get(id)?.resolve();
  }

  async #answer(id, peer) {
    const channel = this.#channel;
    const forgotten = new AbortController();
    this.#questions.set(id, forgotten);
    let answer = null;
    try {
      answer = await this.#said.accept(peer, forgotten.signal);
      if (answer !== null) answer.init = copied(answer.init);
    } catch (thrown) {
      console.error("osier: the accept handler failed, the peer is refused:", thrown);
    }
    this.#questions.delete(id);
    channel.post({ type: "said", id, answer: answer && answer.init });
    const signal = answer?.signal;
    if (signal === undefined) return;
    const takeBack = () => channel.post({ type: "takeBack", id });
    signal.addEventListener("abort", takeBack);
    this.#accepted.set(id, () => {
      this.#accepted.delete(id);
      signal.removeEventListener("abort", takeBack);
    });
  }

  /** The host is gone: another one is looked for. */
  async lost(fatal) {
    if (this.hasLeft) return this.fail(shuttingDown());
    this.#isMet = false;
    this.#giveUp();
    if (!this.#isOpen || this.#failed !== undefined) return;
    this.#isOpen = false;
    this.#stopFollowing();
    this.#channel.close();
    this.#accepted.forEach((end) => end());
    this.#questions.forEach((question) => question.abort());
    this.#questions.clear();
    if (fatal !== undefined && !this.#survives(fatal)) return;
    if (!this.#lasts) return this.fail(fatal === undefined ? over() : trap(fatal));
    for (const [id, { message, isRepeated }] of this.#waiting) {
      const goesOn = message.on === 0 || this.objects.get(message.on)?.again !== undefined;
      if (!isRepeated || !goesOn || (fatal !== undefined && message.type === "call" && message.method !== "completed")) this.#refuse(id, fatal);
    }
    for (const [handle, { again }] of this.objects) if (again === undefined) this.objects.delete(handle);
    let failure;
    for (let attempt = 0; attempt < ATTEMPTS && this.#failed === undefined; attempt += 1) {
      try {
        ({ address: this.address } = await this.open(PATIENCE));
        return this.#failed ?? this.#goOn();
      } catch (thrown) {
        failure = thrown;
        this.#channel?.close();
        await sleep(20 * 2 ** attempt);
      }
    }
    return this.fail(WillowError.from(failure));
  }

  /** What was made is made again, in its order, and what waits is asked again. */
  #goOn() {
    this.#isOpen = true;
    for (const [handle, object] of this.objects) {
      object.args = object.again(object.args);
      this.#channel.post({ type: "make", handle, on: object.on, method: object.method, args: object.args });
    }
    for (const message of this.#unsaid.splice(0)) if (message.on === 0 || this.objects.has(message.on)) this.#channel.post(message);
    for (const { message, isRepeated } of this.#waiting.values()) if (isRepeated) this.#channel.post(message);
  }

  /** Everything that waits, and all that is asked from now on, is told so. */
  fail(error) {
    this.#failed ??= error;
    this.#isOpen = false;
    for (const { reject } of this.#waiting.values()) reject(this.#failed);
    this.#waiting.clear();
    this.objects.clear();
  }

  /** Whether the host answers within so many milliseconds. */
  async answers(within) {
    if (!this.#isMet) return true;
    const id = (this.#numbers += 1);
    let isThere = false;
    this.#waiting.set(id, { resolve: () => (isThere = true), reject() {}, message: {}, isRepeated: false });
    this.#channel.post({ type: "ping", id });
    await sleep(within);
    // A page that slept itself meanwhile hears only now of what came then.
    if (!isThere) await sleep(AWAKE);
    this.#waiting.delete(id);
    return isThere || !this.#isMet;
  }

  /** Lets go of the node: resolves when it is shut down, if nobody else has it. */
  async leave() {
    if (this.hasLeft) return;
    this.hasLeft = true;
    this.onLeave.forEach((leave) => leave());
    const left = this.#isOpen ? this.#ask({ type: "bye" }, false) : undefined;
    this.#isOpen = false;
    await left?.catch(() => {});
    this.fail(shuttingDown());
    this.#giveUp();
    this.#stopFollowing();
    this.#channel?.close();
    await this.#hosts.leave();
    (await this.#alive)();
  }
}
