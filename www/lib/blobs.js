import { h } from "./dom.js";

/** The pieces of a stream, each where the browser keeps Blobs, out of the page. A Response would do that, too, and hide why the stream fails. */
export async function blobsOf(stream) {
  const [reader, pieces] = [stream.getReader(), []];
  for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(new Blob([next.value]));
  return pieces;
}

/** Has the browser save a Blob as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
