/**
 * Seats for requests, and a queue for each priority level (`apiserver/pkg/util/flowcontrol`). A request that waits too
 * long, or finds its queue full, is refused and may be retried.
 */
import type { Clock } from "../../core/ports.ts";
import { createBodyBudget, type HeldBody } from "./body_budget.ts";
import { FlowQueue } from "./flow_queue.ts";
import { hasFreeSeat, LEVEL_NAMES, type LevelName, LEVELS, type Place, planSeats } from "./priority_levels.ts";
import { AppError } from "../../core/errors.ts";

/** The seat that a request occupies while it is served, and its body in memory. */
export interface Seat {
  /**
   * Gives up the seat while the server waits for the client, so that a slow client delays no other request. Throws
   * OverloadError when no seat is free afterwards, or when the body was evicted.
   */
  yieldWhile<T>(wait: () => Promise<T>): Promise<T>;
  /** Adds bytes of the body that are held in memory. */
  holdBytes(bytes: number): void;
  /** Frees the seat and the bytes of the body, because the request has been served. */
  release(): void;
}

/** The figures of one priority level, for metrics. */
export interface LevelFigures {
  readonly executing: number;
  readonly waiting: number;
  readonly seats: number;
}

/** Decides when each request is served. */
export interface FlowControl {
  /** Takes a seat, and waits for one when none is free. The signal ends the wait. Throws OverloadError. */
  acquireSeat(place: Place, signal: () => AbortSignal): Promise<Seat>;
  figures(): Readonly<Record<LevelName, LevelFigures>>;
}

/** Dependencies and limits of flow control. */
export interface FlowControlOptions {
  readonly clock: Clock;
  /** The number of requests that are served at the same time: the sum of kube-apiserver's two flags. */
  readonly seats: number;
  /** Called for each request that is rejected. */
  readonly onRejected?: (place: Place, reason: RejectReason) => void;
}

/** A quarter of the request timeout, as in kube-apiserver. */
const MAX_WAIT_MS = 15_000;
/** The budget for the bodies of all requests: 42 bodies of the largest size. */
const MAX_BODY_BYTES_HELD = 128 * 1_048_576;

interface Waiting extends Place {
  /** Ends the wait: with a seat when there is no reason for a rejection. */
  settle(reason: RejectReason | undefined): void;
}

/** Creates flow control with every seat free. */
export function createFlowControl({ clock, seats: total, onRejected }: FlowControlOptions): FlowControl {
  const seats = planSeats(total);
  const seated = createLevelRecord(() => 0);
  const queues = createLevelRecord((name) => new FlowQueue<Waiting>(LEVELS[name].queueLimit));
  const budget = createBodyBudget(MAX_BODY_BYTES_HELD);

  /** Takes a seat at once when no request of the level waits and a seat is free; otherwise returns the wait. */
  function takeSeat(place: Place, signal: () => AbortSignal, body?: HeldBody): Promise<void> | undefined {
    if (queues[place.level].size > 0 || !hasFreeSeat(seats, seated, place.level)) return wait(place, signal(), body);
    seated[place.level]++;
    return undefined;
  }

  async function wait(place: Place, signal: AbortSignal, body?: HeldBody): Promise<void> {
    if (signal.aborted) throw reject(place, "cancelled");
    const { promise, resolve, reject: fail } = Promise.withResolvers<void>();
    const done = new AbortController();
    const waiting: Waiting = {
      ...place,
      settle: (reason) => reason === undefined ? resolve() : fail(reject(place, reason)),
    };
    const stopWaiting = (reason: RejectReason): void => {
      if (queues[place.level].remove(waiting)) waiting.settle(reason);
    };
    const cancel = (): void => stopWaiting("cancelled");
    signal.addEventListener("abort", cancel, { once: true });
    body?.onEvicted(() => stopWaiting("queue-full"));
    clock.sleep(MAX_WAIT_MS, done.signal)
      .then(() => stopWaiting("time-out"), () => undefined);
    queues[place.level].add(waiting)?.settle("queue-full");
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", cancel);
      done.abort(new Error("no longer waiting"));
    }
  }

  function reject(place: Place, reason: RejectReason): OverloadError {
    onRejected?.(place, reason);
    return new OverloadError(reason);
  }

  function freeSeat(level: LevelName): void {
    seated[level]--;
    // A level that has lent a seat gets one back before another level borrows.
    for (const name of LEVEL_NAMES) seatWaiting(name, seats.of[name].nominal);
    for (const name of LEVEL_NAMES) seatWaiting(name, Infinity);
  }

  function seatWaiting(name: LevelName, limit: number): void {
    while (queues[name].size > 0 && seated[name] < limit && hasFreeSeat(seats, seated, name)) {
      seated[name]++;
      queues[name].take()?.settle(undefined);
    }
  }

  function createSeat(place: Place, signal: () => AbortSignal): Seat {
    const body: HeldBody = budget.open();
    let isSeated = true;
    return {
      async yieldWhile(step) {
        isSeated = false;
        freeSeat(place.level);
        const evicted = Promise.withResolvers<never>();
        body.onEvicted(() => evicted.reject(reject(place, "queue-full")));
        const result = await Promise.race([step(), evicted.promise]);
        if (body.isEvicted) throw new OverloadError("queue-full");
        const turn = takeSeat(place, signal, body);
        if (turn !== undefined) await turn;
        isSeated = true;
        // The body may have been evicted after the seat was granted.
        if (body.isEvicted) throw reject(place, "queue-full");
        body.pin();
        return result;
      },
      holdBytes: (bytes) => body.grow(bytes),
      release() {
        body.release();
        if (isSeated) freeSeat(place.level);
        isSeated = false;
      },
    };
  }

  return {
    async acquireSeat(place, signal) {
      await takeSeat(place, signal);
      return createSeat(place, signal);
    },
    figures: () =>
      createLevelRecord((name) => ({
        executing: seated[name],
        waiting: queues[name].size,
        seats: seats.of[name].nominal,
      })),
  };
}

function createLevelRecord<T>(make: (name: LevelName) => T): Record<LevelName, T> {
  return Object.fromEntries(LEVEL_NAMES.map((name) => [name, make(name)])) as Record<LevelName, T>;
}

/** The reason of a rejection, as in the metric `apiserver_flowcontrol_rejected_requests_total`. */
export type RejectReason = "queue-full" | "time-out" | "cancelled";

/** The server is overloaded, and the request may be retried. The client gets kube-apiserver's text. */
export class OverloadError extends AppError {
  readonly reason: RejectReason;

  constructor(reason: RejectReason) {
    super("unreachable", `cannot serve the request: ${reason}`, { retryable: true });
    this.reason = reason;
  }
}
