/**
 * Seats for requests, and a queue for each priority level (`apiserver/pkg/util/flowcontrol`): who waits too long, or
 * comes when too many wait, is told to come again.
 */
import type { Clock } from "../../core/ports.ts";
import { createBodyBudget, type HeldBody } from "./body_budget.ts";
import { FlowQueue } from "./flow_queue.ts";
import { OverloadError, type RejectReason } from "./overload_error.ts";
import { LEVEL_NAMES, type LevelName, LEVELS, type Place } from "./priority_levels.ts";
import { maySit, planSeats } from "./seats.ts";

/** What a request takes up while it is served. */
export interface Share {
  /**
   * Waits for the client without a seat, so that who sends slowly keeps nobody waiting. Throws OverloadError when there
   * is no seat afterwards, or its body has been given up.
   */
  aside<T>(wait: () => Promise<T>): Promise<T>;
  /** So many more bytes of its body are held. */
  hold(bytes: number): void;
  /** The request has been served. */
  leave(): void;
}

/** What can be told of a level. */
export interface LevelFigures {
  readonly seated: number;
  readonly waiting: number;
  readonly seats: number;
}

/** Decides which request is served when. */
export interface FlowControl {
  /** Waits for a seat, unless there is one. The signal ends the wait. Throws OverloadError. */
  enter(place: Place, signal: () => AbortSignal): Promise<Share>;
  figures(): Readonly<Record<LevelName, LevelFigures>>;
}

/** What flow control needs. */
export interface FlowControlOptions {
  readonly clock: Clock;
  /** How many requests are served at once: the sum of kube-apiserver's two flags. */
  readonly seats: number;
  /** Hears of each request that is turned away. */
  readonly onRejected?: (place: Place, reason: RejectReason) => void;
}

/** A quarter of the time that a request may take, as in kube-apiserver. */
const MAX_WAIT_MS = 15_000;
/** 42 bodies of the largest size. */
const MAX_BODY_BYTES_HELD = 128 * 1_048_576;

interface Waiting extends Place {
  /** Undefined gives a seat. */
  settle(reason: RejectReason | undefined): void;
}

/** Creates it, with every seat free. */
export function createFlowControl({ clock, seats: total, onRejected }: FlowControlOptions): FlowControl {
  const seats = planSeats(total);
  const seated = recordOf(() => 0);
  const queues = recordOf((name) => new FlowQueue<Waiting>(LEVELS[name].queueLimit));
  const budget = createBodyBudget(MAX_BODY_BYTES_HELD);

  /** At once when nobody of the level waits and there is a seat. */
  function sit(place: Place, signal: () => AbortSignal, body?: HeldBody): Promise<void> | undefined {
    if (queues[place.level].size > 0 || !maySit(seats, seated, place.level)) return wait(place, signal(), body);
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
    const give = (reason: RejectReason): void => {
      if (queues[place.level].remove(waiting)) waiting.settle(reason);
    };
    const cancel = (): void => give("cancelled");
    signal.addEventListener("abort", cancel, { once: true });
    body?.onGivenUp(() => give("queue-full"));
    clock.sleep(MAX_WAIT_MS, done.signal)
      .then(() => give("time-out"), () => undefined);
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

  function rise(level: LevelName): void {
    seated[level]--;
    // Who has lent a seat comes before who borrows one.
    for (const name of LEVEL_NAMES) seatWaiting(name, seats.of[name].nominal);
    for (const name of LEVEL_NAMES) seatWaiting(name, Infinity);
  }

  function seatWaiting(name: LevelName, limit: number): void {
    while (queues[name].size > 0 && seated[name] < limit && maySit(seats, seated, name)) {
      seated[name]++;
      queues[name].take()?.settle(undefined);
    }
  }

  function shareOf(place: Place, signal: () => AbortSignal): Share {
    const body: HeldBody = budget.open();
    let isSeated = true;
    return {
      async aside(step) {
        isSeated = false;
        rise(place.level);
        const given = Promise.withResolvers<never>();
        body.onGivenUp(() => given.reject(reject(place, "queue-full")));
        const result = await Promise.race([step(), given.promise]);
        if (body.isGivenUp) throw new OverloadError("queue-full");
        const turn = sit(place, signal, body);
        if (turn !== undefined) await turn;
        isSeated = true;
        // It may have been given up between the seat and here.
        if (body.isGivenUp) throw reject(place, "queue-full");
        body.keep();
        return result;
      },
      hold: (bytes) => body.grow(bytes),
      leave() {
        body.release();
        if (isSeated) rise(place.level);
        isSeated = false;
      },
    };
  }

  return {
    async enter(place, signal) {
      await sit(place, signal);
      return shareOf(place, signal);
    },
    figures: () =>
      recordOf((name) => ({
        seated: seated[name],
        waiting: queues[name].size,
        seats: seats.of[name].nominal,
      })),
  };
}

function recordOf<T>(make: (name: LevelName) => T): Record<LevelName, T> {
  return Object.fromEntries(LEVEL_NAMES.map((name) => [name, make(name)])) as Record<LevelName, T>;
}
