import { WillowError } from "./error.js";

/**
 * An async iterator over a stream of the node. `open` makes the stream (an object with `next(): Promise<item | undefined>`
 * and `close()`) when the first item is asked for; leaving the loop, `return()` and the signal close it.
 */
export class Iteration {
  #open;
  #stream;
  #signal;
  #onAbort = () => this.#finish();
  #last = Promise.resolve();
  #ended = false;

  constructor(open, signal) {
    this.#open = open;
    this.#signal = signal;
    if (signal?.aborted) this.#ended = true;
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** The next item. Calls that overlap are answered in their order. */
  next() {
    const turn = this.#last.then(() => this.#take());
    this.#last = turn.catch(() => {});
    return turn;
  }

  async return(value) {
    this.#finish();
    return { done: true, value };
  }

  async #take() {
    if (this.#ended) return { done: true, value: undefined };
    try {
      this.#stream ??= await this.#open();
      const item = this.#ended ? undefined : await this.#stream.next();
      if (item !== undefined && !this.#ended) return { done: false, value: item };
    } catch (thrown) {
      this.#finish();
      throw WillowError.from(thrown);
    }
    this.#finish();
    return { done: true, value: undefined };
  }

  #finish() {
    if (!this.#ended) {
      this.#ended = true;
      this.#signal?.removeEventListener("abort", this.#onAbort);
    }
    this.#stream?.close();
  }
}

/** The events of an intent or an accepted session, their errors as WillowErrors. */
export function sessionEvents(raw) {
  return new Iteration(() => {
    const stream = raw.events();
    return {
      next: async () => {
        const event = await stream.next();
        if (event?.error !== undefined) event.error = WillowError.from(event.error);
        if (event?.cause !== undefined) event.cause = WillowError.from(event.cause);
        return event;
      },
      close: () => stream.close(),
    };
  });
}
