import { ready } from "./live.js";
import { placeOf, within } from "./place.js";

/** The entries of an area in their order, at most `limit`, kept as changes are told. */
export class Listing {
  #sign;
  #limit;
  /** The place of each entry, sorted, and the entries beside them. */
  #places = [];
  #entries = [];
  /** Whether the area has, or may have, more entries behind the last one here. */
  #cut = false;
  /** Places that became free of a list that is cut: what moves up into it is not known here. */
  #gaps = new Set();
  /** What is here as a state, until it changes. */
  #state;

  constructor({ order, limit = Infinity } = {}) {
    this.#sign = order === "descending" ? -1 : 1;
    this.#limit = limit;
  }

  /** Begins again with what was read. */
  reset(entries) {
    this.#entries = entries;
    this.#places = entries.map(placeOf);
    this.#cut = entries.length >= this.#limit;
    this.#gaps.clear();
    this.#state = undefined;
  }

  /** Whether the list has to be read again. */
  get hasGaps() {
    return this.#gaps.size > 0;
  }

  /** The same one until something has changed. */
  get state() {
    return (this.#state ??= ready(this.#entries.slice()));
  }

  /** Takes in a change. One that was seen when the list was read changes nothing, or is followed by what mends it. */
  apply(event) {
    if (event.type === "inserted") this.#insert(event.entry);
    if (event.type === "pruned") this.#remove(placeOf(event.entry));
    if (event.type === "payload") this.#arrived(event);
    if (event.type === "forgotten") this.#forget(within(event.area));
  }

  #insert(entry) {
    const place = placeOf(entry);
    const { at, found } = this.#find(place);
    if (found) {
      this.#put(at, newer(entry, this.#entries[at]));
      return;
    }
    this.#gaps.delete(place);
    const isFull = this.#places.length + this.#gaps.size >= this.#limit;
    if (isFull && this.#cut && at === this.#places.length) return;
    this.#places.splice(at, 0, place);
    this.#entries.splice(at, 0, entry);
    this.#state = undefined;
    if (this.#places.length > this.#limit) {
      this.#places.pop();
      this.#entries.pop();
      this.#cut = true;
    }
  }

  #remove(place) {
    const { at, found } = this.#find(place);
    if (!found) return;
    this.#places.splice(at, 1);
    this.#entries.splice(at, 1);
    this.#state = undefined;
    if (this.#cut) this.#gaps.add(place);
  }

  #arrived({ entry, available, total }) {
    const { at, found } = this.#find(placeOf(entry));
    const known = this.#entries[at];
    if (found && known.length === total && known.available < available) this.#put(at, { ...known, available });
  }

  #put(at, entry) {
    if (this.#entries[at] === entry) return;
    this.#entries[at] = entry;
    this.#state = undefined;
  }

  #forget(isGone) {
    const left = this.#entries.filter((entry) => !isGone(entry));
    if (this.#cut) this.#entries.filter(isGone).forEach((entry) => this.#gaps.add(placeOf(entry)));
    if (left.length === this.#entries.length) return;
    this.#entries = left;
    this.#places = left.map(placeOf);
    this.#state = undefined;
  }

  /** Where a place is, or belongs. */
  #find(place) {
    let [low, high] = [0, this.#places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#places[middle];
      if (other !== place && other < place === this.#sign > 0) low = middle + 1;
      else high = middle;
    }
    return { at: low, found: this.#places[low] === place };
  }
}

/** Of two entries of one place the one that stays: a list may be ahead of what it is told. */
export function newer(told, known) {
  if (told.timestamp < known.timestamp) return known;
  const isSame = told.timestamp === known.timestamp && told.digest === known.digest;
  return isSame && told.available < known.available ? known : told;
}
