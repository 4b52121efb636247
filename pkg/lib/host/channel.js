/** A way for messages to one other place: `post(message, transfer)`, `listen(function)`, `close()`. */

/** Through a port, which hands buffers over. */
export function portChannel(port) {
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer),
    listen(hear) {
      port.onmessage = ({ data }) => hear(data);
      port.start?.();
    },
    close() {
      port.onmessage = null;
      port.close();
    },
  };
}

/** Through a named channel that two places of one origin open, each under its name. What is sent is copied. */
export function namedChannel(name, side) {
  const channel = new BroadcastChannel(name);
  return {
    post: (message) => channel.postMessage({ from: side, message }),
    listen(hear) {
      channel.onmessage = ({ data: { from, message } }) => from !== side && hear(message);
    },
    close: () => channel.close(),
  };
}
