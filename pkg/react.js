// The package's entry for React: hooks over the live states that `osier` exports. Plain functions, no JSX; importing it has no side effect.
import { createContext, createElement, useContext, useMemo, useSyncExternalStore } from "react";
import { WillowError, WillowNode, liveEntries, liveEntry, livePayload, livePeers, liveStatus, liveSync } from "./index.js";
import { IDLE } from "./lib/live-node.js";
import { LOADING, live, ready } from "./lib/live.js";

const NodeState = createContext(undefined);

/** Gives a node to the hooks below it: `node`, or one that it opens with `options` when it is mounted and shuts down when it is unmounted. */
export function OsierProvider({ node, options, fallback, children }) {
  const state = useStore(useMemo(() => (node === undefined ? opened(options) : unchanging(ready(node))), [node]), LOADING);
  const shown = fallback === undefined || state.status === "ready" ? children : fallback;
  return createElement(NodeState.Provider, { value: state }, typeof shown === "function" ? shown(state) : shown);
}

/** The node above, as a state: loading, ready or error. */
export function useNode() {
  const state = useContext(NodeState);
  if (state === undefined) throw new WillowError("invalidArgument", "there is no OsierProvider above");
  return state;
}

export function useEntries(namespace, area, options) {
  return useLive((node) => liveEntries(node, namespace, area, options), namespace !== undefined, [namespace, area, options]);
}

export function useEntry(namespace, user, path) {
  const isKnown = namespace !== undefined && user !== undefined && path !== undefined;
  return useLive((node) => liveEntry(node, namespace, user, path), isKnown, [namespace, user, path]);
}

export function usePayload(entry, options) {
  const { namespace, user, path, timestamp, digest } = entry ?? {};
  return useLive((node) => livePayload(node, entry, options), entry !== undefined, [namespace, user, path, timestamp, digest, options]);
}

export function usePeers() {
  return useLive(livePeers, true, []);
}

export function useStatus() {
  return useLive(liveStatus, true, []);
}

export function useSync(peer, init) {
  return useLive((node) => liveSync(node, peer, init), peer !== undefined, [peer, init], IDLE);
}

/** A node that is open while somebody looks at it. */
function opened(options) {
  return live(async (tell, signal) => {
    const node = await WillowNode.open({ ...options, signal });
    tell(() => ready(node));
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await node.shutdown();
  });
}

/** Follows what `make` gives for the node above: the same as long as the names of the arguments are. `idle` until all of them are known. */
function useLive(make, isKnown, args, idle = LOADING) {
  const state = useNode();
  const store = useMemo(() => {
    if (state.status === "error") return unchanging({ ...idle, ...state });
    return state.status === "ready" && isKnown ? make(state.value) : unchanging(idle);
  }, [state, isKnown, nameOf(args)]);
  return useStore(store, idle);
}

const useStore = ({ subscribe, getSnapshot }, first) => useSyncExternalStore(subscribe, getSnapshot, () => first);

const unchanging = (state) => ({ subscribe: () => () => {}, getSnapshot: () => state });

/** Arguments as text: those that are written anew in each render have the same one. */
const nameOf = (args) => JSON.stringify(args, (_, value) => (typeof value === "bigint" || typeof value === "number" ? `${typeof value} ${value}` : value));
