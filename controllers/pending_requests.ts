/**
 * Tracks the requests that policies have not decided, by requester. They are checked again when something changes. Further
 * requests of a requester with too many of them wait until some are gone, so that one node cannot keep an approver busy.
 */

/** The pending requests of all requesters. */
export interface PendingRequests {
  /** Decides whether a request may be checked now, or waits until its requester has fewer pending requests. */
  admit(name: string, requester: string): Admission;
  /** Records that a request was checked and stays pending. */
  add(name: string, requester: string): void;
  /** Records that a request is decided or deleted; returns the names that may be checked now. */
  forget(name: string): readonly string[];
  /** Lists all requests that may be checked again. */
  names(): readonly string[];
  /** Lists the pending requests of one requester. */
  namesFor(requester: string): readonly string[];
}

/** The answer to whether a request may be checked. */
export type Admission =
  | { readonly kind: "check" }
  /** `isFirst` marks the request that reached the limit. */
  | { readonly kind: "wait"; readonly isFirst: boolean };

/** The limit for one requester: more than a person wants to read through, while a healthy node has one or two. */
export const MAX_PENDING = 100;

interface Requester {
  readonly pending: Set<string>;
  readonly waiting: Set<string>;
}

/** Creates an empty tracker with a limit for each requester. */
export function createPendingRequests(most: number = MAX_PENDING): PendingRequests {
  const requesters = new Map<string, Requester>();
  const owners = new Map<string, string>();

  function ensure(requester: string): Requester {
    const known = requesters.get(requester) ?? { pending: new Set<string>(), waiting: new Set<string>() };
    requesters.set(requester, known);
    return known;
  }

  return {
    admit(name, requester) {
      const known = requesters.get(requester);
      if (known === undefined || known.pending.has(name) || known.pending.size < most) {
        known?.waiting.delete(name);
        return { kind: "check" };
      }
      const isFirst = known.waiting.size === 0;
      known.waiting.add(name);
      owners.set(name, requester);
      return { kind: "wait", isFirst };
    },
    add(name, requester) {
      ensure(requester).pending.add(name);
      owners.set(name, requester);
    },
    forget(name) {
      const owner = owners.get(name);
      const known = owner === undefined ? undefined : requesters.get(owner);
      if (owner === undefined || known === undefined) return [];
      owners.delete(name);
      known.pending.delete(name);
      known.waiting.delete(name);
      const released = known.waiting.values().take(Math.max(0, most - known.pending.size)).toArray();
      // Each is released once; a request that comes too late for the room waits again.
      for (const one of released) known.waiting.delete(one);
      if (known.pending.size === 0 && known.waiting.size === 0) requesters.delete(owner);
      return released;
    },
    namesFor: (requester) => [...requesters.get(requester)?.pending ?? []],
    names: () => [...requesters.values()].flatMap(({ pending }) => [...pending]),
  };
}
