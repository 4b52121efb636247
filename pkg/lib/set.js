import { WillowError, guarded } from "./error.js";
import { Iteration, merged } from "./iterate.js";

/** Several intents as one: what `WillowNode.syncAll` returns. Each settles by itself. */
export function intentSet(intents) {
  const each = (act) => guarded(async () => {
    const results = await Promise.allSettled(intents.map(act));
    for (const { reason } of results) if (reason !== undefined) throw reason;
  });
  return {
    intents,
    completed: Promise.all(intents.map(outcome)),
    addInterests: (interests) => each((intent) => intent.addInterests(interests)),
    close: () => each((intent) => intent.close()),
    [Symbol.asyncIterator]: () => new Iteration(() => ({ stream: merged(intents.map(tagged)) })),
  };
}

function outcome({ peer, completed }) {
  return completed.then((completion) => ({ peer, completion }), (thrown) => ({ peer, error: WillowError.from(thrown) }));
}

/** The events of an intent, each with its peer. */
function tagged(intent) {
  const events = intent[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { done, value } = await events.next();
      return done ? undefined : { peer: intent.peer, ...value };
    },
    close: () => events.return(),
  };
}
