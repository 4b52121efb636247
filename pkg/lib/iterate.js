import { WillowError, answered } from "./error.js";

/**
 * An async iterator over a stream of the node: an object with `next(): Promise<item | undefined>` and `close()`. `open` makes the
 * stream at once, so that nothing is missed between the call and the first `next()`; what it throws, the first `next()` rejects with.
 * Leaving the loop, `return()` and the signal close the stream, and nothing else.
 */
export class Iteration {
  #stream;
  #signal;
  #onAbort = () => this.#finish();
  #last = Promise.resolve();
  #ended = false;

  constructor(open) {
    const { stream, signal } = opened(open);
    this.#stream = stream;
    this.#signal = signal;
    if (signal?.aborted) this.#finish();
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
    try {
      const item = this.#ended ? undefined : await answered(this.#stream.next());
      if (item !== undefined && !this.#ended) return { done: false, value: item };
    } catch (thrown) {
      this.#finish();
      throw WillowError.from(thrown);
    }
    this.#finish();
    return { done: true, value: undefined };
  }

  #finish() {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#stream.close();
  }
}

function opened(open) {
  try {
    return open();
  } catch (thrown) {
    return { stream: { next: () => Promise.reject(thrown), close() {} } };
  }
}

/** A stream whose items are converted. */
export function mapped(stream, convert) {
  return {
    next: async () => {
      const item = await stream.next();
      return item === undefined ? undefined : convert(item);
    },
    close: () => stream.close(),
  };
}

/** The items of several streams as they come, as one stream: a busy one does not hold back the others. */
export function merged(streams) {
  const idle = new Set(streams);
  const ready = [];
  let open = streams.length;
  let wake = () => {};
  const ask = (stream) => {
    const answer = (result) => {
      ready.push({ stream, ...result });
      wake();
    };
    stream.next().then((item) => answer({ item }), (thrown) => answer({ thrown }));
  };
  return {
    next: async () => {
      while (open > 0) {
        idle.forEach(ask);
        idle.clear();
        if (ready.length === 0) await new Promise((resolve) => (wake = resolve));
        const { stream, item, thrown } = ready.shift();
        if (item === undefined) open -= 1;
        if (thrown !== undefined) throw thrown;
        if (item !== undefined) {
          idle.add(stream);
          return item;
        }
      }
      return undefined;
    },
    close: () => streams.forEach((stream) => stream.close()),
  };
}

/** The events of an intent or an accepted session, their errors as WillowErrors. */
export function sessionEvents(raw) {
  const convert = (event) => {
    if (event.error !== undefined) event.error = WillowError.from(event.error);
    if (event.cause !== undefined) event.cause = WillowError.from(event.cause);
    return event;
  };
  return new Iteration(() => ({ stream: mapped(raw.events(), convert) }));
}
