/** The machines of a simulation. Each has a clock, a disk, and a program that can be started, paused and killed. */
import type { FilePort } from "../../client/files.ts";
import type { Clock, LogFields, Logger, Random } from "../../core/ports.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { cancelEvent, deriveSeed, type EventOwner, type ScheduledEvent, type Scheduler } from "./scheduler.ts";

/** A program, which runs until its process is killed or the function returns or throws. */
export type Program = (own: Process) => Promise<void>;

/** Why a process has ended. */
type Ending = "killed" | "lost power" | "ended";

/** The time at which every simulation begins. */
export const EPOCH_MS: number = Date.UTC(2026, 0, 1);

/** The longest single timer of `createSystemClock`, which then notices a change of the clock. */
const SLICE_MS = 30_000;
/** How long the service manager waits before it restarts a program that has ended. */
const RESTART_MS = 5_000;

/** A machine. Its disk outlives its processes. */
export class Host {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly files: FilePort;
  /** The running process; undefined while there is none. */
  running: Process | undefined;
  /** Whether the machine has power; without power, it does not even refuse connections. */
  hasPower = true;
  /** How far its clock is ahead of the simulated time, in milliseconds. */
  #aheadMs = 0;
  #starts = 0;
  #program: Program | undefined;
  readonly #onEnd = new Set<(own: Process, how: Ending) => void>();

  constructor(name: string, scheduler: Scheduler, files: FilePort) {
    this.name = name;
    this.scheduler = scheduler;
    this.files = files;
  }

  /** Returns the time on its clock, in milliseconds since 1970. */
  wallMs(): number {
    return EPOCH_MS + this.scheduler.nowMs + this.#aheadMs;
  }

  /** Whether its clock differs from the simulated time. */
  get isClockSet(): boolean {
    return this.#aheadMs !== 0;
  }

  /** Starts a program, which the service manager restarts when it ends by itself. */
  start(program: Program): void {
    if (this.running !== undefined) throw new Error(`${this.name} is already running`);
    this.#program = program;
    this.hasPower = true;
    const own = new Process(this, ++this.#starts);
    this.running = own;
    this.scheduler.trace.add(this.name, `start ${this.#starts}`);
    this.scheduler.schedule(0, () => {
      program(own).then(() => this.#ended(own, "done"), (error: unknown) => this.#ended(own, describe(error)));
    }, own);
  }

  restart(): void {
    if (this.#program !== undefined && this.running === undefined) this.start(this.#program);
  }

  /** Ends the process as SIGKILL does; the system then closes its connections. */
  kill(): void {
    this.#end("killed");
  }

  /** Ends the process, and switches off its machine, which sends nothing more. */
  cutPower(): void {
    this.hasPower = false;
    this.#end("lost power");
  }

  /** Stops the process as SIGSTOP does; its timers and incoming messages wait. */
  pause(): void {
    if (this.running?.fate !== "run") return;
    this.scheduler.trace.add(this.name, "pause");
    this.running.fate = "hold";
  }

  /** Continues the process where it was paused. */
  resume(): void {
    if (this.running?.fate !== "hold") return;
    this.scheduler.trace.add(this.name, "resume");
    this.running.continue();
  }

  /** Sets the clock forward or back. */
  stepClock(ms: number): void {
    this.scheduler.trace.add(this.name, `clock ${ms < 0 ? "" : "+"}${ms} ms`);
    this.#aheadMs += ms;
    this.running?.clockChanged();
  }

  /** Calls the listener when a process of this host ends. */
  onEnd(listener: (own: Process, how: Ending) => void): void {
    this.#onEnd.add(listener);
  }

  #ended(own: Process, why: string): void {
    if (own !== this.running) return;
    this.#end("ended", why);
    this.scheduler.schedule(RESTART_MS, () => this.hasPower && this.restart(), undefined);
  }

  #end(how: Ending, why = ""): void {
    const own = this.running;
    if (own === undefined) return;
    this.running = undefined;
    own.fate = "drop";
    this.scheduler.trace.add(this.name, why === "" ? how : `${how}: ${why}`);
    for (const listener of this.#onEnd) listener(own, how);
  }
}

/** One run of a program on a host, with the product's adapters. */
export class Process implements EventOwner {
  readonly host: Host;
  readonly name: string;
  /** The name of this process in the history, where each process is its own client. */
  readonly clientName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  fate: EventOwner["fate"] = "run";
  readonly #held: ScheduledEvent[] = [];
  readonly #sleepers = new Set<() => void>();

  constructor(host: Host, start: number) {
    this.host = host;
    this.name = host.name;
    this.clientName = `${host.name}-${start}`;
    const { scheduler } = host;
    this.random = createSeededRandom(deriveSeed(scheduler.seed, `${host.name} ${start}`));
    const startedMs = scheduler.nowMs;
    this.clock = {
      now: () => new Date(host.wallMs()),
      elapsedMs: () => scheduler.nowMs - startedMs,
      sleep: (ms, signal) => this.#wait(() => ms, signal, false),
      sleepUntil: (deadline, signal) => this.#wait(() => deadline.getTime() - host.wallMs(), signal, true),
    };
    this.logger = createTraceLogger(this, {});
  }

  hold(event: ScheduledEvent): void {
    this.#held.push(event);
  }

  /** Runs the waiting events in their original order. */
  continue(): void {
    this.fate = "run";
    for (const event of this.#held.splice(0)) this.host.scheduler.release(event);
  }

  /** Makes every sleep until a time recompute its end. */
  clockChanged(): void {
    for (const wakeAgain of [...this.#sleepers]) wakeAgain();
  }

  #wait(leftMs: () => number, signal: AbortSignal, isWall: boolean): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const firstMs = leftMs();
    if (firstMs <= 0) return Promise.resolve();
    const { scheduler } = this.host;
    const startedMs = scheduler.nowMs;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let event: ScheduledEvent;
    const finish = (settle: () => void): void => {
      cancelEvent(event);
      this.#sleepers.delete(again);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    const wake = (): void => finish(resolve);
    const again = (): void => {
      cancelEvent(event);
      // The real clock checks the time only after each slice.
      const sliceMs = SLICE_MS - (scheduler.nowMs - startedMs) % SLICE_MS;
      event = scheduler.schedule(Math.max(sliceMs, leftMs()), () => leftMs() > 0 ? again() : wake(), this);
    };
    event = scheduler.schedule(firstMs, () => isWall && leftMs() > 0 ? again() : wake(), this);
    signal.addEventListener("abort", onAbort, { once: true });
    if (isWall) this.#sleepers.add(again);
    return promise;
  }
}

/** Writes a program's log lines of level `info` and above to the trace. */
function createTraceLogger(own: Process, scope: LogFields): Logger {
  const write = (level: string) => (message: string, fields: LogFields = {}): void => {
    if (own.fate === "drop") return;
    const all = Object.entries({ ...scope, ...fields }).map(([key, value]) => ` ${key}=${describe(value)}`);
    own.host.scheduler.trace.add(own.name, `${level} ${message}${all.join("")}`);
  };
  return {
    debug() {},
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (fields) => createTraceLogger(own, { ...scope, ...fields }),
  };
}

function describe(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? value.includes(" ") ? JSON.stringify(value) : value : JSON.stringify(value) ?? "";
}
