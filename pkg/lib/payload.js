import { throwIfAborted } from "./abort.js";
import { WillowError, invalid } from "./error.js";

/** Feeds a payload into the module's writer piece by piece and finishes it. Nothing is stored unless all of it could be read. */
export async function writePayload(writer, payload, signal) {
  let finished = false;
  try {
    for await (const piece of piecesOf(payload)) {
      throwIfAborted(signal);
      await writer.push(piece);
    }
    throwIfAborted(signal);
    finished = true;
    return await writer.finish();
  } finally {
    if (!finished) writer.abort();
  }
}

async function* piecesOf(payload) {
  if (typeof payload === "string") yield new TextEncoder().encode(payload);
  else if (payload instanceof Uint8Array) yield payload;
  else if (typeof Blob === "function" && payload instanceof Blob) yield* piecesOfBlob(payload);
  else throw invalid("payload", "expected a string, a Uint8Array or a Blob");
}

async function* piecesOfBlob(blob) {
  const reader = blob.stream().getReader();
  let read = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      read += value.byteLength;
      yield value;
    }
  } catch (thrown) {
    throw unreadable(thrown instanceof Error ? thrown.message : String(thrown));
  } finally {
    reader.cancel().catch(() => {});
  }
  if (read !== blob.size) throw unreadable(`it ended after ${read} of ${blob.size} bytes`);
}

function unreadable(why) {
  return new WillowError("payloadUnreadable", `payload: the Blob could not be read to its end (${why})`, { argument: "payload" });
}
