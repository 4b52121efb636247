import { WillowError, invalid } from "./error.js";

/** Checks that `signal` is an AbortSignal or absent. */
export function checkSignal(signal) {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal !== "object" || typeof signal.aborted !== "boolean" || typeof signal.addEventListener !== "function") {
    throw invalid("signal", "expected an AbortSignal");
  }
  return signal;
}

function abortError(signal) {
  const why = signal.reason instanceof Error ? signal.reason.message : "the signal was aborted";
  return new WillowError("aborted", why);
}

/** `promise`, or a rejection with the code `aborted` as soon as `signal` aborts; `onAbort` then lets go of the work. */
export function abortable(signal, promise, onAbort = () => {}) {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => {
      onAbort();
      reject(abortError(signal));
    };
    if (signal.aborted) {
      promise.catch(() => {});
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Throws `aborted` if the signal has aborted already. */
export function throwIfAborted(signal) {
  if (signal?.aborted) throw abortError(signal);
}
