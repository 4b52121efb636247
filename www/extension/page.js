/** Willow's paths have 4096 bytes; some are for what is below a page. */
const LONGEST = 3000;

/**
 * Where in the space the notes on a page are; undefined where there can be none. Nothing of an address but its origin and its path goes into the space.
 * @param {string | undefined} address @returns {import("./messages").Page | undefined}
 */
export function pageOf(address) {
  if (address === undefined || !URL.canParse(address)) return undefined;
  const { protocol, origin, pathname } = new URL(address);
  return /^https?:$/.test(protocol) && origin.length + pathname.length < LONGEST ? ["notes", origin, pathname] : undefined;
}
