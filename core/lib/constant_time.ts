/** The one way in which secrets are compared; the architecture test lets there be no other. */
import { hash, timingSafeEqual } from "node:crypto";

/**
 * Tells whether two texts are equal, in a time that tells nothing of where they differ: their digests are compared, so
 * that not even the lengths need be the same.
 */
export function equalsInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Uint8Array {
  return hash("sha256", text, "buffer");
}
