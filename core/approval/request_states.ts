/**
 * The state of each request that an approver has not decided, and how a verdict changes it. A request has no state
 * before its first verdict, or after it was decided or deleted.
 */
import { capitalize, escapeControls, shellWord } from "../lib/printable.ts";
import type { Verdict } from "./decide_request.ts";
import type { Hold } from "./evidence/claims.ts";

export type RequestState =
  /** The requester has too many pending requests, so the policies are not evaluated for this one. */
  | { readonly kind: "waiting"; readonly refusals: number }
  /** The requester is below the limit again, and this request is checked next. */
  | { readonly kind: "released" }
  /**
   * No rule decides the request or leaves it to a person, so it does not count as pending. `refusals` counts the checks
   * that lacked a permission.
   */
  | { readonly kind: "unmatched"; readonly refusals: number }
  /** A rule applies to the request but does not decide it. `reported` is the message that was reported last. */
  | { readonly kind: "pending"; readonly reported: string; readonly refusals: number }
  /**
   * A person has to decide the request. It counts towards the limits for its names and its address, but not for its
   * requester.
   */
  | {
    readonly kind: "held";
    readonly reported: string;
    readonly names: readonly string[];
    readonly address: string | undefined;
    readonly checks: number;
  }
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
  readonly isWarning?: boolean;
  /** Absent for decisions of stages without policies. */
  readonly event?: VerdictEvent;
}

/** When a pending request is checked again, in addition to changes of nodes, certificates and policies. */
export type Recheck =
  | { readonly kind: "onChange" }
  | { readonly kind: "after"; readonly ms: number }
  /** After the back-off for this number of earlier checks, and after `maxMs` at the latest. */
  | { readonly kind: "backoff"; readonly checks: number; readonly maxMs?: number };

/** The action of an approver after a verdict. */
export type ApprovalStep =
  /** Write the decision. The state is kept until the watch delivers the decided request. */
  | {
    readonly kind: "decide";
    readonly decision: Verdict & { readonly kind: "approve" | "deny" };
    readonly report: StepReport;
  }
  /** Evaluate the request again soon, because a fact could not be read. The state is kept. */
  | { readonly kind: "retry"; readonly message: string }
  /** Write nothing, and keep the request in this state. `report` is undefined when the same report was made before. */
  | {
    readonly kind: "keep";
    readonly state: RequestState;
    readonly report: StepReport | undefined;
    readonly recheck: Recheck;
  };

/** The interval at which checks that depend on the time are repeated. */
const TIME_RECHECK_MS = 60_000;
/**
 * The longest interval between checks of a held request, which are cheap and should soon notice that the other
 * certificate has expired.
 */
const LONGEST_HELD_RECHECK_MS = 10_000;

/** The state of a request before a verdict. */
interface TrackedRequest {
  readonly name: string;
  readonly state: RequestState | undefined;
  /** The address from which the request came; undefined where it is not known. */
  readonly address: string | undefined;
}

/** Plans the action of an approver after a verdict. A dry run reports the decision instead of writing it. */
export function planApprovalStep(
  { name, state, address }: TrackedRequest,
  verdict: Verdict,
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
      const { hold, rule, isWaiting, stage } = verdict;
      if (hold !== undefined) {
        const before = state?.kind === "held" ? state : undefined;
        const checks = before?.checks ?? 0;
        return {
          kind: "keep",
          state: { kind: "held", reported: message, names: hold.names, address, checks: checks + 1 },
          report: before?.reported === message
            ? undefined
            : stage === "hold"
            ? reportHold(hold)
            : reportPending(name, message),
          recheck: { kind: "backoff", checks, maxMs: LONGEST_HELD_RECHECK_MS },
        };
      }
      const before = state !== undefined && "refusals" in state ? state : undefined;
      const recheck = planRecheck(verdict, before?.refusals ?? 0);
      const refusals = recheck.kind === "backoff" ? recheck.checks + 1 : before?.refusals ?? 0;
      if (isWaiting === true) return { kind: "keep", state: { kind: "waiting", refusals }, report: undefined, recheck };
      if (rule === undefined) {
        return { kind: "keep", state: { kind: "unmatched", refusals }, report: undefined, recheck };
      }
      const isReported = before?.kind === "pending" && before.reported === message;
      return {
        kind: "keep",
        state: { kind: "pending", reported: message, refusals },
        report: isReported ? undefined : reportPending(name, message),
        recheck,
      };
    }
  }
}

/** Plans when checks of time and permissions are repeated, because their results change without an event of a watch. */
function planRecheck({ trace }: Verdict, refusals: number): Recheck {
  const failing = trace.flatMap(({ checks }) => checks).filter(({ outcome }) => outcome === "fails");
  // Each request has its own back-off, so that nodes that lack a permission do not delay each other.
  if (failing.some(({ what }) => what === "permission")) return { kind: "backoff", checks: refusals };
  const dependsOnTime = failing.some(({ what }) => what === "hours" || what === "rate");
  return dependsOnTime ? { kind: "after", ms: TIME_RECHECK_MS } : { kind: "onChange" };
}

