/**
 * A way for messages to one other place: `post(message, transfer)`, `listen(function)`, `close()`. What is posted in one breath travels, and
 * is heard, together.
 */

function channel(send, on, close) {
  let [waiting, transfers, isClosed] = [[], [], false];
  const flush = () => {
    if (isClosed || waiting.length === 0) return;
    const [messages, transfer] = [waiting, transfers];
    [waiting, transfers] = [[], []];
    send(messages, transfer);
  };
  return {
    post(message, transfer = []) {
      if (isClosed) return;
      if (waiting.length === 0) queueMicrotask(flush);
      waiting.push(message);
      transfers.push(...transfer);
    },
    listen: (hear) => on((messages) => messages.forEach((message) => hear(message))),
    /** What was posted before still goes out; nothing goes out, or comes in, any more. */
    close() {
      flush();
      isClosed = true;
      close();
    },
  };
}

/** Through a port, which hands buffers over. */
export function portChannel(port) {
  const on = (hear) => {
    port.onmessage = ({ data }) => hear(data);
    port.start?.();
  };
  const close = () => {
    port.onmessage = null;
    port.close();
  };
  return channel((messages, transfer) => port.postMessage(messages, transfer), on, close);
}

/** Through a named channel that two places of one origin open, each under its name. What is sent is copied. */
export function namedChannel(name, side) {
  const named = new BroadcastChannel(name);
  const on = (hear) => {
    named.onmessage = ({ data: { from, messages } }) => from !== side && hear(messages);
  };
  return channel((messages) => named.postMessage({ from: side, messages }), on, () => named.close());
}
