import { WillowError, invalid } from "./error.js";

/** How many bytes go to the module at once. */
const PIECE = 256 * 1024;

/**
 * The bytes of a stream or Blob as they come: `next()` resolves to some, or to undefined after the last. `argument` names it in errors.
 * Undefined if `value` is something else.
 */
export function piecesOf(value, argument) {
  if (isBlob(value)) return piecesOfBlob(value, argument);
  if (typeof ReadableStream === "function" && value instanceof ReadableStream) return piecesOfStream(value, argument);
  return undefined;
}

export function isBlob(value) {
  return typeof Blob === "function" && value instanceof Blob;
}

function piecesOfStream(stream, argument) {
  if (stream.locked) throw invalid(argument, "the stream is being read by somebody else");
  const reader = stream.getReader();
  const next = async () => {
    const { done, value } = await reader.read().catch((thrown) => Promise.reject(unreadable(argument, thrown)));
    if (done) return undefined;
    if (!(value instanceof Uint8Array)) throw invalid(argument, "expected a stream of Uint8Arrays");
    return value;
  };
  return { next, cancel: () => reader.cancel().catch(() => {}) };
}

/** A Blob whose file has changed meanwhile ends too early, and is refused. */
function piecesOfBlob(blob, argument) {
  const { next, cancel } = piecesOfStream(blob.stream(), argument);
  let read = 0;
  const counted = async () => {
    const bytes = await next();
    read += bytes?.byteLength ?? 0;
    if (bytes === undefined && read !== blob.size) throw unreadable(argument, new Error(`it ended after ${read} of ${blob.size} bytes`));
    return bytes;
  };
  return { next: counted, cancel };
}

/** Bytes in pieces that the module can take at once; one without bytes if there are none. */
export function* slices(bytes) {
  let at = 0;
  do {
    yield bytes.subarray(at, at + PIECE);
    at += PIECE;
  } while (at < bytes.length);
}

function unreadable(argument, thrown) {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new WillowError("payloadUnreadable", `${argument}: it could not be read to its end (${why})`, { argument });
}
