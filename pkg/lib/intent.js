import { WillowError, answered, guarded } from "./error.js";
import { sessionEvents } from "./iterate.js";

/** A wish to sync with a peer. It ends by completion, `close()`, its signal, or the node's shutdown; never by garbage collection. */
export class Intent {
  #raw;
  #completed;
  #peer;

  /** Made by `WillowNode.sync`. */
  constructor(raw, signal) {
    this.#raw = raw;
    this.#peer = raw.peer;
    this.#completed = answered(raw.completed()).catch((thrown) => {
      throw WillowError.from(thrown);
    });
    this.#completed.catch(() => {}); // a caller who does not look at `completed` gets no unhandled rejection
    if (signal !== undefined) this.#closeOn(signal);
  }

  /** Endpoint id of the peer, hex. */
  get peer() {
    return this.#peer;
  }

  /** Settles exactly once: with a Completion, or rejects with a WillowError. */
  get completed() {
    return this.#completed;
  }

  /** Adds interests; resolves when the session knows of them, or will. What is wrong with them does not end the intent. */
  addInterests(interests) {
    return guarded(() => this.#raw.addInterests(interests));
  }

  /** Closes the intent; resolves when it has settled. Idempotent. */
  close() {
    return guarded(async () => {
      this.#raw.close();
      await this.#completed.catch(() => {});
    });
  }

  /** Each iterator begins with what is true now and sees all later events; leaving it ends that iteration only. */
  [Symbol.asyncIterator]() {
    return sessionEvents(this.#raw);
  }

  #closeOn(signal) {
    const abort = () => this.#raw.close();
    if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort, { once: true });
      this.#completed.catch(() => {}).finally(() => signal.removeEventListener("abort", abort));
    }
  }
}

/** Stands in for the module's intent when the arguments were refused: it has failed, and says so in each way. */
export function failedIntent(peer, error) {
  return {
    peer: typeof peer === "string" ? peer : String(peer?.id),
    completed: () => Promise.reject(error),
    addInterests: () => Promise.reject(new WillowError("closed", "the intent has failed")),
    close() {},
    events() {
      const items = [{ type: "error", error }];
      return { next: async () => items.shift(), close() {} };
    },
  };
}
