import { invalid } from "./error.js";

// Willow timestamps count microseconds. All Willow data in existence comes from one implementation, whose count begins at this
// Unix time (noon of 2000-01-02 TAI) and takes no notice of leap seconds; agreement among nodes is what matters, so Osier counts
// alike. PROTOCOL.md says more.
const EPOCH_UNIX_MICROS = 946_814_368_000_000n;

/** A Willow timestamp from a Date. Throws `invalidArgument` before 2000-01-02. */
export function timestampFromDate(date) {
  const millis = date instanceof Date ? date.getTime() : Number.NaN;
  if (!Number.isFinite(millis)) throw invalid("date", "expected a valid Date");
  const micros = BigInt(millis) * 1000n - EPOCH_UNIX_MICROS;
  if (micros < 0n) throw invalid("date", "is before the first Willow timestamp (2000-01-02)");
  return micros;
}

/** The Date of a Willow timestamp, cut to milliseconds. Invalid Date if it lies beyond what a Date can express. */
export function dateFromTimestamp(timestamp) {
  return new Date(Number((BigInt(timestamp) + EPOCH_UNIX_MICROS) / 1000n));
}
