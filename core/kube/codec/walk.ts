/** Recursion that uses heap memory instead of the stack, for documents that may be thousands of levels deep. */

/** A walk over one node, which yields the walks over its children and receives their results. */
export type Walk<T> = Generator<Walk<T>, T, T>;

/** Runs a walk to its end and returns its result. */
export function finishWalk<T>(start: Walk<T>): T {
  const open: Walk<T>[] = [start];
  // A generator ignores the argument of the first `next`.
  let found: readonly [] | readonly [T] = [];
  for (;;) {
    const walk = open[open.length - 1] ?? start;
    const step: IteratorResult<Walk<T>, T> = found.length === 0
      ? (walk as Generator<Walk<T>, T, unknown>).next()
      : walk.next(found[0]);
    if (step.done !== true) {
      open.push(step.value);
      found = [];
      continue;
    }
    open.pop();
    if (open.length === 0) return step.value;
    found = [step.value];
  }
}
