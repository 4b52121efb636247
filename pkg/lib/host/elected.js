import { namedChannel } from "./channel.js";
import { notStarted } from "./shared.js";

/** Every so many milliseconds a page asks whether the host is there. */
const PULSE = 500;
/** A host that does not answer for so long is taken for dead, if it does not when it is asked once more, either. */
const PATIENCE = 2000;
const LAST_CHANCE = 500;
/** How many milliseconds a host may take to shut its node down. */
const STOPPING = 3000;
/** Every so many milliseconds a page knocks until a host answers. */
const KNOCK = 100;

const lobbyOf = (key) => `osier: ${key}`;
/** The channel of a page and a host that met in a lobby. */
export const roomOf = (lobby, page, host) => `${lobby}: ${page}, ${host}`;
const ownerOf = (key) => `osier: who runs ${key}`;

/**
 * Gives channels to the dedicated worker of one of the pages that want the node of a key: of that which holds the lock. When that closes
 * or is frozen, the lock goes to another; when it stops answering, another takes it.
 */
export function electedWorker(key, url) {
  const lobby = new BroadcastChannel(lobbyOf(key));
  let [name, host, latest, visit, knocking, taking] = [];
  let failed = () => {};
  const candidate = new Candidate(key, url, () => failed(notStarted(url)));
  let link;
  const knock = () => lobby.postMessage({ type: "knock", name });
  lobby.onmessage = ({ data }) => {
    if (data.type === "here" && data.name === name) visit?.(data.host);
    if (data.type !== "host") return;
    latest = data.host;
    if (visit !== undefined) knock();
    // Another one runs the node now.
    if (host !== undefined && host !== data.host) link?.lost();
  };
  let isAsking = false;
  const pulse = setInterval(async () => {
    if (isAsking || link === undefined || candidate.runs) return;
    isAsking = true;
    if (!(await link.answers(PATIENCE))) await candidate.take(() => link.answers(LAST_CHANCE));
    isAsking = false;
  }, PULSE);
  const rest = () => {
    clearInterval(knocking);
    clearTimeout(taking);
    visit = undefined;
  };
  return {
    follow: (of) => (link = of),
    async connect() {
      rest();
      [name, host] = [crypto.randomUUID(), undefined];
      const failure = new Promise((resolve) => (failed = resolve));
      // Not one that another has followed: it is about to end.
      const answered = new Promise((resolve) => (visit = (id) => (latest ?? id) === id && resolve(id)));
      knock();
      knocking = setInterval(knock, KNOCK);
      // Nobody answers: whoever should is no host any more.
      taking = setTimeout(() => candidate.take(async () => visit === undefined), 2 * PATIENCE);
      host = await Promise.race([answered, failure.then((error) => Promise.reject(error))]).finally(rest);
      const channel = namedChannel(roomOf(lobbyOf(key), name, host), "page");
      channel.failed = failure;
      return channel;
    },
    async leave() {
      rest();
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
  /** Ends the waiting for a turn: while the page is frozen, and when it has left. */
  #waiting;
  #hasLeft = false;
  #listening = new AbortController();

  constructor(key, url, failed) {
    this.#key = key;
    this.#url = url;
    this.#failed = failed;
    const { signal } = this.#listening;
    // A page that sleeps runs nothing. What its worker has begun ends at once: in the middle of a transaction it would keep everyone from the
    // database as long as it sleeps. Who waits for it asks the next host.
    const [yields, waits] = [() => this.#yield(), () => this.#wait()];
    document.addEventListener("freeze", yields, { signal });
    document.addEventListener("resume", waits, { signal });
    addEventListener("pagehide", yields, { signal });
    addEventListener("pageshow", waits, { signal });
    this.#wait();
  }

  get runs() {
    return this.#worker !== undefined;
  }

  /** Takes its turn when it comes. Robbed of it, it waits for the next one. */
  async #wait() {
    if (this.#hasLeft || this.#waiting?.signal.aborted === false) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    const { signal } = waiting;
    while (!signal.aborted) {
      await navigator.locks.request(ownerOf(this.#key), { signal }, () => signal.aborted || this.#run(false)).catch(() => this.#stop());
    }
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

  #start(takes) {
    const worker = new Worker(this.#url, { name: "osier" });
    this.#worker = worker;
    worker.onerror = () => this.#failed();
    // The module has trapped: a new one starts.
    worker.onmessage = ({ data }) => {
      if (data.type !== "fatal" || this.#worker !== worker) return;
      worker.terminate();
      this.#start(false);
    };
    worker.postMessage({ type: "run", lobby: lobbyOf(this.#key), takes });
  }

  #stop() {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #yield() {
    this.#waiting.abort();
    this.#stop();
    this.#release();
  }

  /** Nothing is wanted any more: what runs here ends well, and the turn goes to another. */
  async leave() {
    this.#hasLeft = true;
    this.#listening.abort();
    const worker = this.#worker;
    if (worker !== undefined) {
      const stopped = new Promise((resolve) => (worker.onmessage = resolve));
      worker.postMessage({ type: "stop" });
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, STOPPING))]);
    }
    this.#yield();
  }
}
