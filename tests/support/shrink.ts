/** Makes failing inputs smaller while they fail in the same way. */

/**
 * Tries to remove everything, then halves, quarters and so on down to single parts.
 *
 * @param without Returns a copy without `size` parts from an index on
 * @param isSame Reports whether a shorter input fails in the same way
 * @param isOver Reports whether to stop trying
 */
export async function shrink<T extends { readonly length: number }>(
  whole: T,
  without: (whole: T, at: number, size: number) => T,
  isSame: (shorter: T) => Promise<boolean>,
  isOver: () => boolean = () => false,
): Promise<T> {
  let best = whole;
  for (let size = best.length; size >= 1 && !isOver(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && !isOver();) {
      const shorter = without(best, at, size);
      if (await isSame(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}

/** Shrinks a list of which each element is a part. */
export function shrinkList<T>(
  list: readonly T[],
  isSame: (shorter: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  return shrink(list, (whole, at, size) => whole.toSpliced(at, size), isSame);
}
