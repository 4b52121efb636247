import { invalid } from "./error.js";
import { split } from "./options.js";

/** A user's accept handler as the module calls it: resolves to null, or to `{ init, signal? }` where aborting the signal takes the yes back. */
export function acceptHandler(accept) {
  if (accept === undefined || accept === null) return undefined;
  if (typeof accept !== "function") throw invalid("accept", "expected a function");
  return async (peer, forgotten) => {
    const answer = await accept(peer, forgotten);
    if (answer === null || answer === undefined) return null;
    const [{ signal }, init] = split(answer, "init", "signal");
    return signal?.aborted ? null : { init, signal };
  };
}
