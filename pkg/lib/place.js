const encoder = new TextEncoder();

/** A path as text that sorts as paths do: each byte one character, and behind each component one that is less than all. */
export function pathKey(path) {
  let key = "";
  for (const component of path) {
    const bytes = typeof component === "string" ? encoder.encode(component) : component;
    for (const byte of bytes) key += String.fromCharCode(byte + 1);
    key += "\0";
  }
  return key;
}

/** The place of an entry in its space, as text that sorts as the entries of a space do. */
export const placeOf = ({ user, path }) => user + pathKey(path);

/** A function that tells whether an entry is in an area. */
export function within({ user, path, from, to }) {
  const below = pathKey(path);
  return (entry) =>
    (user === null || entry.user === user) &&
    entry.timestamp >= from &&
    (to === null || entry.timestamp < to) &&
    pathKey(entry.path).startsWith(below);
}
