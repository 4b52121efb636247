import { abortable, throwIfAborted } from "./abort.js";
import { breathe } from "./breathe.js";
import { answered, invalid } from "./error.js";
import { isBlob, piecesOf, slices } from "./source.js";
import { streamOf } from "./stream.js";

const encoder = new TextEncoder();

/** How many bytes of a stream are held before they are given to the browser to keep. */
const HELD = 4 * 1024 * 1024;

/** The bytes of a payload that is at hand, or undefined. */
export function bytesOf(payload) {
  if (typeof payload === "string") return encoder.encode(payload);
  return payload instanceof Uint8Array ? payload : undefined;
}

/**
 * Feeds a payload into the module's writer piece by piece, twice, and finishes it. Nothing is stored unless all of it could be read, and was
 * the same both times.
 */
export async function writePayload(writer, payload, signal, onProgress) {
  try {
    const blob = isBlob(payload) ? payload : await kept(payload, signal);
    await feed(blob, signal, (piece) => writer.prepare(piece));
    let written = 0;
    await feed(blob, signal, async (piece) => {
      await answered(writer.push(piece));
      written += piece.byteLength;
      onProgress({ written, total: blob.size });
    });
  } catch (thrown) {
    writer.abort();
    throw thrown;
  }
  return writer.finish();
}

/** Gives all bytes of a Blob to `take`, in pieces. */
async function feed(blob, signal, take) {
  await each(piecesOf(blob, "payload"), signal, async (bytes) => {
    for (const piece of slices(bytes)) {
      await take(piece);
      await breathe();
      throwIfAborted(signal);
    }
  });
}

/** A stream as a Blob, which can be read twice and which the browser keeps where it likes. */
async function kept(payload, signal) {
  const source = piecesOf(payload, "payload");
  if (source === undefined) throw invalid("payload", "expected a string, a Uint8Array, a Blob or a ReadableStream");
  let parts = [];
  let held = 0;
  await each(source, signal, (bytes) => {
    parts.push(bytes);
    held += bytes.byteLength;
    if (held > HELD) [parts, held] = [[new Blob(parts)], 0];
  });
  return new Blob(parts);
}

async function each(source, signal, take) {
  try {
    for (;;) {
      const bytes = await abortable(signal, source.next());
      if (bytes === undefined) return;
      await take(bytes);
    }
  } catch (thrown) {
    source.cancel();
    throw thrown;
  }
}

/** A payload as it is read. `begin` gives the module's reader and a signal. */
export function payloadStream(begin) {
  return streamOf(() => {
    const [raw, signal] = begin();
    return { next: () => abortable(signal, raw.next(), () => raw.close()), cancel: () => raw.close() };
  });
}
