/** Base32 without padding, in the alphabet of RFC 4648 or in another one. */

const RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Crockford's alphabet: digits and letters without I, L, O and U. */
export const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export function encodeBase32(bytes: Uint8Array, alphabet: string = RFC_4648): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + alphabet[(value << (5 - bits)) & 31];
}

/** Decodes text; undefined for any other text, such as one with bits after the last byte. */
export function decodeBase32(text: string, alphabet: string = RFC_4648): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (value >> bits) & 0xff;
  }
  return bits < 5 && (value & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
