/**
 * A shared budget for the bodies of all requests. When it is exceeded, the largest body whose request is not being
 * served yet is evicted, so that a few clients with large or endless bodies never cause many small requests to be
 * refused.
 */

/** The share of one request's body in the budget. */
export interface HeldBody {
  grow(bytes: number): void;
  /** The bytes that the request holds in memory. */
  readonly bytes: number;
  /** Whether the body has been evicted. */
  readonly isEvicted: boolean;
  /** Sets the function that is called when the body is evicted, and replaces an earlier one. */
  onEvicted(listener: () => void): void;
  /** Protects the body from eviction while its request is served. Its bytes still count. */
  pin(): void;
  /** Returns the bytes to the budget. Later bytes are ignored. */
  release(): void;
}

export function createBodyBudget(limitBytes: number): { open(): HeldBody; readonly bytes: number } {
  const evictable = new Set<Body>();
  let total = 0;
  class Body implements HeldBody {
    bytes = 0;
    isEvicted = false;
    #isReleased = false;
    #onEvicted: (() => void) | undefined;

    grow(bytes: number): void {
      // Bytes that arrive after the answer are discarded.
      if (this.#isReleased) return;
      evictable.add(this);
      this.bytes += bytes;
      total += bytes;
      while (total > limitBytes && evictable.size > 0) findLargest(evictable).evict();
    }

    pin(): void {
      evictable.delete(this);
    }

    onEvicted(listener: () => void): void {
      this.#onEvicted = listener;
    }

    evict(): void {
      this.isEvicted = true;
      this.release();
      this.#onEvicted?.();
    }

    release(): void {
      this.#isReleased = true;
      evictable.delete(this);
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

  function findLargest(bodies: ReadonlySet<Body>): Body {
    let largest: Body | undefined;
    // Of two bodies of the same size the later one is evicted.
    for (const body of bodies) if (largest === undefined || body.bytes >= largest.bytes) largest = body;
    return largest!;
  }
}
