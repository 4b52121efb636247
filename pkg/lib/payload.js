import { abortable, throwIfAborted } from "./abort.js";
import { WillowError, invalid } from "./error.js";

const encoder = new TextEncoder();

/** The bytes of a payload that is at hand, or undefined. */
export function bytesOf(payload) {
  if (typeof payload === "string") return encoder.encode(payload);
  return payload instanceof Uint8Array ? payload : undefined;
}

/** Feeds a payload into the module's writer piece by piece and finishes it. Nothing is stored unless all of it could be read. */
export async function writePayload(writer, payload, signal) {
  let source;
  try {
    source = sourceOf(payload);
    for (;;) {
      const piece = await abortable(signal, source.next());
      if (piece === undefined) break;
      await writer.push(piece);
    }
    throwIfAborted(signal);
  } catch (thrown) {
    source?.cancel();
    writer.abort();
    throw thrown;
  }
  return writer.finish();
}

/** Pieces of a payload: `next()` resolves to bytes, or to undefined after the last. */
function sourceOf(payload) {
  if (typeof Blob === "function" && payload instanceof Blob) return piecesOfBlob(payload);
  throw invalid("payload", "expected a string, a Uint8Array or a Blob");
}

function piecesOfBlob(blob) {
  let reader;
  let read = 0;
  const next = async () => {
    reader ??= blob.stream().getReader();
    const { done, value } = await reader.read();
    if (!done) read += value.byteLength;
    else if (read !== blob.size) throw new Error(`it ended after ${read} of ${blob.size} bytes`);
    return done ? undefined : value;
  };
  return {
    next: () => next().catch((thrown) => Promise.reject(unreadable(thrown))),
    cancel: () => reader?.cancel().catch(() => {}),
  };
}

function unreadable(thrown) {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new WillowError("payloadUnreadable", `payload: the Blob could not be read to its end (${why})`, { argument: "payload" });
}
