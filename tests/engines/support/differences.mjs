// What the engines do each its own way, as far as Osier or who uses it meets it. A test asks each engine; docs/engines.md has the list as a table.

/** `probe` runs in a page and answers what stands under the name of the engine: whether `what` is so. `so`: what follows from that. */
export const DIFFERENCES = [
  {
    what: "The browser may lose databases after it was killed, and says so",
    chromium: true, firefox: false, webkit: false,
    so: "A database that was left open has a new log begun; `storage()` passes on what was lost",
    probe: () => "dataLoss" in IDBVersionChangeEvent.prototype,
  },
  {
    what: "A transaction that is told to commit commits although a request fails",
    chromium: false, firefox: true, webkit: false,
    so: "A write waits for its last request before it commits: all or nothing in every engine",
    probe: async () => {
      const opening = indexedDB.open("probe");
      opening.onupgradeneeded = () => opening.result.createObjectStore("store").put(0, "there");
      const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
      const transaction = database.transaction("store", "readwrite");
      const over = new Promise((resolve) => Object.assign(transaction, { oncomplete: () => resolve(true), onabort: () => resolve(false) }));
      transaction.objectStore("store").add(1, "there");
      transaction.objectStore("store").put(1, "other");
      transaction.commit();
      const isCommitted = await over;
      database.close();
      indexedDB.deleteDatabase("probe");
      return isCommitted;
    },
  },
  {
    what: "A database whose making was aborted is listed by `indexedDB.databases()`, with version 0",
    chromium: false, firefox: false, webkit: true,
    so: "Nothing: it counts as none",
    probe: async () => {
      const opening = indexedDB.open("never");
      opening.onupgradeneeded = () => opening.transaction.abort();
      await new Promise((resolve) => (opening.onerror = (event) => resolve(event.preventDefault())));
      return (await indexedDB.databases()).some(({ name }) => name === "never");
    },
  },
  {
    what: "It is known how much storage there is, and storage can be made to stay",
    chromium: true, firefox: true, webkit: false,
    so: "In WebKit on Linux, `storage()` has no quota, and `requestPersistence()` says no",
    probe: () => typeof navigator.storage?.estimate === "function" && typeof navigator.storage?.persist === "function",
  },
  {
    what: "A page is told that it is frozen",
    chromium: true, firefox: false, webkit: false,
    so: "Elsewhere a node that was frozen finds out by its clock and its relay",
    probe: () => "onfreeze" in document,
  },
  {
    what: "A stream can be sent to a worker",
    chromium: true, firefox: true, webkit: false,
    so: "Nothing: what a node in a worker reads and writes goes there piece by piece",
    probe: () => {
      const stream = new ReadableStream();
      try {
        structuredClone(stream, { transfer: [stream] });
        return true;
      } catch {
        return false;
      }
    },
  },
  {
    what: "`for await` reads a `ReadableStream`",
    chromium: true, firefox: true, webkit: false,
    so: "For WebKit, read `payloadStream` and `exportDrop` with `getReader()`, or give them to a `Response`",
    probe: () => Symbol.asyncIterator in ReadableStream.prototype,
  },
  {
    what: "`await using` closes a node",
    chromium: true, firefox: true, webkit: false,
    so: "Elsewhere call `shutdown()`, or let the compiler make that of it",
    probe: () => Symbol.asyncDispose !== undefined,
  },
];

const NAMES = ["chromium", "firefox", "webkit"];

/** The list as it stands in docs/engines.md. */
export function table() {
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const rows = DIFFERENCES.map(({ what, so, ...answers }) => row([what, ...NAMES.map((name) => (answers[name] ? "yes" : "no")), so]));
  return [row(["", "Chromium", "Firefox", "WebKit", "so"]), row(Array(5).fill("---")), ...rows].join("\n");
}
