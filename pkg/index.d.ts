/**
 * Osier: a Willow node for the browser.
 *
 * Identifiers are lowercase hex strings, timestamps `bigint` microseconds (see `dateFromTimestamp`),
 * lengths and offsets `number` of bytes, durations `number` of milliseconds. Every rejection is a `WillowError`.
 */
/// <reference lib="esnext.disposable" />

/** A user's public key (Willow: subspace id), 64 hex digits. */
export type UserId = string;
/** A space's public key, 64 hex digits. */
export type NamespaceId = string;
/** A node's endpoint id, 64 hex digits. */
export type PeerId = string;
/** Microseconds since 2000-01-02T11:59:28Z, without leap seconds; see `timestampFromDate`. */
export type Timestamp = bigint;
/** Components of a path: text (stored as UTF-8) or bytes; at most 4096 components and 4096 bytes in total. */
export type PathLike = readonly (string | Uint8Array)[];

/** How to reach a peer. */
export interface PeerAddress {
  id: PeerId;
  /** URLs of relays where the peer listens. */
  relays: string[];
}

/** Where in a space: of one user or all, below a path, within times. Omitted fields do not narrow. */
export interface AreaLike {
  user?: UserId;
  path?: PathLike;
  /** First timestamp, inclusive. */
  from?: Timestamp | Date;
  /** Last timestamp, exclusive. */
  to?: Timestamp | Date;
}

/** The area of a capability or an event. `user: null` means every user; `to: null` means without end. */
export interface Area {
  user: UserId | null;
  path: (string | Uint8Array)[];
  from: Timestamp;
  to: Timestamp | null;
}

/** One entry. Components of `path` that are valid UTF-8 are strings. */
export interface Entry {
  namespace: NamespaceId;
  user: UserId;
  path: (string | Uint8Array)[];
  timestamp: Timestamp;
  /** Length of the payload, in bytes. */
  length: number;
  /** WILLIAM3 digest of the payload, hex. */
  digest: string;
  /** How many bytes of the payload are here, from its start. */
  available: number;
}

/** What names an entry. */
export type EntryKey = Pick<Entry, "namespace" | "user" | "path">;

export interface OpenOptions {
  /** Relay URLs (`https://…`, or `http://127.0.0.1:PORT` for development). Without a relay no peer can be reached. */
  relays?: string[];
  /**
   * Where data is kept: in IndexedDB under this name (default `{ indexedDb: "osier" }`), or in memory, as long as the node lives. Where there
   * is no IndexedDB, as in some private windows, `open` rejects with `storageUnavailable`; memory has to be asked for.
   */
  storage?: "memory" | { indexedDb: string };
  /**
   * What to do when another tab has the database open, or a node with this `secretKey`: wait until it lets go, 15 s at most (the default), give
   * up at once, both with `alreadyOpen`, or take it: whoever had the database can write no more and sees `storageLost`, whoever had the key is
   * shut down.
   */
  lock?: "wait" | "fail" | "steal";
  /** The endpoint's secret key, 32 bytes; default: made once and kept in the storage. `"ephemeral"`: made for this node and forgotten with it. */
  secretKey?: Uint8Array | "ephemeral";
  /**
   * Where the node runs. `"shared"`: in a shared worker, one node for all pages of the origin that name the same database; `"worker"`: in a
   * dedicated worker of one of those pages, the next of which goes on when that closes or freezes; `"page"`: here, where nobody else may have the
   * database open. `"auto"`, the default, is the first of them that works here; in memory, in workers and in Node it is `"page"`. Pages that share
   * a node have the options of whoever opened it, and their own `accept`: a yes of any is a yes. It shuts down with the last of them.
   */
  host?: "auto" | "shared" | "worker" | "page";
  /** Where the script for workers is, `osier/worker`; default: beside the package's script. It must be of this origin. */
  worker?: URL | string;
  /**
   * Where the WebAssembly module comes from, which all nodes here share: what is given when it is loaded counts. By default `osier` takes the
   * file beside it, `osier/inline` the copy inside, `osier/slim` what one of the two would take if the app imports it, too. A load that failed
   * (`wasmLoadFailed`) is tried again by the next `open`.
   */
  wasm?: WebAssembly.Module | BufferSource | Response | URL | string;
  /**
   * Who may connect: called with the id of each peer that does, and not again when that peer merely replaces a lost connection. Without it
   * everyone may, with interest in everything held here, as long as they stay. Return what this node is interested in (the default
   * `mode` here is `"live"`: as long as the peer stays; `reconnect` has no effect; aborting the `signal` takes the yes back), or null to refuse:
   * the peer then sees the code `refused`. Whoever throws, rejects or returns something else refuses, too. After 5 s without an answer the peer is
   * turned away and may try again. `signal` aborts when nobody waits for the answer any more. A peer that an intent of this node waits
   * for is connected whatever the answer.
   */
  accept?: (peer: PeerId, signal: AbortSignal) => Promise<SessionInit | null> | SessionInit | null;
  /** When to dial again, for intents that do not say otherwise. */
  reconnect?: ReconnectPolicy;
  limits?: Limits;
  /** Called as stored entries are read: so many of all that there are. The last call has both numbers equal, unless rows were damaged. */
  onProgress?: (progress: { entries: number; total: number }) => void;
  /** Aborting lets go of a node that is being opened. */
  signal?: AbortSignal;
}

