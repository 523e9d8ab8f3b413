/**
 * The state of each request that an approver has not decided, and how a verdict of the policies changes it. A request has one
 * state, or none before its first verdict and after its decision or deletion.
 */
import { shellWord } from "../lib/shell_word.ts";
import { listHoldFaults, type PolicyVerdict } from "./evaluate_policies.ts";

/** The state of one request. */
export type RequestState =
  /** The requester has too many pending requests, so the policies are not evaluated for this one. */
  | { readonly kind: "waiting" }
  /** The requester has fewer pending requests again, and this one is checked next. */
  | { readonly kind: "released" }
  /** No rule applies to the request. It is checked again when policies change, and does not count as pending. */
  | { readonly kind: "unmatched" }
  /**
   * A rule applies to the request but does not decide it. `reported` is the message that was reported last, and
   * `refusals` counts the checks that lacked a permission.
   */
  | { readonly kind: "pending"; readonly reported: string; readonly refusals: number }
  /** A person has to decide the request, because another machine has its name. It counts in `HeldRequests` only. */
  | { readonly kind: "held"; readonly reported: string }
  /** A dry run has reported the decision that it would write. */
  | { readonly kind: "simulated"; readonly reported: string };

/** The content of an Event about a request. */
export interface VerdictEvent {
  readonly type: "Normal" | "Warning";
  /** The reason as a CamelCase word, for programs. */
  readonly reason: string;
  readonly note: string;
}

/** The report on a verdict: the message of a log line, and an Event. */
export interface StepReport {
  readonly log: string;
  readonly event: VerdictEvent;
}

/** When a pending request is checked again, in addition to changes of nodes and policies. */
export type Recheck =
  | { readonly kind: "onChange" }
  | { readonly kind: "after"; readonly ms: number }
  /** After the back-off of so many earlier refusals. */
  | { readonly kind: "backoff"; readonly refusals: number };

/** The action of an approver after a verdict. */
export type ApprovalStep =
  /** Write the decision. The state is kept until the watch delivers the decided request. */
  | {
    readonly kind: "decide";
    readonly decision: PolicyVerdict & { readonly kind: "approve" | "deny" };
    readonly report: StepReport;
  }
  /** Evaluate again soon, because a fact could not be read. The state is kept. */
  | { readonly kind: "retry"; readonly message: string }
  /** Write nothing, and keep the request in this state. The report is undefined when it was made before. */
  | {
    readonly kind: "keep";
    readonly state: RequestState;
    readonly report: StepReport | undefined;
    readonly recheck: Recheck;
  };

/** How often checks that depend on the time of day are repeated. */
const TIMELY_RECHECK_MS = 60_000;
/** How often a request for a name that another machine has is checked, because certificates expire and are revoked. */
const HELD_RECHECK_MS = 10_000;

/** Plans what an approver does with a request in a state after a verdict. A dry run writes no decision, and reports it. */
export function planApprovalStep(
  name: string,
  state: RequestState | undefined,
  verdict: PolicyVerdict,
  isDryRun: boolean,
): ApprovalStep {
  const { message } = verdict;
  switch (verdict.kind) {
    case "unknown":
      return { kind: "retry", message };
    case "approve":
    case "deny": {
      if (!isDryRun) return { kind: "decide", decision: verdict, report: reportDecision(verdict) };
      const isReported = state?.kind === "simulated" && state.reported === message;
      return {
        kind: "keep",
        state: { kind: "simulated", reported: message },
        report: isReported ? undefined : reportSimulation(verdict),
        recheck: { kind: "onChange" },
      };
    }
    case "pending": {
      if (verdict.rule === undefined) {
        return { kind: "keep", state: { kind: "unmatched" }, report: undefined, recheck: { kind: "onChange" } };
      }
      if (listHoldFaults(verdict.trace).length > 0) {
        const isReported = state?.kind === "held" && state.reported === message;
        return {
          kind: "keep",
          state: { kind: "held", reported: message },
          report: isReported ? undefined : reportPending(name, message),
          recheck: { kind: "after", ms: HELD_RECHECK_MS },
        };
      }
      const before = state?.kind === "pending" ? state : undefined;
      const recheck = planRecheck(verdict, before?.refusals ?? 0);
      const refusals = recheck.kind === "backoff" ? recheck.refusals + 1 : before?.refusals ?? 0;
      return {
        kind: "keep",
        state: { kind: "pending", reported: message, refusals },
        report: before?.reported === message ? undefined : reportPending(name, message),
        recheck,
      };
    }
  }
}

