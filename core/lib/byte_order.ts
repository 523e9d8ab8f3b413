/**
 * The order of text by its UTF-8 bytes, in which Go sorts (JavaScript's differs for characters beyond U+D7FF), and sets of
 * text, in which order does not matter.
 */

/** Code units that may sort differently from their UTF-8 bytes. */
const HIGH = /[\ud800-\uffff]/;
/** How many units are compared one by one; longer equal beginnings, such as those of storage keys, are faster natively. */
const FEW = 12;

/** Compares two texts by their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (i === FEW && !(HIGH.test(a) && HIGH.test(b))) return a === b ? 0 : a < b ? -1 : 1;
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Returns the keys of an object in Go's order. */
export function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  return keys.length < 2 ? keys : keys.sort(compareBytes);
}

/** Returns an object with its members in Go's order, without those that are undefined. */
export function sortMembers(object: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(sortedKeys(object).flatMap((key) => object[key] === undefined ? [] : [[key, object[key]]]));
}

/** Ranks surrogates above all other units, because they stand for the code points beyond U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Reports whether two lists without duplicates contain the same strings, in any order. */
export function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value) => b.includes(value));
}