/**
 * When to dial again after a dial failed or a connection was lost: exponential backoff. A wait is cut short when the network, the page or
 * the relay is back; a session of a minute makes up for the failures before it. What is lost while the page is hidden waits until it is
 * visible. Failures that a new attempt cannot mend (`refused`, `unsupportedVersion`, `protocolViolation`) end the intent at once.
 */
export interface ReconnectPolicy {
  /** The first wait, in milliseconds, from 1; default 500. */
  firstDelay?: number;
  /** Each wait is this many times the one before, from 1; default 2. */
  factor?: number;
  /** No wait is longer, in milliseconds, from 1; default 30 000. */
  cap?: number;
  /** The part of each wait that is random, 0 to 1; default 0.5. */
  jitter?: number;
  /** How many times in a row to try again; 0: fail at once; default: `Infinity` for live intents, 2 for those that sync once. */
  attempts?: number;
}

/** Bounds on what peers may use of this node. */
export interface Limits {
  /** Incoming connections whose handshake is not finished, default 64. Who is one too many sees the code `limitExceeded`, and may try again later. */
  maxHandshakes?: number;
  /** Those among them that are of one peer, default 4: the oldest gives way and sees `limitExceeded`. */
  maxHandshakesPerPeer?: number;
  /**
   * Peers that are being decided on or have a session when another one connects, default 256. Who is one too many sees `limitExceeded`.
   * Intents of this node are not limited, nor are the peers that they wait for. One peer never has more than one session.
   */
  maxSessions?: number;
  /** Payloads that are fetched from one peer at the same time, default 8, at least 1. The others wait. */
  maxTransfersPerPeer?: number;
  /** How far in the future a timestamp may lie, in milliseconds; default 10 minutes. Later ones are refused, written here or received. */
  maxFuture?: number;
}

export interface SetOptions {
  user: UserId;
  path: PathLike;
  /**
   * Of a stream or Blob nothing is written if it fails, ends early, or (a file) changes meanwhile. It may be of any length: a Blob is read twice,
   * first to hash it; a stream is kept by the browser as a Blob until it has ended. The module holds about 1 MiB of it at a time.
   */
  payload: string | Uint8Array | Blob | ReadableStream<Uint8Array>;
  /** Default: now, or just after the newest of the user's entries at, above or below the path, whichever is later: it replaces all below. */
  timestamp?: Timestamp | Date;
  /** A write that is aborted leaves nothing behind. */
  signal?: AbortSignal;
  /** How far a stream or Blob has been stored, in bytes. */
  onProgress?: (progress: { written: number; total: number }) => void;
}

