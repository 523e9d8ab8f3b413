/** What a watcher was told over all its connections, and whether it was everything, once and in order. */

/** One event of a watch. */
export interface Told {
  readonly kind: "changed" | "deleted";
  readonly name: string;
  readonly revision: number;
  /** The number that the object counts up with each write, where it has one. */
  readonly count?: number;
}

/** Revisions must rise from one event to the next, also over a new connection. Answers what is wrong. */
export function orderFault(last: number, next: Told): string | undefined {
  if (next.revision > last) return undefined;
  return next.revision === last
    ? `revision ${last} came twice`
    : `revision ${next.revision} of ${next.name} came after ${last}`;
}

/** A counter that somebody alone writes must be seen at each of its numbers. Answers what is wrong. */
export function countFault(lasts: Map<string, number>, { name, count }: Told): string | undefined {
  if (count === undefined) return undefined;
  const last = lasts.get(name);
  lasts.set(name, count);
  return last === undefined || count === last + 1 ? undefined : `${name} went from ${last} to ${count}`;
}

/** Compares what a watcher was told with the whole history of the same span. Answers what is wrong. */
export function compareHistories(whole: readonly Told[], told: readonly Told[]): readonly string[] {
  const faults: string[] = [];
  const seen = new Map(told.map((event) => [event.revision, event]));
  for (const { revision, name, kind } of whole) {
    const event = seen.get(revision);
    if (event === undefined) faults.push(`revision ${revision} (${name} ${kind}) was missed`);
    else if (event.name !== name || event.kind !== kind) {
      faults.push(`revision ${revision} is ${name} ${kind}, but was told as ${event.name} ${event.kind}`);
    }
  }
  const known = new Set(whole.map(({ revision }) => revision));
  for (const { revision, name } of told) {
    if (!known.has(revision)) faults.push(`revision ${revision} (${name}) was told, and is not in the history`);
  }
  return faults;
}
