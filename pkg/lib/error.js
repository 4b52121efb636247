/** Every code there is, as in index.d.ts; the last one comes from the package itself, the others from the module. */
const CODES = new Set([
  "invalidArgument", "invalidTicket", "ticketForAnotherUser", "obsolete", "notAuthorised", "noSuchUser", "noSuchNamespace", "noSuchEntry",
  "payloadMissing", "payloadUnreadable", "invalidSignature", "invalidDrop", "timestampTooFarAhead", "selfPeer", "dialFailed", "timeout", "refused",
  "unsupportedVersion", "protocolViolation", "duplicate", "limitExceeded", "identityInUse", "transport", "closed", "aborted",
  "shuttingDown", "quotaExceeded", "storageLost", "storageVersion", "storageUnavailable", "alreadyOpen", "storage", "hostFailed", "fatal", "internal", "wasmLoadFailed",
]);

/** The one error class of the package. `code` is stable and part of the contract; the message is for people. */
export class WillowError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "WillowError";
    this.code = code;
    if (details.argument !== undefined) this.argument = details.argument;
    if (details.peer !== undefined) this.peer = details.peer;
    if (details.detail !== undefined) this.detail = details.detail;
  }

  /** Plain data that survives `postMessage` and JSON; `WillowError.from` is the way back. */
  toJSON() {
    const { name, code, message, argument, peer, detail } = this;
    return { name, code, message, argument, peer, detail };
  }

  /** A WillowError from plain data, from another WillowError or from anything that was thrown: `internal` if it is unknown. */
  static from(thrown) {
    if (thrown instanceof WillowError) return thrown;
    if (CODES.has(thrown?.code)) return new WillowError(thrown.code, String(thrown.message), thrown);
    if (typeof WebAssembly === "object" && thrown instanceof WebAssembly.RuntimeError) return trap(thrown.message);
    return new WillowError("internal", thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** An `invalidArgument` error that names the argument. */
export function invalid(argument, message) {
  return new WillowError("invalidArgument", `${argument}: ${message}`, { argument });
}

/** What everyone is told once a node is shutting down. */
export const shuttingDown = () => new WillowError("shuttingDown", "the node is shutting down");

/** What every call is told once the module has trapped: it does not answer any more. */
let fatal;
/** How to reject the calls that wait for the module. */
const waiting = new Set();

/** Who else is told. */
let told = () => {};

/** Has `tell` called with the message when the module traps. */
export function onTrap(tell) {
  told = tell;
}

/** The module has trapped: whoever waits for it, and whoever calls it from now on, is told so. */
export function trapped(message) {
  if (fatal !== undefined) return;
  fatal = trap(message);
  for (const reject of waiting) reject(fatal);
  waiting.clear();
  told(message);
}

function trap(message) {
  return new WillowError("fatal", `the WebAssembly module trapped (${message}); reload the page`);
}

/** `promise`, a promise of the module, or `fatal` if the module traps before it settles. */
export function answered(promise) {
  return new Promise((resolve, reject) => {
    if (fatal !== undefined) return reject(fatal);
    waiting.add(reject);
    const settle = (how) => (outcome) => {
      waiting.delete(reject);
      how(outcome);
    };
    Promise.resolve(promise).then(settle(resolve), settle(reject));
  });
}

/** Awaits what `run` returns; whatever goes wrong in it comes out as a WillowError. */
export async function guarded(run) {
  if (fatal !== undefined) throw fatal;
  try {
    return await answered(run());
  } catch (thrown) {
    throw WillowError.from(thrown);
  }
}
