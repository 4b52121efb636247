// What a strict TypeScript program may write, and what it may not. Checked, never run.
import { Intent, WillowError, WillowNode, dateFromTimestamp, timestampFromDate } from "osier";
import type { Completion, Entry, ErrorCode, IntentSet, Interest, PeerAddress, PeerEvent, ReconnectPolicy, SessionEvent, SessionInit, StoreEvent } from "osier";

export async function everyday(relays: string[], signal: AbortSignal): Promise<string> {
  await using node: WillowNode = await WillowNode.open({ relays, storage: "memory", secretKey: "ephemeral", limits: { maxSessions: 8 }, reconnect: { firstDelay: 100 }, onProgress: ({ entries, total }) => void (entries / total), signal });
  const user: string = await node.createUser();
  const space: string = await node.createNamespace({ kind: "owned", owner: user });
  const { entry, pruned }: { entry: Entry; pruned: number } = await node.set(space, { user, path: ["a", new Uint8Array(1)], payload: new Blob(["x"]), timestamp: new Date() });
  const timestamp: bigint = entry.timestamp + 1n;
  const bytes: Uint8Array = await node.payload(entry, { offset: 0, length: entry.length - pruned });
  for await (const { path, available } of node.entries(space, { from: timestamp, to: timestampFromDate(new Date()) }, { limit: 3 })) void [path, available];
  await node.ingest(await node.exportEntry({ namespace: space, user, path: ["a"] }));
  const drop: ReadableStream<Uint8Array> = node.exportDrop(space, { path: ["a"] }, { onProgress: ({ entries, withoutPayload, bytes }) => void (entries + withoutPayload + bytes) });
  const { inserted, skipped }: { inserted: number; skipped: number } = await node.importDrop(drop, { signal, onProgress: ({ bytes }) => void bytes });
  await node.importDrop(await new Response(node.exportDrop(space)).blob());
  const address: PeerAddress = node.address();
  void [inserted + skipped, bytes, dateFromTimestamp(timestamp).getTime()];
  return node.share({ namespace: address.id, access: "read", area: { path: ["a"], user } });
}

export async function syncs(node: WillowNode, peer: PeerAddress, init: SessionInit): Promise<Completion> {
  const intent: Intent = node.sync(peer, init);
  for await (const event of intent) describe(event);
  for await (const session of node.incoming()) for await (const event of session) describe(event);
  return intent.completed;
}

export async function accepting(relays: string[], friends: Set<string>, init: SessionInit): Promise<WillowNode> {
  await WillowNode.open({ relays, accept: (peer) => (friends.has(peer) ? init : null), limits: { maxHandshakes: 4, maxHandshakesPerPeer: 2, maxTransfersPerPeer: 2 } });
  return WillowNode.open({
    accept: async (peer, signal) => {
      const { ok } = await fetch(`https://example.org/members/${peer}`, { signal });
      return ok ? { interests: "all", mode: "live" } : null;
    },
  });
}

export async function several(node: WillowNode, peers: PeerAddress[], more: Interest[]): Promise<string[]> {
  const set: IntentSet = node.syncAll(peers, { mode: "once" });
  for await (const event of set) void `${event.peer}: ${event.type === "established" ? event.role : describe(event)}`;
  await set.intents[0]?.addInterests(more);
  await set.addInterests(more);
  await set.close();
  return (await set.completed).map(({ peer, completion, error }) => `${peer}: ${completion?.outcome ?? error?.code}`);
}

/** A worker is told what it cannot see; a page watches. */
export async function life(node: WillowNode, policy: ReconnectPolicy): Promise<string> {
  node.notify({ visible: false, frozen: true });
  const intent = node.sync(node.address(), { mode: "live", reconnect: { ...policy, attempts: Infinity } });
  for await (const { relay, storage } of node.watchStatus()) {
    if (relay.state === "denied" && storage.unheld.toFixed() !== "0") return relay.reason ?? intent.peer;
  }
  const waits: (number | null)[] = (await node.peers()).map(({ retry }) => retry);
  return waits.join();
}

/** Every event is told by its type; a new one that nobody thought of would not compile. */
export function describe(event: SessionEvent): string {
  switch (event.type) {
    case "connecting":
    case "reconciledAll":
    case "nothingInCommon":
      return event.type;
    case "established":
      return event.role;
    case "disconnected":
      return event.cause.code;
    case "reconnecting":
      return String(event.retry ?? "when the network is back");
    case "overlap":
    case "reconciled":
      return event.area.user ?? "everyone";
    case "unsupported":
      return event.namespace;
    case "progress":
      return String(event.entriesReceived + event.entriesSent);
    case "payload":
      return `${event.received} of ${event.total}`;
    case "ended":
      return event.completion.outcome;
    case "error":
      return event.error.message;
  }
}

export function ofStore(event: StoreEvent): number {
  return event.type === "forgotten" ? event.count : event.type === "inserted" ? event.entry.length : event.progress;
}

export function ofPeer(event: PeerEvent): string {
  return event.type === "present" ? event.peer.state : event.id;
}

export function handle(thrown: unknown): ErrorCode {
  const { code, argument, peer, detail }: WillowError = WillowError.from(thrown);
  void [argument?.length, peer, detail];
  return code === "obsolete" ? "internal" : code;
}

export async function mistakes(node: WillowNode, entry: Entry): Promise<void> {
  // @ts-expect-error: there is no such option
  await WillowNode.open({ relay: "x" });
  // @ts-expect-error: a handler answers with an init or null
  await WillowNode.open({ accept: () => true });
  // @ts-expect-error: a node is opened, not constructed
  new WillowNode();
  // @ts-expect-error: a path is not a text
  await node.get(entry.namespace, entry.user, "a/b");
  // @ts-expect-error: timestamps are bigints
  await node.set(entry.namespace, { user: entry.user, path: [], payload: "x", timestamp: 5 });
  // @ts-expect-error: a policy is closed
  node.sync(entry.user, { reconnect: { delay: 5 } });
  // @ts-expect-error: there is no such code
  if (handle(entry) === "noSuchCode") return;
  // @ts-expect-error: an entry may be absent
  void (await node.get(entry.namespace, entry.user, [])).length;
}
