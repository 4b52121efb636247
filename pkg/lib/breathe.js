/** For how long promises may follow promises before timers, events and frames get a turn, in milliseconds. */
const LONGEST = 12;

let since = -Infinity;
let waiting = [];
let channel;

/**
 * Resolves at once, or after a turn of the event loop if there was none for a while: a loop of awaited calls that are answered from memory
 * would keep everything else of a page from running.
 */
export function breathe() {
  const now = performance.now();
  if (now - since < LONGEST) return undefined;
  channel ??= connect();
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) channel.postMessage(undefined);
  });
}

function connect() {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    since = performance.now();
    const woken = waiting;
    waiting = [];
    for (const resolve of woken) resolve();
  };
  // A program in Node ends although the channel is open.
  port1.unref?.();
  return port2;
}
