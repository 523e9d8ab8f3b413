/** The comparison of secrets. `tests/constant_time_test.ts` checks that there is no other one. */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

/** Reports whether two texts are equal, in a time that depends on their lengths alone and not on where they differ. */
export function equalsInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
