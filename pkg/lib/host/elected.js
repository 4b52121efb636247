import { namedChannel } from "./channel.js";
import { notStarted } from "./shared.js";

/** Every so many milliseconds a page asks whether the host is there. */
const PULSE = 1000;
/** A host that does not answer for so long is taken for frozen. */
const PATIENCE = 2000;
/** Every so many milliseconds a page knocks until a host answers. */
const KNOCK = 100;

const lobbyOf = (key) => `osier: ${key}`;
const ownerOf = (key) => `osier: who runs ${key}`;

/**
 * Gives channels to the dedicated worker of one of the pages that want the node of a key: of that which holds the lock. When it closes,
 * the lock goes to another; when it is frozen, another takes it.
 */
export function electedWorker(key, url) {
  const lobby = new BroadcastChannel(lobbyOf(key));
  let [host, knock, failed] = [undefined, () => {}, () => {}];
  const candidate = new Candidate(key, url, () => failed(notStarted(url)));
  let link;
  lobby.onmessage = ({ data }) => {
    if (data.type !== "host") return;
    knock();
    // Another one runs the node now.
    if (host !== undefined && host !== data.host) link?.lost(data.fatal);
  };
  const pulse = setInterval(async () => {
    if (link === undefined || candidate.runs || (await link.answers(PATIENCE))) return;
    await candidate.take(() => link.answers(PATIENCE / 4));
  }, PULSE);
  return {
    follow: (of) => (link = of),
    async connect() {
      host = undefined;
      const name = `${lobbyOf(key)}: ${crypto.randomUUID()}`;
      const channel = namedChannel(name, "page");
      channel.failed = new Promise((resolve) => (failed = resolve));
      const answered = new Promise((resolve) => channel.listen((message) => message.type === "here" && resolve(message.host)));
      knock = () => lobby.postMessage({ type: "knock", name });
      knock();
      const knocking = setInterval(knock, KNOCK);
      try {
        host = await Promise.race([answered, channel.failed.then((error) => Promise.reject(error))]);
      } finally {
        clearInterval(knocking);
        knock = () => {};
      }
      return channel;
    },
    async leave() {
      clearInterval(pulse);
      lobby.close();
      await candidate.leave();
    },
  };
}

/** A page that would run the node. */
class Candidate {
  #key;
  #url;
  #failed;
  #worker;
  #release = () => {};
  #waiting = new AbortController();

  constructor(key, url, failed) {
    this.#key = key;
    this.#url = url;
    this.#failed = failed;
    this.#wait();
  }

  get runs() {
    return this.#worker !== undefined;
  }

  /** Takes its turn when it comes. Robbed of it, it waits for the next one. */
  #wait() {
    const { signal } = this.#waiting;
    navigator.locks
      .request(ownerOf(this.#key), { signal }, () => this.#run(false))
      .catch(() => this.#stop())
      .then(() => signal.aborted || this.#wait());
  }

  /** Takes the turn of whoever has it, unless the host of that answers after all. One page at a time asks. */
  async take(answers) {
    await navigator.locks.request(`${ownerOf(this.#key)}, taken`, async () => {
      if (this.runs || this.#waiting.signal.aborted || (await answers())) return;
      navigator.locks.request(ownerOf(this.#key), { steal: true }, () => this.#run(true)).catch(() => this.#stop());
    });
  }

  /** Runs the node until it is released. */
  #run(takes) {
    return new Promise((release) => {
      this.#release = release;
      this.#start(takes);
    });
  }

  #start(takes, fatal) {
    const worker = new Worker(this.#url, { name: "osier" });
    this.#worker = worker;
    worker.onerror = () => this.#failed();
    // The module has trapped: a new one starts.
    worker.onmessage = ({ data }) => {
      if (data.type !== "fatal" || this.#worker !== worker) return;
      worker.terminate();
      this.#start(false, data.message);
    };
    worker.postMessage({ type: "run", lobby: lobbyOf(this.#key), takes, fatal });
  }

  #stop() {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  /** Nothing is wanted any more: what runs here ends well, and the turn goes to another. */
  async leave() {
    this.#waiting.abort();
    const worker = this.#worker;
    if (worker !== undefined) {
      const stopped = new Promise((resolve) => (worker.onmessage = resolve));
      worker.postMessage({ type: "stop" });
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 3000))]);
    }
    this.#stop();
    this.#release();
  }
}
