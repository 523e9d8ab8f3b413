/** Checks that a watcher received every event over all its connections, once and in order. */

/** One event of a watch. */
export interface SeenEvent {
  readonly kind: "changed" | "deleted";
  readonly name: string;
  readonly revision: number;
  /** The number that the object counts up with each write, where it has one. */
  readonly count?: number;
}

/** Revisions must rise from one event to the next, also over a new connection. Answers what is wrong. */
export function orderFault(last: number, next: SeenEvent): string | undefined {
  if (next.revision > last) return undefined;
  return next.revision === last
    ? `revision ${last} came twice`
    : `revision ${next.revision} of ${next.name} came after ${last}`;
}

/** A counter with a single writer must be seen at each of its numbers. Returns what is wrong. */
export function countFault(lasts: Map<string, number>, { name, count }: SeenEvent): string | undefined {
  if (count === undefined) return undefined;
  const last = lasts.get(name);
  lasts.set(name, count);
  return last === undefined || count === last + 1 ? undefined : `${name} went from ${last} to ${count}`;
}

/** Compares the events of a watcher with the whole history of the same span. Returns what is wrong. */
export function compareHistories(whole: readonly SeenEvent[], seen: readonly SeenEvent[]): readonly string[] {
  const faults: string[] = [];
  const byRevision = new Map(seen.map((event) => [event.revision, event]));
  for (const { revision, name, kind } of whole) {
    const event = byRevision.get(revision);
    if (event === undefined) faults.push(`revision ${revision} (${name} ${kind}) was missed`);
    else if (event.name !== name || event.kind !== kind) {
      faults.push(`revision ${revision} is ${name} ${kind}, but was seen as ${event.name} ${event.kind}`);
    }
  }
  const known = new Set(whole.map(({ revision }) => revision));
  for (const { revision, name } of seen) {
    if (!known.has(revision)) faults.push(`revision ${revision} (${name}) was seen, and is not in the history`);
  }
  return faults;
}
