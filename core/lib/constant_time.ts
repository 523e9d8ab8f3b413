/** The comparison of secrets. `tests/constant_time_test.ts` checks that there is no other one. */
import { hash, timingSafeEqual } from "node:crypto";

/**
 * Reports whether two texts are equal, in a time that does not depend on where they differ. It compares digests, so the
 * lengths may differ too.
 */
export function equalsInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Uint8Array {
  return hash("sha256", text, "buffer");
}
