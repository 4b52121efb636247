import { WillowError } from "../error.js";
import { portChannel } from "./channel.js";

/** Gives channels to the shared worker of this origin, which is there as long as any of its pages. */
export function sharedWorker(url) {
  return {
    async connect() {
      const worker = new SharedWorker(url, { name: "osier" });
      const channel = portChannel(worker.port);
      channel.failed = new Promise((resolve) => (worker.onerror = () => resolve(notStarted(url))));
      return channel;
    },
    leave() {},
  };
}

export function notStarted(url) {
  return new WillowError("hostFailed", `the worker at ${url} could not be started: is the file there, and does the page's policy allow it?`);
}
