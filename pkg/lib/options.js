import { checkSignal } from "./abort.js";
import { invalid } from "./error.js";

/** Splits what JavaScript alone understands (signals, callbacks, the module's source) from what the module is given. */
export function split(options, argument, ...names) {
  if (options === undefined) return [{}, {}];
  if (options === null || typeof options !== "object") throw invalid(argument, "expected an object");
  const rest = { ...options };
  const own = {};
  for (const name of names) {
    if (rest[name] !== undefined) own[name] = rest[name];
    delete rest[name];
  }
  for (const name of Object.keys(rest)) if (rest[name] === undefined) delete rest[name];
  own.signal = checkSignal(own.signal);
  return [own, rest];
}
