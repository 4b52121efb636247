import { following, live, ready } from "./live.js";

/** The peers of a node: read again when one of them changes its state. */
export function livePeers(node) {
  return live(async (tell, signal) => {
    const events = node.watchPeers(signal);
    do tell(async () => ready(await node.peers()));
    while ((await following(events, signal)) !== undefined);
  });
}

/** The state of a node. */
export function liveStatus(node) {
  return live(async (tell, signal) => {
    const states = node.watchStatus(signal);
    for (let status; (status = await following(states, signal)) !== undefined; ) {
      const value = status;
      tell(() => ready(value));
    }
  });
}

const NOTHING = Object.freeze({ sent: 0, received: 0, entriesSent: 0, entriesReceived: 0 });

/** The state of an intent that has not begun. */
export const IDLE = Object.freeze({ status: "idle", progress: NOTHING });

/** An intent with a peer, live unless told otherwise: it begins with the first who listens, and is closed when nobody does any more. */
export function liveSync(node, peer, init) {
  return live(async (tell, signal) => {
    let state = { status: "connecting", progress: NOTHING };
    const intent = node.sync(peer, { mode: "live", ...init });
    signal.addEventListener("abort", () => intent.close().catch(() => {}), { once: true });
    for await (const event of intent) {
      state = { ...after(event, state), progress: event.type === "progress" ? progressOf(event) : state.progress };
      const now = state;
      tell(() => now);
    }
  }, { first: IDLE });
}

function after(event, state) {
  switch (event.type) {
    case "connecting":
      return { status: "connecting" };
    case "established":
      return { status: "syncing" };
    case "reconciledAll":
    case "nothingInCommon":
      return { status: "synced" };
    case "reconnecting":
      return { status: "waiting", cause: event.cause, retry: event.retry, attempt: event.attempt };
    case "ended":
      return { status: "ended", completion: event.completion };
    case "error":
      return { status: "error", error: event.error };
    default:
      return state;
  }
}

const progressOf = ({ sent, received, entriesSent, entriesReceived }) => ({ sent, received, entriesSent, entriesReceived });
