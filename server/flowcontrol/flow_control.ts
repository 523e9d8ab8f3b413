/**
 * Seats for requests, and a queue for each priority level (`apiserver/pkg/util/flowcontrol`). A request that waits too
 * long, or finds its queue full, is refused and may be retried.
 */
import type { Clock } from "../../core/ports.ts";
import { LARGE_BODY_BYTES } from "../http/limits.ts";
import { createBodyBudget, type HeldBody } from "./body_budget.ts";
import { FlowQueue } from "./flow_queue.ts";
import {
  hasFreeSeat,
  LEVEL_NAMES,
  type LevelName,
  LEVELS,
  type Place,
  planSeats,
  type Seats,
} from "./priority_levels.ts";
import { AppError } from "../../core/errors.ts";

/** The seat that a request occupies while it is served, and its body in memory. */
export interface Seat {
  /**
   * Gives up the seat while the server waits for the client, so that a slow client delays no other request, and then until
   * no other large body of the same flow is served. Throws OverloadError when it waits too long for that or for a free
   * seat, or when the body was evicted.
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
export function createFlowControl(options: FlowControlOptions): FlowControl {
  return new SeatedFlowControl(options);
}

class SeatedFlowControl implements FlowControl {
  readonly #clock: Clock;
  readonly #onRejected: FlowControlOptions["onRejected"];
  readonly #seats: Seats;
  readonly #seated = createLevelRecord(() => 0);
  readonly #queues = createLevelRecord((name) => new FlowQueue<Waiting>(LEVELS[name].queueLimit));
  /** The flows of which a large body is served, each with the requests that wait for it. */
  readonly #large = new Map<string, FlowQueue<Waiting>>();
  readonly #budget = createBodyBudget(MAX_BODY_BYTES_HELD);

  constructor({ clock, seats, onRejected }: FlowControlOptions) {
    this.#clock = clock;
    this.#seats = planSeats(seats);
    this.#onRejected = onRejected;
  }

  async acquireSeat(place: Place, signal: () => AbortSignal): Promise<Seat> {
    await this.#takeSeat(place, signal);
    const body = this.#budget.open();
    let isSeated = true;
    let isLarge = false;
    return {
      yieldWhile: async (step) => {
        isSeated = false;
        this.#freeSeat(place.level);
        const evicted = Promise.withResolvers<never>();
        body.onEvicted(() => evicted.reject(this.#reject(place, "queue-full")));
        const result = await Promise.race([step(), evicted.promise]);
        if (body.isEvicted) throw new OverloadError("queue-full");
        if (body.bytes >= LARGE_BODY_BYTES) {
          await this.#beginLarge(place, signal, body);
          isLarge = true;
        }
        const turn = this.#takeSeat(place, signal, body);
        if (turn !== undefined) await turn;
        isSeated = true;
        // The body may have been evicted after the seat was granted.
        if (body.isEvicted) throw this.#reject(place, "queue-full");
        body.pin();
        return result;
      },
      holdBytes: (bytes) => body.grow(bytes),
      release: () => {
        body.release();
        if (isSeated) this.#freeSeat(place.level);
        isSeated = false;
        if (isLarge) this.#endLarge(place.flow);
        isLarge = false;
      },
    };
  }

  figures(): Readonly<Record<LevelName, LevelFigures>> {
    return createLevelRecord((name) => ({
      executing: this.#seated[name],
      waiting: this.#queues[name].size,
      seats: this.#seats.of[name].nominal,
    }));
  }

  /** Takes a seat at once when no request of the level waits and a seat is free; otherwise returns the wait. */
  #takeSeat(place: Place, signal: () => AbortSignal, body?: HeldBody): Promise<void> | undefined {
    const { level } = place;
    if (this.#queues[level].size > 0 || !hasFreeSeat(this.#seats, this.#seated, level)) {
      return this.#wait(this.#queues[level], place, signal(), body);
    }
    this.#seated[level]++;
    return undefined;
  }

  /** Waits until no other large body of the flow is served. */
  async #beginLarge(place: Place, signal: () => AbortSignal, body: HeldBody): Promise<void> {
    const waiting = this.#large.get(place.flow);
    if (waiting !== undefined) return await this.#wait(waiting, place, signal(), body);
    // The budget of all bodies limits how many wait.
    this.#large.set(place.flow, new FlowQueue(Infinity));
  }

  #endLarge(flow: string): void {
    const next = this.#large.get(flow)?.take();
    if (next === undefined) this.#large.delete(flow);
    else next.settle(undefined);
  }

  async #wait(queue: FlowQueue<Waiting>, place: Place, signal: AbortSignal, body?: HeldBody): Promise<void> {
    if (signal.aborted) throw this.#reject(place, "cancelled");
    const { promise, resolve, reject: fail } = Promise.withResolvers<void>();
    const done = new AbortController();
    const waiting: Waiting = {
      ...place,
      settle: (reason) => reason === undefined ? resolve() : fail(this.#reject(place, reason)),
    };
    const stopWaiting = (reason: RejectReason): void => {
      if (queue.remove(waiting)) waiting.settle(reason);
    };
    const cancel = (): void => stopWaiting("cancelled");
    signal.addEventListener("abort", cancel, { once: true });
    body?.onEvicted(() => stopWaiting("queue-full"));
    this.#clock.sleep(MAX_WAIT_MS, done.signal)
      .then(() => stopWaiting("time-out"), () => undefined);
    queue.add(waiting)?.settle("queue-full");
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", cancel);
      done.abort(new Error("no longer waiting"));
    }
  }

  #reject(place: Place, reason: RejectReason): OverloadError {
    this.#onRejected?.(place, reason);
    return new OverloadError(reason);
  }

  #freeSeat(level: LevelName): void {
    this.#seated[level]--;
    // A level that has lent a seat gets one back before another level borrows.
    for (const name of LEVEL_NAMES) this.#seatWaiting(name, this.#seats.of[name].nominal);
    for (const name of LEVEL_NAMES) this.#seatWaiting(name, Infinity);
  }

  #seatWaiting(name: LevelName, limit: number): void {
    const seated = this.#seated;
    while (this.#queues[name].size > 0 && seated[name] < limit && hasFreeSeat(this.#seats, seated, name)) {
      seated[name]++;
      this.#queues[name].take()?.settle(undefined);
    }
  }
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
