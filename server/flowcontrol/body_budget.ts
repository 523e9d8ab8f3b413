/**
 * What the bodies of all requests may hold together. Beyond that the largest of those that are not being served is given
 * up: many small requests are never refused because of a few that send as much as they may and never end.
 */

/** The bytes of one request's body. */
export interface HeldBody {
  /** So much more is held. */
  grow(bytes: number): void;
  /** True once it has been given up. */
  readonly isGivenUp: boolean;
  /** Called when it is given up, in place of what was to be called before. */
  onGivenUp(tell: () => void): void;
  /** Its request is served: it still counts, but is given up no more. */
  keep(): void;
  /** Nothing is held any more, whatever comes. */
  release(): void;
}

/** Creates the budget. */
export function createBodyBudget(limitBytes: number): { open(): HeldBody; readonly bytes: number } {
  /** Those that may be given up. */
  const held = new Set<Body>();
  let total = 0;
  class Body implements HeldBody {
    bytes = 0;
    isGivenUp = false;
    #isReleased = false;
    #tell: (() => void) | undefined;

    grow(bytes: number): void {
      // What still arrives of a request that has been answered is thrown away.
      if (this.#isReleased) return;
      held.add(this);
      this.bytes += bytes;
      total += bytes;
      while (total > limitBytes && held.size > 0) largestOf(held).giveUp();
    }

    keep(): void {
      held.delete(this);
    }

    onGivenUp(tell: () => void): void {
      this.#tell = tell;
    }

    giveUp(): void {
      this.isGivenUp = true;
      this.release();
      this.#tell?.();
    }

    release(): void {
      this.#isReleased = true;
      held.delete(this);
      total -= this.bytes;
      this.bytes = 0;
    }
  }
  return {
    open: () => new Body(),
    get bytes() {
      return total;
    },
  };

  function largestOf(bodies: ReadonlySet<Body>): Body {
    let largest: Body | undefined;
    // Of two that are alike the later one goes.
    for (const body of bodies) if (largest === undefined || body.bytes >= largest.bytes) largest = body;
    return largest!;
  }
}
