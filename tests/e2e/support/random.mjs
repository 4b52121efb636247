// Numbers that look random and are the same again for the same seed.

/** The seed of this run: `OSIER_SEED`, to repeat one, or a new one. */
export const seed = () => Number(process.env.OSIER_SEED ?? Date.now() % 2 ** 32);

/** A source of numbers from 0 to below 1 (mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
