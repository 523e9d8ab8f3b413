/** Minimizes an input: pieces are removed as long as it fails in the same way. */
import { join } from "./mutate.ts";
import type { Bytes } from "./target.ts";

/**
 * Removes halves, quarters and so on down to single bytes.
 *
 * @param isSame whether an input fails as the first one did
 * @param isOver whether the time is over
 */
export async function minimize(
  input: Bytes,
  isSame: (input: Bytes) => Promise<boolean>,
  isOver: () => boolean,
): Promise<Bytes> {
  let best = input;
  for (let size = Math.ceil(best.length / 2); size >= 1 && !isOver(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && !isOver();) {
      const shorter = join(best.subarray(0, at), best.subarray(at + size));
      if (shorter.length < best.length && await isSame(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}
