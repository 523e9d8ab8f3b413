/** The story as the page shows it: the steps so far with what was printed, the picture, and the pace that the page sets. */
import { compareNaturally } from "../../core/lib/natural_order.ts";
import type { Clock } from "../../core/ports.ts";
import {
  type ApprovedBy,
  type Audience,
  type Cast,
  type Pace,
  SLEEPER,
  STEP_IDS,
  type StepId,
  type StoryEvent,
} from "./chapters.ts";

/** A line that the terminal prints too. */
type BoardLine = Extract<StoryEvent, { readonly kind: "command" | "answer" | "fact" }>;

export interface BoardStep {
  readonly id: StepId;
  readonly cast: Cast;
  readonly lines: readonly BoardLine[];
}

/** Whether the story waits for a button before each step, or continues after a pause. */
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
  #mayBegin = false;
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

  /** The steps that have begun, with the current one last. */
  get steps(): readonly BoardStep[] {
    return this.#steps;
  }

  /** Whether the current step is done, so that the next one can begin. */
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
    this.#mayBegin = true;
    this.#wake();
  }

  /** Changes whether the story waits before each step. */
  setMode(mode: BoardMode): void {
    this.#mode = mode;
    this.#wake();
    this.#notify();
  }

  /** Waits until the page is open, then for the button or the end of the pause. */
  async wait(signal: AbortSignal): Promise<void> {
    const startedAt = this.#clock.elapsedMs();
    this.#isWaiting = true;
    this.#notify();
    try {
      while (!this.#mayGoOn(startedAt)) await this.#waitForChange(startedAt, signal);
      this.#mayBegin = false;
    } finally {
      this.#isWaiting = false;
    }
  }

  #mayGoOn(startedAt: number): boolean {
    if (this.#mayBegin) return true;
    if (!this.#isOpen || this.#mode === "step") return false;
    return this.#steps.length === 0 || this.#clock.elapsedMs() - startedAt >= READING_MS;
  }

  async #waitForChange(startedAt: number, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    const left = READING_MS - (this.#clock.elapsedMs() - startedAt);
    const isTimed = this.#isOpen && this.#mode === "auto";
    // A sleep that ends with the wake-up, or with the signal; the loop checks again in either case.
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

export interface DrawnMachine {
  readonly name: string;
  /** Its credential: only a token, or a certificate that is valid, expired or revoked. */
  readonly holds: "token" | "valid" | "expired" | "revoked" | "nothing";
  /** The end of its certificate. */
  readonly notAfter: Date | undefined;
  /** The number of certificates that it has got so far. */
  readonly certificates: number;
  readonly isOff: boolean;
}

export interface DrawnRequest {
  readonly name: string;
  readonly state: "pending" | "approved" | "issued" | "refused";
  readonly by: ApprovedBy | undefined;
}

/** The connection between two parts that is used now. */
export type Flow =
  | { readonly between: "machines"; readonly words: string; readonly isRefused: boolean }
  | { readonly between: "approver" | "signer"; readonly words: string };

/** Everything that the page draws. */
export interface Picture {
  /** The name of the CA, as soon as there is one. */
  readonly authority: string | undefined;
  readonly server: "none" | "running" | "stopped";
  readonly hasRule: boolean;
  /** The number of certificates that the signer has issued. */
  readonly issued: number;
  readonly machines: readonly DrawnMachine[];
  /** The requests, the newest first. */
  readonly requests: readonly DrawnRequest[];
  readonly thief: "none" | "ready" | "watching" | "lockedOut";
  readonly flow: Flow | undefined;
}

/** The picture before the first event. */
export const EMPTY_PICTURE: Picture = {
  authority: undefined,
  server: "none",
  hasRule: false,
  issued: 0,
  machines: [],
  requests: [],
  thief: "none",
  flow: undefined,
};

/** Returns the picture after one more event. */
export function addToPicture(picture: Picture, event: StoryEvent): Picture {
  switch (event.kind) {
    case "step":
      return { ...picture, flow: undefined, hasRule: picture.hasRule || event.id === "rule" };
    case "authority":
      return { ...picture, authority: event.name };
    case "serving":
      return { ...picture, server: "running" };
    case "stopped":
      return { ...picture, server: "stopped", flow: undefined };
    case "requested": {
      const known = picture.machines.find(({ name }) => name === event.machine);
      const credential = known?.holds === "valid" || known?.holds === "expired" ? "its certificate" : "a token";
      return {
        ...withMachine(picture, event.machine, known === undefined ? { holds: "token" } : { isOff: false }),
        requests: [{ name: event.machine, state: "pending", by: undefined }, ...picture.requests],
        flow: { between: "machines", words: `request, with ${credential}`, isRefused: false },
      };
    }
    case "approved":
      return {
        ...withRequest(picture, event.machine, { state: "approved", by: event.by }),
        flow: { between: "approver", words: `approved by ${BY[event.by]}` },
      };
    case "issued": {
      const { certificates = 0 } = picture.machines.find(({ name }) => name === event.machine) ?? {};
      const changes = { holds: "valid", notAfter: event.notAfter, certificates: certificates + 1 } as const;
      return {
        ...withMachine(withRequest(picture, event.machine, { state: "issued" }), event.machine, changes),
        issued: picture.issued + 1,
        flow: { between: "signer", words: "certificate" },
      };
    }
    case "refused":
      return {
        ...picture,
        requests: [{ name: event.requester, state: "refused", by: undefined }, ...picture.requests],
        flow: { between: "machines", words: "403 Forbidden", isRefused: true },
      };
    case "accepted":
      return { ...picture, flow: { between: "machines", words: `call as ${event.machine}`, isRefused: false } };
    case "switchedOff":
      return { ...withMachine(picture, event.machine, { isOff: true }), flow: undefined };
    case "expired":
      return {
        ...withMachine(picture, event.machine, { holds: "expired", isOff: false }),
        flow: { between: "machines", words: "401 Unauthorized", isRefused: true },
      };
    case "copied":
      return { ...picture, thief: "ready" };
    case "watching":
      return { ...picture, thief: "watching", flow: { between: "machines", words: "open watch", isRefused: false } };
    case "revoked":
      return withMachine(picture, event.machine, { holds: "revoked" });
    case "cutOff":
      return {
        ...picture,
        thief: "lockedOut",
        flow: { between: "machines", words: "watch ended, 401 Unauthorized", isRefused: true },
      };
    case "wiped":
      return { ...withMachine(picture, event.machine, { holds: "nothing", notAfter: undefined }), flow: undefined };
    case "command":
    case "answer":
    case "fact":
      return picture;
    case "end":
      return { ...picture, flow: undefined };
  }
}

/** Who approved a request, for the picture. */
const BY: Readonly<Record<ApprovedBy, string>> = { person: "a person", rule: "a rule", token: "its own token" };

function withMachine(picture: Picture, name: string, changes: Partial<DrawnMachine>): Picture {
  const known = picture.machines.find((machine) => machine.name === name);
  const base: DrawnMachine = known ?? { name, holds: "nothing", notAfter: undefined, certificates: 0, isOff: false };
  const next = { ...base, ...changes };
  const machines = known === undefined
    ? [...picture.machines, next].toSorted((one, other) => compareNaturally(one.name, other.name))
    : picture.machines.map((machine) => machine === known ? next : machine);
  return { ...picture, machines };
}

/** Changes the newest request of a machine. */
function withRequest(picture: Picture, name: string, changes: Partial<DrawnRequest>): Picture {
  const newest = picture.requests.find((request) => request.name === name);
  const requests = picture.requests.map((request) => request === newest ? { ...request, ...changes } : request);
  return { ...picture, requests };
}

/**
 * Chooses the machines that fit into the boxes of the picture; the others share one box. The last machine is always
 * shown, because it has a part in the story.
 */
export function chooseMachines(
  { machines }: Picture,
  room: number,
): { readonly shown: readonly DrawnMachine[]; readonly others: number } {
  if (machines.length <= room) return { shown: machines, others: 0 };
  const nodes = machines.filter(({ name }) => name !== SLEEPER);
  const sleeper = machines.filter(({ name }) => name === SLEEPER);
  const shown = [...nodes.slice(0, room - 2 - sleeper.length), ...nodes.slice(-1), ...sleeper];
  return { shown, others: machines.length - shown.length };
}

/** Describes a machine in a few words. */
export function describeMachine({ holds, notAfter, isOff }: DrawnMachine): string {
  const state = {
    token: "only a token",
    valid: `valid until ${notAfter?.toISOString().slice(0, 10) ?? ""}`,
    expired: "certificate expired",
    revoked: "certificate revoked",
    nothing: "set up again",
  }[holds];
  return isOff ? `switched off, ${state}` : state;
}

/** Describes the whole picture in sentences, for users who do not see it. */
export function describePicture(picture: Picture): string {
  const { authority, server, issued, requests, thief } = picture;
  const counts = (["pending", "approved", "issued", "refused"] as const).flatMap((state) => {
    const count = requests.filter((request) => request.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  const { shown, others } = chooseMachines(picture, 6);
  return [
    authority === undefined ? "There is no certificate authority yet." : `The certificate authority is ${authority}.`,
    {
      none: "There is no server yet.",
      running: "The API server runs.",
      stopped: "The API server has stopped.",
    }[server],
    counts.length === 0 ? "" : `Requests: ${counts.join(", ")}.`,
    issued === 0 ? "" : `The signer has issued ${issued} ${issued === 1 ? "certificate" : "certificates"}.`,
    ...shown.map((machine) => `${machine.name}: ${describeMachine(machine)}.`),
    others === 0 ? "" : `${others} more machines.`,
    {
      none: "",
      ready: "A thief has a copy of a machine's files.",
      watching: "A thief watches all requests.",
      lockedOut: "The thief is locked out.",
    }[thief],
  ].filter((sentence) => sentence !== "").join(" ");
}