/** Plans the repetition of checks of time and permissions, which change without a change of a watched object. */
function planRecheck({ trace }: PolicyVerdict, refusals: number): Recheck {
  const failing = trace.flatMap(({ checks }) => checks).filter(({ outcome }) => outcome === "fails");
  if (failing.some(({ what }) => what === "permission")) return { kind: "backoff", refusals };
  const isTimely = failing.some(({ what }) => what === "hours" || what === "rate");
  return isTimely ? { kind: "after", ms: TIMELY_RECHECK_MS } : { kind: "onChange" };
}

function reportDecision(
  { kind, reason, message: note }: PolicyVerdict & { readonly kind: "approve" | "deny" },
): StepReport {
  return kind === "approve"
    ? { log: "CSR approved", event: { type: "Normal", reason, note } }
    : { log: "CSR denied", event: { type: "Warning", reason, note } };
}

function reportSimulation({ kind, message }: PolicyVerdict): StepReport {
  const note = `Dry run, nothing was written. ${message}`;
  return kind === "approve"
    ? { log: "CSR would be approved", event: { type: "Normal", reason: "WouldApprove", note } }
    : { log: "CSR would be denied", event: { type: "Normal", reason: "WouldDeny", note } };
}

function reportPending(name: string, message: string): StepReport {
  const explain = `tlsboot approver explain ${shellWord(name)}`;
  const note = `Left pending: ${message}. Ask why with: ${explain}`;
  return { log: "CSR left pending", event: { type: "Normal", reason: "PolicyLeftPending", note } };
}

/** The limit of pending requests for one requester: a healthy node has one or two, and a person can read a hundred. */
export const MAX_PENDING = 100;

/** Whether a request may be checked. `isFirst` marks the request with which its requester reached the limit. */
export type CheckDecision = { readonly kind: "check" } | { readonly kind: "wait"; readonly isFirst: boolean };

/**
 * The states of all requests. Further requests of a requester with too many pending ones wait until some are gone, so that
 * one node cannot keep an approver busy.
 */
export class RequestStates {
  readonly #maxPending: number;
  readonly #requests = new Map<string, { readonly requester: string; readonly state: RequestState }>();
  /** The names of the requests in a state, of all requesters and of each. */
  readonly #groups = new Map<string, Set<string>>();

  constructor(maxPending: number = MAX_PENDING) {
    this.#maxPending = maxPending;
  }

  get(name: string): RequestState | undefined {
    return this.#requests.get(name)?.state;
  }

