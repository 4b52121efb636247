import { breathe } from "./breathe.js";
import { WillowError, invalid } from "./error.js";
import { Listing, newer } from "./listing.js";
import { following, frame, live, ready } from "./live.js";
import { pathKey, within } from "./place.js";

const decoder = new TextDecoder();

/** The entries of an area as they are now, and as they change. */
export function liveEntries(node, namespace, area, options) {
  let listing;
  let progress;
  const read = async (signal) => {
    const entries = [];
    for await (const entry of node.entries(namespace, area, { ...options, signal })) {
      entries.push(entry);
      await breathe();
    }
    if (!signal.aborted) listing.reset(entries);
  };
  return live(async (tell, signal) => {
    listing ??= new Listing(options);
    // What happens while the entries are read waits in the subscription.
    const changes = node.subscribe(namespace, area, { from: progress, signal });
    if (progress === undefined || listing.hasGaps) await read(signal);
    let [next, due] = [following(changes, signal), undefined];
    while (!signal.aborted) {
      tell(() => listing.state);
      due = listing.hasGaps ? (due ?? frame().then(() => "due")) : undefined;
      const event = await (due === undefined ? next : Promise.race([due, next]));
      if (event === "due" || event?.type === "lagged") await read(signal);
      else if (event !== undefined) listing.apply(event);
      if (signal.aborted) return;
      if (event === "due") due = undefined;
      else [progress, next] = [event.progress, following(changes, signal)];
      await breathe();
    }
  }, { lasting: true });
}

/** The entry of a place; undefined while there is none. */
export function liveEntry(node, namespace, user, path) {
  return live(async (tell, signal) => {
    for await (const entry of entriesAt(node, { namespace, user, path }, signal)) tell(() => ready(entry));
  });
}

/** The payload of an entry, as soon as all of it is here. */
export function livePayload(node, entry, { as = "bytes" } = {}) {
  return live(async (tell, signal) => {
    if (as !== "bytes" && as !== "text") throw invalid("as", 'expected "bytes" or "text"');
    await arrival(node, entry, signal);
    const bytes = await node.payload(entry, { signal });
    tell(() => ready(as === "text" ? decoder.decode(bytes) : bytes));
  });
}

/** Resolves when all of a payload is here. */
async function arrival(node, entry, signal) {
  if (isWhole(entry)) return;
  for await (const now of entriesAt(node, entry, signal)) {
    if (now === undefined) throw new WillowError("noSuchEntry", "no such entry here");
    if (isWhole(now)) return;
  }
}

const isWhole = ({ available, length }) => available !== undefined && available === length;

/** The entry of a place as it is now, and after each change. */
async function* entriesAt(node, { namespace, user, path }, signal) {
  const changes = node.subscribe(namespace, { user, path }, { signal });
  try {
    let entry = await node.get(namespace, user, path);
    const place = pathKey(path);
    yield entry;
    for (;;) {
      const event = await following(changes, signal);
      if (event === undefined) return;
      const before = entry;
      if (event.type === "lagged") entry = await node.get(namespace, user, path);
      else if (event.type === "forgotten") entry = entry && within(event.area)(entry) ? undefined : entry;
      else if (pathKey(event.entry.path) === place) entry = after(entry, event);
      if (entry !== before) yield entry;
      await breathe();
    }
  } finally {
    changes.return();
  }
}

function after(entry, event) {
  if (event.type === "pruned") return undefined;
  if (event.type === "inserted") return entry === undefined ? event.entry : newer(event.entry, entry);
  const { available, total } = event;
  return entry?.length === total && entry.available < available ? { ...entry, available } : entry;
}
