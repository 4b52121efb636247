import { sessionEvents } from "./iterate.js";

/** A session that a peer opened and this node accepted: who, and its events. */
export class IncomingSession {
  #raw;
  #peer;

  /** Made by `WillowNode.incoming`. */
  constructor(raw) {
    this.#raw = raw;
    this.#peer = raw.peer;
  }

  /** Endpoint id of the peer, hex. */
  get peer() {
    return this.#peer;
  }

  /** Each iterator begins with what is true now and sees all later events, the last one `ended` or `error`. */
  [Symbol.asyncIterator]() {
    return sessionEvents(this.#raw);
  }
}