/** How much of a drop was written. */
export interface ExportProgress {
  entries: number;
  /** Those among them whose payload is not (all) here, and not in the drop. */
  withoutPayload: number;
  /** Bytes of the drop. */
  bytes: number;
}

/** How much of a drop was read. */
export interface ImportProgress {
  inserted: number;
  skipped: number;
  /** Bytes of the drop. */
  bytes: number;
}

export interface NamespaceInfo {
  id: NamespaceId;
  /** In an owned space its owner grants access; in a communal one each user writes in their own part only. */
  kind: "communal" | "owned";
  /** Whether the secret that grants everything is here. */
  hasSecret: boolean;
  /** How many of its entries are here. */
  entries: number;
  /** Bytes of their payloads together, whether those are here or not. */
  payloadBytes: number;
  /** Bytes of their payloads that are here. */
  storedBytes: number;
  /** How much of it is kept here at most; see `setQuota`. */
  quota?: Quota;
}

/** How much of a space is kept; without a number, whatever there is room for. */
export interface Quota {
  entries?: number;
  /** Bytes of payloads that are here. */
  payloadBytes?: number;
}

export type Access = "read" | "write";

export interface CapabilityInfo {
  namespace: NamespaceId;
  access: Access;
  /** Who holds it. */
  user: UserId;
  area: Area;
  /** How often it was handed on. */
  delegations: number;
}

export interface ShareOptions {
  namespace: NamespaceId;
  /** `"write"` includes reading. */
  access: Access;
  /** For this user alone. Without it the ticket is a link: whoever has it can join. */
  to?: UserId;
  /** Whose capability is handed on; default: a user of this node who may. */
  from?: UserId;
  /** Default: all that the giver may hand on. */
  area?: AreaLike;
}

export interface Joined {
  namespace: NamespaceId;
  /** Who holds the capability now. */
  user: UserId;
  access: Access;
  area: Area;
  peers: PeerAddress[];
}

/** Who was given what, by whom. */
export interface Grant {
  access: Access;
  area: Area;
  from: UserId;
  /** The receiver; of a link, the key that the link carries. */
  to: UserId;
  /** Whether it is a link that anyone who has it can use. */
  link: boolean;
}

export interface Interest {
  namespace: NamespaceId;
  /** Default: everything that may be read. */
  area?: AreaLike;
}

export interface SessionInit {
  /** Default `"all"`: everything that this node may read. */
  interests?: "all" | Interest[];
  /** `"once"` (default) ends when both sides have the same; `"live"` goes on until closed. */
  mode?: "live" | "once";
  /** When to dial again; default: as the node was opened. */
  reconnect?: ReconnectPolicy;
  /** Aborting closes the intent. */
  signal?: AbortSignal;
}

export interface Completion {
  /** `complete`: all of the interests were reconciled; `partial`: some; `nothingInCommon`: the peer shares none; `closed`: closed here. */
  outcome: "complete" | "partial" | "nothingInCommon" | "closed";
}

export type SessionEvent =
  | { type: "connecting" }
  | { type: "established"; role: "dialer" | "acceptor" }
  /** The connection, or the attempt at one, failed; the rest as in `reconnecting`, `attempt` being `null` if no other one follows. */
  | { type: "disconnected"; cause: WillowError; retry: number | null; attempt: number | null; limit: number | null }
  /**
   * Another attempt begins in `retry` milliseconds; `null`: not before the network or the page is back. It is the `attempt`-th in a row,
   * of `limit`; `null`: of any number. `cause` is why there is no connection.
   */
  | { type: "reconnecting"; cause: WillowError; retry: number | null; attempt: number; limit: number | null }
  | { type: "overlap"; namespace: NamespaceId; area: Area }
  | { type: "reconciled"; namespace: NamespaceId; area: Area }
  | { type: "reconciledAll" }
  | { type: "nothingInCommon" }
  /** An interest meets one of the peer's in a way that this version does not support. */
  | { type: "unsupported"; namespace: NamespaceId }
  | { type: "progress"; sent: number; received: number; entriesSent: number; entriesReceived: number }
  | { type: "payload"; entry: EntryKey; received: number; total: number }
  | { type: "ended"; completion: Completion }
  | { type: "error"; error: WillowError };

