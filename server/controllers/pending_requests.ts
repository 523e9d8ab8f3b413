/**
 * Requests that a policy left pending: looked at again when something changes, and counted by requester. A requester with
 * too many of them is not looked at any further until some are gone, so that one node cannot keep an approver busy.
 */

/** Left requests of all requesters. */
export interface PendingRequests {
  /** Whether a request is looked at; when it is not, it waits until the requester has fewer. */
  admit(name: string, requester: string): Admission;
  /** It was looked at and left pending. */
  add(name: string, requester: string): void;
  /** It is decided or gone; answers the names that may be looked at now. */
  forget(name: string): readonly string[];
  /** All that may be looked at again. */
  names(): readonly string[];
  /** Those of one requester. */
  namesFor(requester: string): readonly string[];
}

/** Whether to look. */
export type Admission =
  | { readonly kind: "look" }
  /** `isFirst` for the request that opened the breaker. */
  | { readonly kind: "wait"; readonly isFirst: boolean };

/** More of one requester than a person wants to read through; a healthy node has one or two. */
export const MAX_PENDING = 100;

interface Requester {
  readonly pending: Set<string>;
  readonly waiting: Set<string>;
}

/** Makes an empty count. */
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
        return { kind: "look" };
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
      // Told once; whoever comes too late for the room waits again.
      for (const one of released) known.waiting.delete(one);
      if (known.pending.size === 0 && known.waiting.size === 0) requesters.delete(owner);
      return released;
    },
    namesFor: (requester) => [...requesters.get(requester)?.pending ?? []],
    names: () => [...requesters.values()].flatMap(({ pending }) => [...pending]),
  };
}
