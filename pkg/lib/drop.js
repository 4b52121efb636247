import { abortable, throwIfAborted } from "./abort.js";
import { breathe } from "./breathe.js";
import { answered, invalid } from "./error.js";
import { piecesOf, slices } from "./source.js";
import { streamOf } from "./stream.js";

/** A drop on its way out. `begin` gives it with the callback for its progress. */
export function dropStream(begin) {
  return streamOf(() => {
    const [raw, onProgress] = begin();
    const next = async () => {
      const piece = await raw.next();
      onProgress(raw.progress());
      return piece;
    };
    return { next, cancel: () => raw.cancel() };
  });
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

function allAtOnce(bytes) {
  let rest = bytes;
  const next = async () => {
    const all = rest;
    rest = undefined;
    return all;
  };
  return { next, cancel() {} };
}