function reportDecision(
  { kind, stage, reason, message: note }: Verdict & { readonly kind: "approve" | "deny" },
): StepReport {
  const isApproval = kind === "approve";
  const log = isApproval ? "CSR approved" : "CSR denied";
  if (stage === "token" && !isApproval) return { log, isWarning: true };
  if (stage !== "denials" && stage !== "policies") return { log };
  // The reason of an Event is one word.
  const [word = ""] = reason.split(":");
  return { log, event: { type: isApproval ? "Normal" : "Warning", reason: word, note } };
}

function reportSimulation({ kind, message }: Verdict): StepReport {
  const note = `Dry run, nothing was written. ${message}`;
  return kind === "approve"
    ? { log: "CSR would be approved", event: { type: "Normal", reason: "WouldApprove", note } }
    : { log: "CSR would be denied", event: { type: "Normal", reason: "WouldDeny", note } };
}

function reportHold({ kind, fault, fix }: Hold): StepReport {
  const note = `Left pending: ${escapeControls(fault)}. ${capitalize(escapeControls(fix))}`;
  return { log: "CSR held for a person", isWarning: true, event: { type: "Warning", reason: kind, note } };
}

function reportPending(name: string, message: string): StepReport {
  const explain = `tlsboot policy explain ${shellWord(name)}`;
  const note = `Left pending: ${message}. To see why: ${explain}`;
  return { log: "CSR left pending", event: { type: "Normal", reason: "PolicyLeftPending", note } };
}

/** The limit of pending requests for one requester. A healthy node has one or two; a person can read a hundred. */
export const MAX_PENDING = 100;

/** Whether a request may be checked. `isFirst` marks the first request of its requester that has to wait. */
type CheckDecision = { readonly kind: "check" } | { readonly kind: "wait"; readonly isFirst: boolean };

/**
 * The states of all requests. While a requester has too many pending requests, further ones wait, so one node cannot
 * keep an approver busy.
 */
export class RequestStates {
  readonly #maxPending: number;
  readonly #requests = new Map<string, { readonly requester: string; readonly state: RequestState }>();
  /** The names of the requests in each group (`listGroups`). */
  readonly #groups = new Map<string, Set<string>>();

  constructor(maxPending: number = MAX_PENDING) {
    this.#maxPending = maxPending;
  }

  get(name: string): RequestState | undefined {
    return this.#requests.get(name)?.state;
  }

  list(...kinds: readonly RequestState["kind"][]): readonly string[] {
    return kinds.flatMap((kind) => [...this.#groups.get(kind) ?? []]);
  }

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
    this.#put(name, requester, { kind: "waiting", refusals: state?.kind === "waiting" ? state.refusals : 0 });
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

  listHeld(name: string): readonly string[] {
    return [...this.#groups.get(toHeldGroup(name)) ?? []];
  }

  /**
   * Explains why a request for some names may not be held: one of the names has reached its limit of held requests.
   * Each name has its own limit, so a machine that requests the names of others does not use up the limit of machines
   * with the same token.
   */
  findExcess(request: string, names: readonly string[], address: string | undefined): string | undefined {
    const full = listHeldLimits(names, address).find(({ group, max }) => {
      const held = this.#groups.get(group);
      return held !== undefined && held.size - (held.has(request) ? 1 : 0) >= max;
    });
    if (full === undefined) return undefined;
    return `${full.max} requests for ${full.text} are already held for a person: request it again when they are ` +
      "decided";
  }

  #put(name: string, requester: string, state: RequestState): void {
    this.#remove(name);
    this.#requests.set(name, { requester, state });
    for (const group of listGroups(requester, state)) {
      const names = this.#groups.get(group) ?? new Set();
      this.#groups.set(group, names.add(name));
    }
  }

  #remove(name: string): void {
    const known = this.#requests.get(name);
    if (known === undefined) return;
    this.#requests.delete(name);
    for (const group of listGroups(known.requester, known.state)) {
      const names = this.#groups.get(group);
      names?.delete(name);
      if (names?.size === 0) this.#groups.delete(group);
    }
  }
}

/** Lists the groups of a request: its state, its state and requester, and the names and addresses by which it is held. */
function listGroups(requester: string, state: RequestState): readonly string[] {
  const held = state.kind === "held" ? listHeldLimits(state.names, state.address) : [];
  return [state.kind, toGroup(state.kind, requester), ...held.map(({ group }) => group)];
}

/** Returns the group of one requester. The space distinguishes it from the group of all requesters. */
function toGroup(kind: RequestState["kind"], requester: string): string {
  return `${kind} ${requester}`;
}

/** Returns the group of one held name. The tabs distinguish it from groups of requesters, and names from addresses. */
function toHeldGroup(name: string, address = ""): string {
  return `held\t${name}\t${address}`;
}

/**
 * The limits of held requests for one name: from all addresses, and from one. A person has to compare these requests.
 */
const MAX_HELD = { ofName: 10, ofNameAndAddress: 3 } as const;

function listHeldLimits(
  names: readonly string[],
  address: string | undefined,
): readonly { readonly group: string; readonly text: string; readonly max: number }[] {
  return names.flatMap((name) => [
    ...(address === undefined
      ? []
      : [{ group: toHeldGroup(name, address), text: `${name} from ${address}`, max: MAX_HELD.ofNameAndAddress }]),
    { group: toHeldGroup(name), text: name, max: MAX_HELD.ofName },
  ]);
}