/** How one intent of a set ended. */
export type IntentOutcome =
  | { peer: PeerId; completion: Completion; error?: undefined }
  | { peer: PeerId; error: WillowError; completion?: undefined };

/** Intents with several peers, for the same. Each settles by itself. */
export interface IntentSet extends AsyncIterable<SessionEvent & { peer: PeerId }> {
  /** In the order of the peers. */
  readonly intents: readonly Intent[];
  /** How each of them ended, in the order of the peers, once all have. Never rejects. */
  readonly completed: Promise<IntentOutcome[]>;
  /** Adds interests to all of them; rejects with the first error, after every intent that could take the interests did. */
  addInterests(interests: Interest[]): Promise<void>;
  close(): Promise<void>;
  /** The events of all, as they come. Begins with what is true now; ends when every intent has said `ended` or `error`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<SessionEvent & { peer: PeerId }>;
}

export type Origin = "local" | "peer" | "import";

export type StoreEvent =
  | { type: "inserted"; progress: number; entry: Entry; origin: Origin }
  | { type: "pruned"; progress: number; entry: EntryKey }
  | { type: "payload"; progress: number; entry: EntryKey; available: number; total: number; origin: Origin }
  /** The entries of an area were forgotten here. */
  | { type: "forgotten"; progress: number; area: Area; count: number }
  /** Something before `progress` was missed: read the state again. What follows is complete. */
  | { type: "lagged"; progress: number };

export type PeerState = "connecting" | "establishing" | "active" | "terminating" | "waiting";

export interface PeerInfo {
  id: PeerId;
  state: PeerState;
  /** Who dialed the current connection. */
  role: "dialer" | "acceptor" | null;
  /** Relay that carries the connection. */
  relay: string | null;
  /** Round trip, milliseconds. */
  rtt: number | null;
  bytesSent: number;
  bytesReceived: number;
  /** Intents of this node that concern the peer. */
  intents: number;
  /** When the state was entered, milliseconds of the Unix epoch. */
  since: number;
  /** While `waiting`: milliseconds until the next dial; `null`: not before the network or the page is back. */
  retry: number | null;
}

/** The state of a node as a whole. */
export interface NodeStatus {
  /** The home relay, through which others reach this node. */
  relay: RelayStatus;
  /** Where data is kept. */
  storage: StorageStatus;
  /** In the first status after the module has trapped in a worker, and the node was opened again from what is stored: what the trap was. */
  fatal?: string;
}

export interface StorageStatus {
  /** Whether data lasts longer than the node. */
  durable: boolean;
  /**
   * `full`: the last write found no room (`quotaExceeded`), what was there is there, and writes may be tried again; `readOnly`: nothing can be
   * written; `lost`: it was taken away, every write fails with `storageLost`, and the node can be opened again.
   */
  state: "ok" | "full" | "readOnly" | "lost";
  /** Why it is lost. */
  reason: string | null;
  /** How many entries were removed on opening because what was stored of them was damaged. Peers that have them send them again. */
  damaged: number;
  /**
   * How many entries no other node is known to hold, with the whole of their payloads: the only copies, as far as this node knows. Warn whoever
   * is about to close the page while it is not 0 and `durable` is false. An entry that is written or imported counts until a peer says that it
   * has stored it; one that came from a peer does not count. No promise that the peer has it still, or keeps it. After a restart entries may
   * count that peers hold, until the next reconciliation with one. Changes are told a moment later, many at once.
   */
  unheld: number;
}

export interface RelayStatus {
  /** `none`: the node was opened without a relay; `denied`: the relay refuses this node. Attempts go on in either of the last two. */
  state: "none" | "connected" | "connecting" | "denied";
  url: string | null;
  /** Why it is not connected, for people: what the relay said, or how the last attempt failed. */
  reason: string | null;
}

export interface StorageInfo {
  /** Whether data lasts longer than the node. */
  durable: boolean;
  /** As in `StorageStatus`. */
  state: StorageStatus["state"];
  reason: string | null;
  entries: number;
  /** Bytes of all payloads here. */
  payloadBytes: number;
  /** Bytes that everything of this origin takes, where the browser tells. */
  usage: number | null;
  /** Bytes that it may grow to, where the browser tells. */
  quota: number | null;
  /** Whether the browser has promised not to delete it to make room for others. */
  persisted: boolean;
  /** Entries that were damaged when the node was opened, and were removed so that peers can send them again. */
  damaged: number;
  /**
   * What the browser said, when the node was opened, of earlier data that it has lost: it could not read its database any more, and began
   * with an empty one. Chromium may do so after it was killed, and tells.
   */
  dataLoss: string | null;
}

/** What a page knows of itself and a worker has to be told. Omitted fields say nothing. */
export interface PageState {
  visible?: boolean;
  /** `true`: about to be frozen; `false`: goes on. Then every connection is probed: the other side may have given up. */
  frozen?: boolean;
  /** Whether there is a network. `false` is not believed while the relay is connected. */
  online?: boolean;
}

/** A change in how this node stands with a peer. */
export type PeerEvent =
  /** Was there when the iteration began. */
  | { type: "present"; peer: PeerInfo }
  | { type: "connecting"; id: PeerId }
  | { type: "established"; id: PeerId; role: "dialer" | "acceptor" }
  /** Dials again in `retry` milliseconds; `null`: not before the network or the page is back. */
  | { type: "reconnecting"; id: PeerId; retry: number | null }
  /** Another device seems to use this node's key; `certain`: the peer said so. */
  | { type: "identityInUse"; id: PeerId; certain: boolean }
  /** `code` is the close code of the protocol, where there was one. */
  | { type: "closed"; id: PeerId; code: number | null; reason: string }
  /** Nothing is left to do with the peer. */
  | { type: "gone"; id: PeerId };

export type ErrorCode =
  | "invalidArgument"
  | "invalidTicket"
  | "ticketForAnotherUser"
  | "obsolete"
  | "notAuthorised"
  | "noSuchUser"
  | "noSuchNamespace"
  | "noSuchEntry"
  | "payloadMissing"
  | "payloadUnreadable"
  | "invalidSignature"
  | "invalidDrop"
  | "timestampTooFarAhead"
  | "selfPeer"
  | "dialFailed"
  | "timeout"
  | "refused"
  | "unsupportedVersion"
  | "protocolViolation"
  | "duplicate"
  | "limitExceeded"
  | "identityInUse"
  | "transport"
  | "closed"
  | "aborted"
  | "shuttingDown"
  | "quotaExceeded"
  | "storageLost"
  | "storageVersion"
  | "storageUnavailable"
  | "alreadyOpen"
  | "storage"
  | "wasmLoadFailed"
  /** No worker could be started, or it did not answer. With the host `"auto"` the next kind of host is tried. */
  | "hostFailed"
  /**
   * The WebAssembly module trapped, which is a defect. In a page nothing of it answers until the page is reloaded. In a worker what was asked just
   * then fails, and the node is opened again.
   */
  | "fatal"
  | "internal";

/** The one error class. */
export class WillowError extends Error {
  constructor(code: ErrorCode, message: string, details?: { argument?: string; peer?: PeerId; detail?: string });
  /** Stable. */
  readonly code: ErrorCode;
  /** The argument that was wrong. */
  readonly argument?: string;
  readonly peer?: PeerId;
  /** Of `protocolViolation`: which rule. */
  readonly detail?: string;
  /** Plain data: `postMessage` drops `code` from errors. */
  toJSON(): { name: string; code: ErrorCode; message: string; argument?: string; peer?: PeerId; detail?: string };
  static from(thrown: unknown): WillowError;
}

/** A node: its store, its keys, its connections. After `shutdown` every method rejects with `shuttingDown`. */
export class WillowNode implements AsyncDisposable {
  private constructor();
  /** Opens a node. It does not wait for a relay: see `online`. */
  static open(options?: OpenOptions): Promise<WillowNode>;
  /** Endpoint id, hex. */
  readonly id: PeerId;
  /** Where it runs. */
  readonly host: "shared" | "worker" | "page";
  /** Resolves when a relay has been reached; stays pending while none can be. */
  online(signal?: AbortSignal): Promise<void>;
  /** How others reach this node. */
  address(): PeerAddress;
  peers(): Promise<PeerInfo[]>;
  /** Begins with `present` for each peer there is. */
  watchPeers(signal?: AbortSignal): AsyncIterableIterator<PeerEvent>;
  /** Begins with the state of now; of changes in quick succession only the last is seen. */
  watchStatus(signal?: AbortSignal): AsyncIterableIterator<NodeStatus>;
  /** How much is stored, and where. */
  storage(): Promise<StorageInfo>;
  /**
   * Asks the browser not to delete what is stored here to make room for others. Whether it promises that: it may ask the person, decide by itself,
   * or (in a worker, where it cannot be asked) say no.
   */
  requestPersistence(): Promise<boolean>;
  /**
   * Says what the node cannot see for itself. A node in a page listens to the page's events by itself while it is open (and shuts down when
   * the page goes away for good); one in a worker has to be told by a page. Throws `invalidArgument`, and `shuttingDown` after `shutdown`.
   */
  notify(state: PageState): void;
  /** Closes the connection to the peer and every intent that concerns it. */
  disconnect(peer: PeerId): Promise<void>;

