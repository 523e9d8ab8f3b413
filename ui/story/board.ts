/** The story as the page shows it: the steps so far with what was printed, the picture, and the pace that the page sets. */
import type { Clock } from "../../core/ports.ts";
import { type Audience, type Cast, type Pace, STEP_IDS, type StepId, type StoryEvent } from "./chapters.ts";
import { addToPicture, EMPTY_PICTURE, type Picture } from "./picture.ts";

/** A line that the terminal prints too. */
export type BoardLine = Extract<StoryEvent, { readonly kind: "command" | "answer" | "fact" }>;

export interface BoardStep {
  readonly id: StepId;
  readonly cast: Cast;
  readonly lines: readonly BoardLine[];
}

/** Whether the story waits for a button before each step, or goes on after a pause. */
export type BoardMode = "step" | "auto";

/** How long a step is shown before the next one begins by itself: long enough to read it. */
const READING_MS = 8_000;

/** The board: an audience of the story and its pace. Its version grows with each change. */
export class StoryBoard implements Pace {
  /** The functions that are called at each change. */
  readonly listeners = new Set<() => void>();
  version = 0;
  readonly #clock: Clock;
  #mode: BoardMode;
  #picture: Picture = EMPTY_PICTURE;
  #steps: BoardStep[] = [];
  #isOpen = false;
  #isWaiting = false;
  #hasEnded = false;
  #credit = 0;
  #wake: () => void = () => {};

  constructor(clock: Clock, mode: BoardMode) {
    this.#clock = clock;
    this.#mode = mode;
  }

  get mode(): BoardMode {
    return this.#mode;
  }

  get picture(): Picture {
    return this.#picture;
  }

  /** The steps that have begun; the last one is the present one. */
  get steps(): readonly BoardStep[] {
    return this.#steps;
  }

  /** Whether the present step is done, and the next one can begin. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The next step; undefined after the last one. */
  get nextId(): StepId | undefined {
    return STEP_IDS[this.#steps.length];
  }

  /** Adds an event of the story. */
  readonly show: Audience = (event) => {
    this.#picture = addToPicture(this.#picture, event);
    if (event.kind === "step") this.#steps.push({ id: event.id, cast: event.cast, lines: [] });
    else if (event.kind === "command" || event.kind === "answer" || event.kind === "fact") this.#addLine(event);
    else if (event.kind === "end") this.#hasEnded = true;
    this.#notify();
  };

  /** Begins the story, because a browser shows the page. */
  open(): void {
    this.#isOpen = true;
    this.#wake();
  }

  /** Lets the next step begin, if it is still the one that the user has seen as the next. */
  next(seen: string): void {
    if (seen !== this.nextId) return;
    this.#credit = 1;
    this.#wake();
  }

  /** Changes how the story goes on. */
  setMode(mode: BoardMode): void {
    this.#mode = mode;
    this.#wake();
    this.#notify();
  }

  /** Waits for the page: for the first time it is shown, then for the button or for the end of the pause. */
  async wait(signal: AbortSignal): Promise<void> {
    const startedAt = this.#clock.elapsedMs();
    this.#isWaiting = true;
    this.#notify();
    try {
      while (!this.#mayGoOn(startedAt)) await this.#waitForChange(startedAt, signal);
      this.#credit = 0;
    } finally {
      this.#isWaiting = false;
    }
  }

  #mayGoOn(startedAt: number): boolean {
    if (this.#credit > 0) return true;
    if (!this.#isOpen || this.#mode === "step") return false;
    return this.#steps.length === 0 || this.#clock.elapsedMs() - startedAt >= READING_MS;
  }

  async #waitForChange(startedAt: number, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    const left = READING_MS - (this.#clock.elapsedMs() - startedAt);
    const isTimed = this.#isOpen && this.#mode === "auto";
    // A sleep that ends with the wake-up, or with the signal; the loop looks again in any case.
    const sleep = this.#clock.sleep(isTimed ? Math.max(1, left) : 3_600_000, AbortSignal.any([signal, done.signal]));
    await Promise.race([woken, sleep.catch(() => {})]);
    done.abort(new Error("the wait has ended"));
    signal.throwIfAborted();
  }

  #addLine(line: BoardLine): void {
    const present = this.#steps.at(-1);
    // The first line comes before the first step, and only the terminal needs it.
    if (present === undefined || this.#hasEnded) return;
    this.#steps[this.#steps.length - 1] = { ...present, lines: [...present.lines, line] };
  }

  #notify(): void {
    this.version += 1;
    for (const listener of [...this.listeners]) listener();
  }
}
