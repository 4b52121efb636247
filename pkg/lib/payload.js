import { abortable, throwIfAborted } from "./abort.js";
import { answered, invalid } from "./error.js";
import { piecesOf } from "./source.js";

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
    source = piecesOf(payload, "payload");
    if (source === undefined) throw invalid("payload", "expected a string, a Uint8Array, a Blob or a ReadableStream");
    for (;;) {
      const piece = await abortable(signal, source.next());
      if (piece === undefined) break;
      await answered(writer.push(piece));
    }
    throwIfAborted(signal);
  } catch (thrown) {
    source?.cancel();
    writer.abort();
    throw thrown;
  }
  return writer.finish();
}
