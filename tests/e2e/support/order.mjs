// The order of an intent's events, as the documentation of `SessionEvent` promises it.

/** What may follow a connection event: no other connection event. `undefined` is the beginning; an intent may join a running session. */
const FOLLOWS = {
  undefined: ["connecting", "established"],
  connecting: ["established", "disconnected", "connecting", "reconnecting"],
  established: ["disconnected", "established", "reconnecting", "connecting"],
  disconnected: ["reconnecting", "connecting", "established"],
  reconnecting: ["reconnecting", "connecting", "established"],
};
const LAST = ["ended", "error"];
const OF_SESSION = ["overlap", "reconciled", "reconciledAll", "nothingInCommon", "unsupported", "progress", "payload"];

const areaOf = ({ namespace, area }) => JSON.stringify([namespace, area], (_, value) => (typeof value === "bigint" ? String(value) : value));

/** What is wrong with the order of these events: a sentence, or `undefined`. `ended`: whether the intent has settled. */
export function misplaced(events, { ended }) {
  let connection;
  let overlaps = new Map(); // of this session: area → whether it is reconciled
  for (const [index, event] of events.entries()) {
    const { type } = event;
    const wrong = (why) => `event ${index}, ${type}, ${why}: ${events.slice(0, index + 1).map((each) => each.type).join(" ")}`;
    if (LAST.includes(type)) {
      if (index !== events.length - 1) return wrong("is not the last");
    } else if (OF_SESSION.includes(type)) {
      if (connection !== "established") return wrong("comes without a session");
      if (type === "overlap") overlaps.set(areaOf(event), false);
      if (type === "reconciled" && !overlaps.has(areaOf(event))) return wrong("comes before its overlap");
      if (type === "reconciled") overlaps.set(areaOf(event), true);
      if (type === "reconciledAll" && [...overlaps.values()].includes(false)) return wrong("comes before an area is reconciled");
    } else {
      if (!FOLLOWS[connection].includes(type)) return wrong(`follows ${connection}`);
      connection = type;
      overlaps = new Map();
    }
  }
  if (ended && !LAST.includes(events.at(-1)?.type)) return `the last event is ${events.at(-1)?.type}`;
  return undefined;
}
