/**
 * How many requests users may cancel. One that is cancelled as soon as it is sent costs the server its work and the
 * client nothing (CVE-2023-44487), on as many connections as somebody likes: so what counts is the user.
 */

/** Limits of one user. */
export interface CancellationLimits {
  /** At once, */
  readonly cancelledOfUser: number;
  /** and so many more in every second. */
  readonly cancelledPerSecond: number;
}

/** What users have left. */
export interface Cancellations {
  /** Takes one; false when there is none left. */
  take(user: string): boolean;
  /** Forgets who has all of theirs again. */
  sweep(): void;
}

/** Creates it; `now` is monotonic, in milliseconds. */
export function createCancellations(now: () => number, limits: CancellationLimits): Cancellations {
  const users = new Map<string, { left: number; at: number }>();

  function refilled(budget: { left: number; at: number }): { left: number; at: number } {
    const at = now();
    const more = (at - budget.at) / 1000 * limits.cancelledPerSecond;
    budget.left = Math.min(limits.cancelledOfUser, budget.left + more);
    budget.at = at;
    return budget;
  }

  return {
    take(user) {
      let budget = users.get(user);
      if (budget === undefined) users.set(user, budget = { left: limits.cancelledOfUser, at: now() });
      if (refilled(budget).left < 1) return false;
      budget.left--;
      return true;
    },
    sweep() {
      for (const [user, budget] of users) {
        if (refilled(budget).left >= limits.cancelledOfUser) users.delete(user);
      }
    },
  };
}
