import { invalid } from "./error.js";

// Willow'25 counts microseconds of TAI since 2000-01-01 12:00:00 TAI (J2000). Unix time counts UTC without leap seconds;
// TAI has been 37 s ahead of UTC since 2017, and no further leap second is announced.
const J2000_UNIX_MICROS = 946_727_968_000_000n; // 2000-01-01T11:59:28Z: TAI was 32 s ahead of UTC then, 37 - 32 = 5 s came after
const TAI_AHEAD_NOW_MICROS = 5_000_000n;

/** A Willow timestamp (TAI microseconds) from a Date, for dates since 2017. Throws `invalidArgument` before 2000. */
export function timestampFromDate(date) {
  const millis = date instanceof Date ? date.getTime() : Number.NaN;
  if (!Number.isFinite(millis)) throw invalid("date", "expected a valid Date");
  const micros = BigInt(millis) * 1000n - J2000_UNIX_MICROS + TAI_AHEAD_NOW_MICROS;
  if (micros < 0n) throw invalid("date", "is before the first Willow timestamp (2000-01-01)");
  return micros;
}

/** The Date (UTC, milliseconds) of a Willow timestamp. Invalid Date if it lies beyond what Date can express. */
export function dateFromTimestamp(timestamp) {
  return new Date(Number((BigInt(timestamp) - TAI_AHEAD_NOW_MICROS + J2000_UNIX_MICROS) / 1000n));
}
