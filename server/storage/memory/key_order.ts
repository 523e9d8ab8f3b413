/**
 * Byte order of keys. Lists are ordered as etcd orders them, by the UTF-8 bytes of the key; JavaScript compares UTF-16
 * units, which differs only where surrogates (U+10000 and above) meet units from U+E000 to U+FFFF.
 */

/** Negative when `a` comes before `b`, zero when they are equal, positive otherwise. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** A surrogate stands for a code point above every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
