/**
 * Osier for React (18 and later): a provider of a node, and hooks over what changes.
 *
 * Each hook returns a state that says whether it is loading, ready or in error; none throws but for a missing `OsierProvider`. Arguments may be
 * written anew in each render: they are compared by their contents. An argument that is `undefined` is not known yet: the state is loading then.
 * On the server, and before the node is open, every state is loading (of `useSync`: idle).
 */
import type { ReactElement, ReactNode } from "react";
import type {
  AreaLike, EntriesOptions, Entry, EntryKey, LiveState, NamespaceId, NodeStatus, OpenOptions, PathLike, PeerAddress, PeerId, PeerInfo, SessionInit, SyncState,
  UserId, WillowNode,
} from "./index.js";

/** The node of a provider. */
export type NodeState = LiveState<WillowNode>;

export interface OsierProviderProps {
  /** A node that exists; whoever opened it shuts it down. */
  node?: WillowNode;
  /** How to open a node when the provider is mounted, unless there is one. It is shut down on unmounting. Read once: another `key` opens another. */
  options?: Omit<OpenOptions, "signal">;
  /** What to show until the node is open, or if it cannot be opened; without it the children are shown and see the state. */
  fallback?: ReactNode | ((state: NodeState) => ReactNode);
  children?: ReactNode;
}

/** Gives a node to the hooks below it. */
export function OsierProvider(props: OsierProviderProps): ReactElement;
/** The node above. Throws `invalidArgument` if there is no provider. */
export function useNode(): NodeState;
/** The entries of an area, live. */
export function useEntries(namespace: NamespaceId | undefined, area?: AreaLike, options?: EntriesOptions): LiveState<readonly Entry[]>;
/** The entry of a place, live; undefined while there is none. */
export function useEntry(namespace: NamespaceId | undefined, user: UserId | undefined, path: PathLike | undefined): LiveState<Entry | undefined>;
/** The payload of an entry of `useEntry` or `useEntries`, loading until all of it is here. */
export function usePayload(entry: Entry | EntryKey | undefined, options: { as: "text" }): LiveState<string>;
export function usePayload(entry: Entry | EntryKey | undefined, options?: { as?: "bytes" }): LiveState<Uint8Array>;
/** The peers of the node, again after each change of a peer's state. */
export function usePeers(): LiveState<readonly PeerInfo[]>;
/** The state of the node: its relay, its storage. */
export function useStatus(): LiveState<NodeStatus>;
/** An intent, live unless `mode` says otherwise: it begins on mounting and is closed on unmounting. */
export function useSync(peer: PeerAddress | PeerId | undefined, init?: Omit<SessionInit, "signal">): SyncState;