  /** Lists the requests in any of these states. */
  list(...kinds: readonly RequestState["kind"][]): readonly string[] {
    return kinds.flatMap((kind) => [...this.#groups.get(kind) ?? []]);
  }

  /** Lists the pending requests of one requester. */
  listPending(requester: string): readonly string[] {
    return [...this.#groups.get(toGroup("pending", requester)) ?? []];
  }

  /** Decides whether a request may be checked now; otherwise it waits until its requester has fewer pending requests. */
  admit(name: string, requester: string): CheckDecision {
    const state = this.get(name);
    if (state?.kind === "pending" || state?.kind === "held") return { kind: "check" };
    if (this.#countRoom(requester) > 0) {
      if (state?.kind === "waiting") this.#put(name, requester, { kind: "released" });
      return { kind: "check" };
    }
    const isFirst = !this.#groups.has(toGroup("waiting", requester));
    this.#put(name, requester, { kind: "waiting" });
    return { kind: "wait", isFirst };
  }

  /** Changes the state of a request; returns the names that may be checked now. */
  set(name: string, requester: string, state: RequestState): readonly string[] {
    this.#put(name, requester, state);
    return this.#release(requester);
  }

  /** Drops a request that is decided or deleted; returns the names that may be checked now. */
  forget(name: string): readonly string[] {
    const known = this.#requests.get(name);
    if (known === undefined) return [];
    this.#remove(name);
    return this.#release(known.requester);
  }

  /** Releases as many waiting requests as there is room for. A request for which no room is left waits again. */
  #release(requester: string): readonly string[] {
    const waiting = this.#groups.get(toGroup("waiting", requester));
    const released = waiting?.values().take(this.#countRoom(requester)).toArray() ?? [];
    for (const name of released) this.#put(name, requester, { kind: "released" });
    return released;
  }

  #countRoom(requester: string): number {
    const pending = this.#groups.get(toGroup("pending", requester))?.size ?? 0;
    return Math.max(0, this.#maxPending - pending);
  }

  #put(name: string, requester: string, state: RequestState): void {
    this.#remove(name);
    this.#requests.set(name, { requester, state });
    for (const group of [state.kind, toGroup(state.kind, requester)]) {
      const names = this.#groups.get(group) ?? new Set();
      this.#groups.set(group, names.add(name));
    }
  }

  #remove(name: string): void {
    const known = this.#requests.get(name);
    if (known === undefined) return;
    this.#requests.delete(name);
    for (const group of [known.state.kind, toGroup(known.state.kind, known.requester)]) {
      const names = this.#groups.get(group);
      names?.delete(name);
      if (names?.size === 0) this.#groups.delete(group);
    }
  }
}

/** Names the group of one requester; the space keeps it apart from the group of all requesters. */
function toGroup(kind: RequestState["kind"], requester: string): string {
  return `${kind} ${requester}`;
}

/** The limits of held requests for one name: from all addresses, and from one. A person compares them one by one. */
export const MAX_HELD = { ofName: 10, ofNameAndAddress: 3 } as const;

/** The reason of the condition of a request that is denied because of the limits of held requests. */
export const TOO_MANY_HELD = "TooManyHeldRequests";

/**
 * The requests that are held for a person. They have limits by the name that they ask for, and none by their requester: a
 * machine that asks for the names of others must not use up the limit of the machines with which it shares a token.
 */
export class HeldRequests {
  readonly #keys = new Map<string, readonly string[]>();
  readonly #counts = new Map<string, number>();

  /**
   * Holds a request for these names. Returns why not, once as many requests for one of them are held as the limits allow.
   * The address is undefined where it is not known.
   */
  hold(request: string, names: readonly string[], address: string | undefined): string | undefined {
    this.release(request);
    const limits = names.flatMap((name): readonly (readonly [string, number])[] => [
      ...(address === undefined ? [] : [[`${name} from ${address}`, MAX_HELD.ofNameAndAddress] as const]),
      [name, MAX_HELD.ofName],
    ]);
    const full = limits.find(([key, max]) => (this.#counts.get(key) ?? 0) >= max);
    if (full !== undefined) {
      return `${full[1]} requests for ${full[0]} are held for a person already: request it again when they are decided`;
    }
    const keys = limits.map(([key]) => key);
    for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.#keys.set(request, keys);
    return undefined;
  }

  /** Drops a request that is decided, deleted or not held any more. */
  release(request: string): void {
    for (const key of this.#keys.get(request) ?? []) {
      const left = (this.#counts.get(key) ?? 0) - 1;
      if (left > 0) this.#counts.set(key, left);
      else this.#counts.delete(key);
    }
    this.#keys.delete(request);
  }
}
