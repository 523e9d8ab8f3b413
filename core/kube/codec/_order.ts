/** Go sorts map keys by their UTF-8 bytes; JavaScript's order differs for characters beyond U+D7FF. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** The keys of an object in Go's order. */
export function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  return keys.length < 2 ? keys : keys.sort(compareBytes);
}

/** Surrogates stand for code points above all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