  createUser(): Promise<UserId>;
  users(): Promise<UserId[]>;
  createNamespace(options: { kind: "communal" | "owned"; owner: UserId }): Promise<NamespaceId>;
  namespaces(): Promise<NamespaceInfo[]>;
  /**
   * Limits how much of a space is kept here, whoever it comes from; null ends that. It lasts as long as the storage. What is here stays. Own writes
   * that would exceed it reject with `quotaExceeded`; entries of peers are refused as if they had not come, while sessions go on.
   */
  setQuota(namespace: NamespaceId, quota: Quota | null): Promise<void>;
  capabilities(filter?: { namespace?: NamespaceId; user?: UserId; access?: Access }): Promise<CapabilityInfo[]>;
  /** The secret key of a user or a space, as text: whoever has it can do what they can. */
  exportSecret(id: UserId | NamespaceId): Promise<string>;
  importSecret(secret: string): Promise<UserId | NamespaceId>;

  /** Writes an entry. Rejects with `obsolete` if a newer entry is in its way; nothing is stored unless all of the payload was read. */
  set(namespace: NamespaceId, options: SetOptions): Promise<{ entry: Entry; pruned: number }>;
  /** Takes an authorised entry (Willow's absolute encoding, see `exportEntry`) from elsewhere, without its payload; false if it was not news. */
  ingest(entry: Uint8Array): Promise<boolean>;
  /** An entry with the capability and the signature that prove it: what `ingest` takes, on this or any other node. Rejects with `noSuchEntry`. */
  exportEntry(entry: EntryKey): Promise<Uint8Array>;
  get(namespace: NamespaceId, user: UserId, path: PathLike): Promise<Entry | undefined>;
  /** Entries by user, then path; `"descending"` the other way round. */
  entries(
    namespace: NamespaceId,
    area?: AreaLike,
    options?: { order?: "ascending" | "descending"; limit?: number; signal?: AbortSignal },
  ): AsyncIterableIterator<Entry>;
  /** Bytes of a payload. Rejects with `payloadMissing` if they are not here (see `fetchPayload`). */
  payload(entry: EntryKey, options?: { offset?: number; length?: number; signal?: AbortSignal }): Promise<Uint8Array>;
  /**
   * The same as a stream of pieces of up to 256 KiB, read from storage as they are taken. An error shows when it is read: `payloadMissing` if not
   * all of the range is here, `noSuchEntry` also when the entry is replaced meanwhile; `aborted`.
   */
  payloadStream(entry: EntryKey, options?: { offset?: number; length?: number; signal?: AbortSignal }): ReadableStream<Uint8Array>;
  /** Gets a payload from a connected peer; resolves when all of it is here. */
  fetchPayload(
    entry: EntryKey,
    options?: { peer?: PeerId; signal?: AbortSignal; onProgress?: (progress: { received: number; total: number }) => void },
  ): Promise<void>;
  /**
   * What is in an area, with the payloads that are all here, as a drop: bytes in the Willow drop format, to be kept as a backup or carried by
   * any means. It is made as it is read, never faster, and never held as a whole; what is wrong shows when it is read. `withoutPayload` counts
   * entries whose payload is not (all) here. What is written meanwhile may or may not be in it. A drop is not encrypted.
   */
  exportDrop(namespace: NamespaceId, area?: AreaLike, options?: { onProgress?: (progress: ExportProgress) => void }): ReadableStream<Uint8Array>;
  /**
   * Takes what is in a drop, as from a peer: believed only as far as signatures and digests prove it, joined with what is here. `inserted` counts
   * entries that are new here, `skipped` those that are here already, older than what is here, or too far in the future. Rejects with
   * `invalidDrop` at the first fault, with `payloadUnreadable` if the stream or Blob fails, and with `aborted`; what was read before stays. A node
   * reads one drop at a time, in the order of the calls. It gives no rights: for those see `exportSecret` and `share`.
   */
  importDrop(
    drop: ReadableStream<Uint8Array> | Blob | Uint8Array,
    options?: { signal?: AbortSignal; onProgress?: (progress: ImportProgress) => void },
  ): Promise<{ inserted: number; skipped: number }>;
  /** Removes entries from this node only; they may come back from peers. Returns how many. */
  forget(namespace: NamespaceId, area?: AreaLike): Promise<number>;
  /**
   * Changes from now on, or all that followed `from`: the `progress` of an earlier event, also of an earlier page or run with the same
   * storage; 0 is before everything. Where the history does not reach back so far (it keeps some 16,000 changes), or `from` is of storage
   * that is gone, it begins with `lagged`.
   */
  subscribe(namespace: NamespaceId, area?: AreaLike, options?: { from?: number; signal?: AbortSignal }): AsyncIterableIterator<StoreEvent>;

