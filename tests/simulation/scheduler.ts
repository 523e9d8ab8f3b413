/**
 * Orders everything that happens in a simulation with a queue of events in simulated time. After each event all
 * microtasks and ticks run before time moves on, so a run depends only on its seed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import process from "node:process";
import { setImmediate } from "node:timers";
import type { Random } from "../../core/ports.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createTrace, type Trace } from "./trace.ts";

/** A program that runs on a host, which owns the events that its code creates. */
export interface EventOwner {
  /** The name in the trace. */
  readonly name: string;
  /** `drop` for the events of a program that has ended, `hold` for those of a paused program. */
  readonly fate: "run" | "hold" | "drop";
  /** Keeps an event of a paused program for later. */
  hold(event: ScheduledEvent): void;
}

export interface ScheduledEvent {
  readonly atMs: number;
  readonly number: number;
  readonly owner: EventOwner | undefined;
  /** The function to run; undefined once the event has run or was cancelled. */
  run: (() => void) | undefined;
}

/** Node's own function, which the simulation replaces later. */
const turnLoop = setImmediate;

/** Runs all microtasks and ticks that are due, which Node otherwise does after each callback of its event loop. */
const drain = (process as unknown as { readonly _tickCallback: () => void })._tickCallback;

/**
 * The number of events in one turn of the real event loop. Nothing real can complete within a turn; between turns V8
 * may run finalizers.
 */
const EVENTS_IN_TURN = 1_000;

/** The longest simulated time for which the world waits for a function. */
const LONGEST_WORK_MS = 3_600_000;

/** The resolution of time: a power of two, so that times since 1970 are exact in a double. */
const TICKS_IN_MS = 1_024;

/** The queue of events, the simulated time, and the randomness of the world. */
export class Scheduler {
  readonly seed: number;
  /** The randomness of the world: delays, faults, and what clients do. */
  readonly random: Random;
  readonly trace: Trace;
  /** The program whose code is running; undefined for the world itself. */
  readonly owner = new AsyncLocalStorage<EventOwner | undefined>();
  /** The number of events that have run. */
  steps = 0;
  #nowMs = 0;
  #created = 0;
  #fault: unknown;
  readonly #queue: ScheduledEvent[] = [];

  constructor(seed: number, tracePath?: string) {
    this.seed = seed;
    this.random = createSeededRandom(deriveSeed(seed, "world"));
    this.trace = createTrace(() => this.#nowMs, tracePath);
  }

  /** Milliseconds since the start of the simulation, independent of the hosts' clocks. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Adds an event of the running program, or of the given owner, which is undefined for the world itself. Events with
   * the same time run in the order in which they were added.
   */
  schedule(delayMs: number, run: () => void, ...owners: readonly (EventOwner | undefined)[]): ScheduledEvent {
    const owner = owners.length === 0 ? this.owner.getStore() : owners[0];
    const event: ScheduledEvent = { atMs: this.#nowMs + toWholeTicks(delayMs), number: this.#created++, owner, run };
    this.#push(event);
    return event;
  }

  /** Adds a held event of a paused program again when the program continues. */
  release({ run, owner }: ScheduledEvent): void {
    if (run !== undefined) this.schedule(0, run, owner);
  }

  /** Ends the run with an error. */
  fail(error: unknown): void {
    this.#fault ??= error;
  }

  /** Runs events until a time, or until the condition holds after an event. Rejects with the error passed to `fail`. */
  run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          for (let count = 0; count < EVENTS_IN_TURN; count++) {
            const isLast = !this.#step(untilMs);
            if (this.#fault !== undefined) throw this.#fault;
            if (isLast || isDone()) return resolve();
          }
          turnLoop(turn);
        } catch (error) {
          reject(error);
        }
      };
      turnLoop(turn);
    });
  }

  /** Runs an asynchronous function of the world or of a program, and returns its result. */
  async perform<T>(work: () => Promise<T>, owner?: EventOwner): Promise<T> {
    let result: { readonly value: T } | undefined;
    this.schedule(0, () => {
      work().then((value) => result = { value }, (error: unknown) => this.fail(error));
    }, owner);
    await this.run(this.#nowMs + LONGEST_WORK_MS, () => result !== undefined);
    if (result === undefined) throw new Error("a function that the world waits for has not ended within an hour");
    return result.value;
  }

  /** Runs the next event and its microtasks; returns false if no event is due. */
  #step(untilMs: number): boolean {
    const next = this.#queue[0];
    if (next === undefined || next.atMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#pop();
    const { run, owner } = next;
    const fate = run === undefined ? "drop" : owner?.fate ?? "run";
    if (fate === "hold") owner?.hold(next);
    if (fate !== "run" || run === undefined) return true;
    this.#nowMs = next.atMs;
    next.run = undefined;
    this.steps++;
    this.owner.run(owner, run);
    drain();
    return true;
  }

  #push(event: ScheduledEvent): void {
    const queue = this.#queue;
    let at = queue.length;
    queue.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(event, queue[above]!)) break;
      queue[at] = queue[above]!;
      at = above;
    }
    queue[at] = event;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop()!;
    if (queue.length === 0) return;
    let at = 0;
    for (let below = 1; below < queue.length; below = 2 * at + 1) {
      if (below + 1 < queue.length && isBefore(queue[below + 1]!, queue[below]!)) below++;
      if (!isBefore(queue[below]!, last)) break;
      queue[at] = queue[below]!;
      at = below;
    }
    queue[at] = last;
  }
}

/**
 * Rounds a duration up to ticks, which add up without rounding errors: a sleep whose remainder is too small to change
 * the time would never end.
 */
function toWholeTicks(ms: number): number {
  return Math.max(0, Math.ceil(ms * TICKS_IN_MS)) / TICKS_IN_MS;
}

/** Derives a seed from the seed of a run and a name, so that an additional host does not affect the others. */
export function deriveSeed(seed: number, name: string): number {
  return createHash("sha256").update(`${seed} ${name}`).digest().readUInt32BE(0);
}

/** Cancels an event unless it has already run. */
export function cancelEvent(event: ScheduledEvent | undefined): void {
  if (event !== undefined) event.run = undefined;
}

function isBefore(one: ScheduledEvent, other: ScheduledEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.number < other.number);
}
