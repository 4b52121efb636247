import { abortable, throwIfAborted } from "./abort.js";
import { breathe } from "./breathe.js";
import { WillowError, answered, invalid } from "./error.js";
import { piecesOf } from "./source.js";

/** How many bytes of a drop that is at hand go to the module at once. */
const PIECE = 256 * 1024;

/**
 * A drop on its way out, made as it is read. `begin` starts it at the first read, and gives it with the callback for its progress; what is
 * wrong with the arguments shows then.
 */
export function dropStream(begin) {
  let raw;
  let onProgress;
  const pull = async (controller) => {
    try {
      if (raw === undefined) [raw, onProgress] = begin();
      const piece = await answered(raw.next());
      await breathe();
      onProgress(raw.progress());
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    } catch (thrown) {
      controller.error(WillowError.from(thrown));
      raw?.cancel();
    }
  };
  return new ReadableStream({ pull, cancel: () => raw?.cancel() }, { highWaterMark: 0 });
}

/** Feeds a drop into the module's import piece by piece. Whatever ends it early gives the rest up; what was read stays. */
export async function readDrop(begin, drop, { signal, onProgress }) {
  throwIfAborted(signal);
  const source = sourceOf(drop);
  const raw = begin();
  const next = untilEnded(raw, source);
  try {
    for (;;) {
      const bytes = await abortable(signal, answered(next()));
      if (bytes === undefined) break;
      for (const piece of slices(bytes)) {
        await abortable(signal, answered(raw.push(piece)));
        await breathe();
        onProgress(raw.progress());
      }
    }
    const { inserted, skipped, bytes } = await abortable(signal, answered(raw.finish()));
    onProgress({ inserted, skipped, bytes });
    return { inserted, skipped };
  } catch (thrown) {
    source.cancel();
    raw.cancel();
    throw thrown;
  }
}

/** What `source` gives next; no bytes, if the module ends the import meanwhile: the push of them says why. */
function untilEnded(raw, source) {
  let ended = false;
  let wake = () => {};
  const end = () => {
    ended = true;
    wake(new Uint8Array());
  };
  raw.ended().then(end, end);
  return () =>
    new Promise((resolve, reject) => {
      wake = resolve;
      if (ended) end();
      else source.next().then(resolve, reject);
    });
}

/** Pieces of a drop: `next()` resolves to bytes, or to undefined after the last. */
function sourceOf(drop) {
  const source = drop instanceof Uint8Array ? allAtOnce(drop) : piecesOf(drop, "drop");
  if (source === undefined) throw invalid("drop", "expected a ReadableStream, a Blob or a Uint8Array");
  return source;
}

/** Bytes in pieces that the module can take at once; one without bytes if there are none. */
function* slices(bytes) {
  let at = 0;
  do {
    yield bytes.subarray(at, at + PIECE);
    at += PIECE;
  } while (at < bytes.length);
}

function allAtOnce(bytes) {
  let rest = bytes;
  const next = async () => {
    const all = rest;
    rest = undefined;
    return all;
  };
  return { next, cancel() {} };
}