  /** A ticket: capabilities and this node's address. */
  share(options: ShareOptions): Promise<string>;
  /** Takes what a ticket grants; makes a user where there is none. */
  join(ticket: string, options?: { as?: UserId }): Promise<Joined>;
  grants(namespace: NamespaceId): Promise<Grant[]>;

  /** Starts to sync; the handle exists at once. A string names a peer that was met before or is behind the same relays. */
  sync(peer: PeerAddress | PeerId, init?: SessionInit): Intent;
  /** The same with several peers at once. Throws `invalidArgument` if `peers` is no array; all else shows in the intents. */
  syncAll(peers: readonly (PeerAddress | PeerId)[], init?: SessionInit): IntentSet;
  /** Sessions that peers open; begins with those that run now. */
  incoming(signal?: AbortSignal): AsyncIterableIterator<IncomingSession>;
  /** Ends every session and intent. Idempotent. */
  shutdown(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A wish to sync with a peer. Ends by completion, `close()`, its signal or shutdown. */
export class Intent implements AsyncIterable<SessionEvent> {
  private constructor();
  readonly peer: PeerId;
  /** Settles exactly once. Never an unhandled rejection. */
  readonly completed: Promise<Completion>;
  /**
   * Adds interests to a running intent; an intent in `"all"` has them already. Resolves when its session knows of them, or will from its
   * beginning; a once-intent is not complete before they are reconciled, too. Rejects with `invalidArgument`, with `notAuthorised` if nothing here
   * may read one of them, and with `closed` if the intent has ended. Nothing is changed then, and the intent goes on.
   */
  addInterests(interests: Interest[]): Promise<void>;
  close(): Promise<void>;
  /** Begins with what is true now; the last item is `ended` or `error`. Leaving the loop ends the iteration, not the intent. */
  [Symbol.asyncIterator](): AsyncIterableIterator<SessionEvent>;
}

/** A session that a peer opened. */
export class IncomingSession implements AsyncIterable<SessionEvent> {
  private constructor();
  readonly peer: PeerId;
  [Symbol.asyncIterator](): AsyncIterableIterator<SessionEvent>;
}

/** A Willow timestamp of a date. */
export function timestampFromDate(date: Date): Timestamp;
/** The date of a Willow timestamp. */
export function dateFromTimestamp(timestamp: Timestamp): Date;

/**
 * What is known of something that changes. `error` ends it until somebody listens anew; the last value stays beside it. A state is never
 * changed: a new one takes its place.
 */
export type LiveState<T> =
  | { readonly status: "loading"; readonly value?: undefined; readonly error?: undefined }
  | { readonly status: "ready"; readonly value: T; readonly error?: undefined }
  | { readonly status: "error"; readonly value?: T; readonly error: WillowError };

/**
 * A state to follow, for any framework. Making one does nothing: work begins with the first listener, and ends when the last one has left.
 * Listeners are told once a frame at most, however much has changed, and between changes `getSnapshot` returns the same object.
 */
export interface Live<S> {
  /** Calls `listener` after each change, until the function that it returns is called. */
  subscribe(listener: () => void): () => void;
  getSnapshot(): S;
}

/** Which entries of an area, and in which order; see `WillowNode.entries`. */
export interface EntriesOptions {
  order?: "ascending" | "descending";
  /** At most so many, the first ones in this order. */
  limit?: number;
}

/** How far an intent has come. `progress` is of the current session. */
export type SyncState = { readonly progress: SyncProgress } & (
  /** Not begun: nobody listens, or the peer is not known yet. */
  | { readonly status: "idle"; readonly error?: undefined }
  | { readonly status: "connecting" | "syncing"; readonly error?: undefined }
  /** Both sides have the same, or nothing in common; a live intent goes on. */
  | { readonly status: "synced"; readonly error?: undefined }
  /** The connection was lost or did not come about; as in the event `reconnecting`. */
  | { readonly status: "waiting"; readonly cause: WillowError; readonly retry: number | null; readonly attempt: number; readonly error?: undefined }
  | { readonly status: "ended"; readonly completion: Completion; readonly error?: undefined }
  | { readonly status: "error"; readonly error: WillowError }
);

/** Bytes and entries that a session has moved. */
export interface SyncProgress {
  readonly sent: number;
  readonly received: number;
  readonly entriesSent: number;
  readonly entriesReceived: number;
}

/** The entries of an area, as they are and as they change. A change costs what it changes: nothing is listed again, but after `lagged`. */
export function liveEntries(node: WillowNode, namespace: NamespaceId, area?: AreaLike, options?: EntriesOptions): Live<LiveState<readonly Entry[]>>;
/** The entry of a place; its value is undefined while there is none. */
export function liveEntry(node: WillowNode, namespace: NamespaceId, user: UserId, path: PathLike): Live<LiveState<Entry | undefined>>;
/**
 * The payload of an entry, `loading` until all of it is here; `noSuchEntry` if the entry goes before. It is read once, and held as long as
 * somebody listens: for a large one see `WillowNode.payloadStream`.
 */
export function livePayload(node: WillowNode, entry: Entry | EntryKey, options: { as: "text" }): Live<LiveState<string>>;
export function livePayload(node: WillowNode, entry: Entry | EntryKey, options?: { as?: "bytes" }): Live<LiveState<Uint8Array>>;
/** `WillowNode.peers`, again after each change of a peer's state. */
export function livePeers(node: WillowNode): Live<LiveState<readonly PeerInfo[]>>;
/** `WillowNode.watchStatus`. */
export function liveStatus(node: WillowNode): Live<LiveState<NodeStatus>>;
/**
 * An intent (`mode` is `"live"` unless given), which begins with the first listener and is closed when the last one has left. What is wrong with
 * the arguments shows in the state.
 */
export function liveSync(node: WillowNode, peer: PeerAddress | PeerId, init?: SessionInit): Live<SyncState>;
