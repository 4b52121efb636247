import { WillowError, shuttingDown } from "./error.js";

/** Listeners are told at most once in so many milliseconds: a frame. */
const FRAME = 16;

/** The state before anything is known. */
export const LOADING = Object.freeze({ status: "loading" });

/** A state with a value. */
export const ready = (value) => ({ status: "ready", value });

/**
 * What frameworks follow: `{ subscribe, getSnapshot }`. While somebody listens, `follow(tell, signal)` runs: it goes on until the signal aborts,
 * and calls `tell(make)` for each change. `make` gives the snapshot, or a promise of it, and is called once for all changes of a frame. What
 * `follow` or `make` throws is the state "error", beside the last value. No run
 * begins before the one before has ended, nor at once: who leaves and is back (React's StrictMode) has begun nothing twice. What is not `lasting` is forgotten when nobody listens any more.
 */
export function live(follow, { first = LOADING, lasting = false } = {}) {
  const listeners = new Set();
  let snapshot = first;
  let stop;
  let last = Promise.resolve();
  const publish = (make) => {
    const made = make(snapshot);
    if (made === snapshot) return;
    snapshot = made;
    for (const listener of [...listeners]) listener();
  };
  const attend = () => {
    if (listeners.size > 0 && stop === undefined) {
      stop = new AbortController();
      const { signal } = stop;
      last = last.then(() => run(follow, publish, signal));
    } else if (listeners.size === 0 && stop !== undefined) {
      stop.abort();
      stop = undefined;
      if (!lasting) snapshot = first;
    }
  };
  return {
    getSnapshot: () => snapshot,
    subscribe(listener) {
      const own = () => listener();
      listeners.add(own);
      attend();
      return () => {
        listeners.delete(own);
        attend();
      };
    },
  };
}

/** What `make` gives, or what it throws. */
async function outcome(make) {
  try {
    return [await make()];
  } catch (thrown) {
    return [undefined, thrown];
  }
}

async function run(follow, publish, signal) {
  let pending;
  let waits = false;
  let told = -Infinity;
  const fail = (thrown) => signal.aborted || publish((snapshot) => ({ ...snapshot, status: "error", error: WillowError.from(thrown) }));
  const flush = async () => {
    const make = pending;
    pending = undefined;
    const [made, thrown] = await outcome(make);
    told = performance.now();
    waits = false;
    if (pending !== undefined) schedule();
    if (thrown !== undefined) fail(thrown);
    else if (!signal.aborted) publish(() => made);
  };
  const schedule = () => {
    if (waits) return;
    waits = true;
    setTimeout(flush, Math.max(0, told + FRAME - performance.now()));
  };
  const tell = (make) => {
    pending = make;
    schedule();
  };
  try {
    if (!signal.aborted) await follow(tell, signal);
  } catch (thrown) {
    pending = undefined;
    fail(thrown);
  }
}

/** Resolves after a frame. */
export const frame = () => new Promise((resolve) => setTimeout(resolve, FRAME));

/** What a stream of the node gives next; undefined once the signal has aborted. It has no other end but that of the node. */
export function following(stream, signal) {
  const next = stream.next().then(({ done, value }) => {
    if (done && !signal.aborted) throw shuttingDown();
    return done ? undefined : value;
  });
  next.catch(() => {}); // it is looked at when its turn comes
  return next;
}
