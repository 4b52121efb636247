// The runtime, and the module inside the script: for places where a second file is hard. It is compressed, and compiled by the first
// `WillowNode.open`.
import compressed from "./generated/inline.js";
import { known } from "./lib/load.js";

export * from "./slim.js";

known.inline = () => {
  const bytes = Uint8Array.from(atob(compressed), (character) => character.charCodeAt(0));
  const module = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(module, { headers: { "content-type": "application/wasm" } });
};
