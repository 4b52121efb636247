import { shuttingDown } from "../error.js";
import { KINDS } from "./wire.js";

/** Objects that nobody holds any more are of no use at the host, either. */
const forgotten = typeof FinalizationRegistry === "function" ? new FinalizationRegistry(({ link, on }) => link.tell(on, "drop")) : undefined;

/** The number of no change: a subscription from here on is told that it has fallen behind, and goes on from now. */
const NO_CHANGE = Number.MAX_SAFE_INTEGER;

const same = (args) => args;

/** An object of the module at a host, with the methods that it would have here. */
function remote(link, kind, on, more = {}) {
  const { calls = [], tells = [], makes = {}, hasProgress } = KINDS[kind];
  const object = { ...more };
  for (const method of calls) object[method] = (...args) => link.call(on, kind, method, args);
  for (const method of tells) object[method] = (...args) => link.tell(on, method, ...args);
  for (const [method, made] of Object.entries(makes)) object[method] = (...args) => make(link, made, on, method, args);
  return hasProgress ? withProgress(object, calls) : object;
}

function make(link, kind, on, method, args) {
  if (kind === "intent") return intent(link, args);
  if (kind === "fetch") return fetching(link, args);
  const resumes = KINDS[kind].resumes && (on === 0 || link.objects.get(on)?.again !== undefined);
  // What the end is when the page lets go of the node: the events of a session say it, and what goes on as long as the node has an end without.
  const last = method === "events" ? shutDown : KINDS[kind].resumes && (() => undefined);
  if (KINDS[kind].pulls) return stream(link, kind, last, (again) => link.make(kind, on, method, args, resumes ? again : undefined));
  return remembered(link, link.make(kind, on, method, args), (handle) => remote(link, kind, handle));
}

function remembered(link, on, build) {
  const object = build(on);
  forgotten?.register(object, { link, on });
  return object;
}

/** A node at a host. */
export function remoteNode(link) {
  const node = remote(link, "node", 0);
  const watchStatus = node.watchStatus;
  return Object.assign(node, {
    id: link.id,
    address: () => link.address,
    shutdown: () => link.leave(),
    /** Only a page may ask. */
    async requestPersistence() {
      await node.storage();
      return (await navigator.storage?.persist?.()) ?? false;
    },
    /** The first status of a host that was started because the module had trapped says so. */
    watchStatus() {
      const status = watchStatus();
      let told = link.fatals.length;
      const next = async () => {
        const item = await status.next();
        const fatal = link.fatals[told];
        told = link.fatals.length;
        return item === undefined || fatal === undefined ? item : { ...item, fatal };
      };
      return { next, close: () => status.close() };
    },
  });
}

const shutDown = () => ({ type: "error", error: shuttingDown() });

/** A stream: a few items are fetched at a time, those that are there. */
function stream(link, kind, last, begin) {
  let [ready, ended, seen] = [[], false, undefined];
  let wake;
  const closed = new Promise((resolve) => (wake = resolve));
  const again = {
    stream: same,
    sessions: same,
    changes: ([space, area, options]) => [space, area, { ...options, from: ready.at(-1)?.progress ?? seen ?? options?.from ?? NO_CHANGE }],
  }[kind];
  const on = begin(again);
  const take = () => {
    const item = ready.shift();
    if (kind === "changes" && item !== undefined) seen = item.progress;
    return kind === "sessions" && item !== undefined ? remembered(link, item.handle, (handle) => remote(link, "session", handle, { peer: item.peer })) : item;
  };
  const pull = async () => {
    const pulled = await link.pull(on).catch((thrown) => {
      if (!link.hasLeft || last === undefined) throw thrown;
      const item = last();
      return { items: item === undefined ? [] : [item], ended: true };
    });
    if (kind === "pieces") return pulled;
    ({ items: ready, ended } = pulled);
    return take();
  };
  const object = {
    next: async () => {
      if (ready.length > 0) return take();
      return ended ? undefined : Promise.race([pull(), closed]);
    },
    close() {
      [ready, ended] = [[], true];
      link.tell(on, "drop");
      wake();
    },
  };
  forgotten?.register(object, { link, on });
  return object;
}

/** An intent. It is held until it has ended, whoever forgets it. */
function intent(link, [peer, init]) {
  let added = [];
  const again = ([to, { interests, ...rest }]) => {
    const all = Array.isArray(interests) ? [...interests, ...added] : interests;
    added = [];
    return [to, { ...rest, ...(all !== undefined && { interests: all }) }];
  };
  const on = link.make("intent", 0, "sync", [peer, init], again);
  let last;
  const of = remote(link, "intent", on);
  let leave;
  const left = new Promise((_, reject) => (leave = () => reject(shuttingDown())));
  link.onLeave.add(leave);
  const completed = Promise.race([of.completed(), left]).finally(() => link.onLeave.delete(leave));
  completed.then(
    (completion) => (last = { type: "ended", completion }),
    (error) => (last = { type: "error", error }),
  ).then(() => link.tell(on, "drop"));
  return {
    ...of,
    peer: typeof peer === "string" ? peer.toLowerCase() : String(peer?.id).toLowerCase(),
    completed: () => completed,
    async addInterests(interests) {
      await of.addInterests(interests);
      added.push(...interests);
    },
    events: () => (last === undefined ? of.events() : finished(last)),
  };
}

function finished(last) {
  const items = [last];
  return { next: async () => items.shift(), close: () => items.pop() };
}

function fetching(link, [key, options, onProgress]) {
  return remembered(link, link.make("fetch", 0, "fetchPayload", [key, options], same), (on) => {
    link.objects.get(on).onEvent = onProgress;
    return remote(link, "fetch", on);
  });
}

/** What is asked tells how far it is, too. */
function withProgress(object, calls) {
  let progress;
  for (const method of calls) {
    const call = object[method];
    object[method] = async (...args) => {
      const answer = await call(...args);
      progress = answer.progress;
      return answer.value;
    };
  }
  return { ...object, progress: () => progress };
}
