/** Decides requests by policies: gathers the evidence, lets core decide, writes the decision and records it as an Event. */
import { withApproval, withDenial } from "../core/approval/conditions.ts";
import {
  asksForClaims,
  evaluateDenials,
  evaluatePolicies,
  findDenialRules,
  findPolicyPermissions,
  listHoldFaults,
  type PolicyVerdict,
} from "../core/approval/evaluate_policies.ts";
import { collectPolicyNeeds } from "../core/approval/needs.ts";
import { listClaimedNames } from "../core/approval/name_claims.ts";
import {
  MAX_PENDING,
  planApprovalStep,
  type Recheck,
  RequestStates,
  TOO_MANY_HELD,
} from "../core/approval/request_states.ts";
import { hasCertificate } from "../core/csr/phase.ts";
import { parseRequest } from "../core/csr/request.ts";
import { AppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { createKeyedMutex } from "../core/lib/keyed_mutex.ts";
import { escapeControls } from "../core/lib/printable.ts";
import { shellWord } from "../core/lib/shell_word.ts";
import type { CsrStore, Logger } from "../core/ports.ts";
import {
  type CsrIndex,
  type EvidenceSources,
  gatherPolicyInput,
  type HeldLimits,
  type NodeWatch,
  type PolicySettings,
  withNeededClaims,
} from "./evidence.ts";
import { createManualTrigger, DONE, type Outcome, type Trigger } from "./loop.ts";
import { backoffMs } from "./queue.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** The result of evaluating the policies for a request. */
export type PolicyOutcome =
  | { readonly kind: "settled"; readonly outcome: Outcome }
  /** The request stays pending; the outcome determines when the policies are evaluated again. */
  | { readonly kind: "pending"; readonly outcome: Outcome };

/** Decides requests by the configured policies. */
export interface PolicyApprover {
  /**
   * Evaluates the rules that deny, before anything may approve. Undefined when none of them decides, so that other
   * rules follow.
   */
  deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined>;
  /** Evaluates all rules. Requests of the same requester are evaluated one at a time. */
  decide(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<PolicyOutcome>;
  /** Drops the state of a request that was deleted or settled; a settled one is passed. */
  forget(name: string, settled?: CertificateSigningRequest): void;
  /** Triggers that make the controller check pending requests again. */
  readonly triggers: readonly Trigger[];
}

/** The dependencies of the policy approver. */
export interface PolicyApproverDeps {
  readonly store: Pick<CsrStore, "update">;
  readonly index: CsrIndex;
  readonly nodes: NodeWatch;
  readonly sources: Omit<EvidenceSources, "listApproved" | "reported">;
  readonly held: HeldLimits;
  /** Lists the requests that the node guard holds, which are checked again when the settings change. */
  readonly listHeld?: () => readonly string[];
  /** The present settings; they may change while the approver runs. */
  readonly settings: {
    current(): PolicySettings;
    /** Yields any value after each change. */
    changes: Trigger["changes"];
  };
  readonly events: VerdictEvents;
  readonly logger: Logger;
  /** Reports what would be done, and writes nothing into requests. */
  readonly isDryRun: boolean;
  /** How many pending requests of one requester are checked. */
  readonly maxPending?: number;
}

/** How long a request waits while the nodes are being listed for the first time. */
const NODE_LIST_WAIT_MS = 250;

/** Creates the policy approver. The controller that runs it must also use its triggers. */
export function createPolicyApprover(deps: PolicyApproverDeps): PolicyApprover {
  const { settings, events, logger, index, nodes, held, isDryRun, maxPending = MAX_PENDING } = deps;
  const requests = new RequestStates(maxPending);
  const mutex = createKeyedMutex();
  const claimMutex = createKeyedMutex();
  const requeue = createManualTrigger();
  const sources: EvidenceSources = {
    ...deps.sources,
    listApproved: (username) => index.listApproved(username),
    reported: () => collectPolicyNeeds(settings.current().policies).nodes ? nodes.reported() : { kind: "none" },
  };

  /** Evaluates requests without a limit per requester, because a denial settles the request. */
  async function deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined> {
    if (findDenialRules(settings.current().policies, csr).length === 0) return undefined;
    return await mutex.runExclusive(getRequester(csr), async () => {
      const verdict = await evaluate(evaluateDenials, csr, signal);
      return verdict === undefined || verdict.kind === "pending"
        ? undefined
        : await carryOut(name, csr, verdict, signal);
    });
  }

  /** Evaluates one request at a time for each requester, so that counts and rates include the previous decision. */
  async function decide(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<PolicyOutcome> {
    const requester = getRequester(csr);
    return await mutex.runExclusive(requester, async () => {
      const admission = requests.admit(name, requester);
      if (admission.kind === "wait") {
        if (admission.isFirst) await reportTooMany(csr, requester, signal);
        return { kind: "pending", outcome: DONE };
      }
      const evaluateAll = async (): Promise<PolicyOutcome> => {
        const evaluated = await evaluate(evaluatePolicies, csr, signal);
        if (evaluated === undefined) return { kind: "pending", outcome: DONE };
        const verdict = await limitHeld(name, csr, evaluated);
        const outcome = await carryOut(name, csr, verdict, signal);
        return { kind: verdict.kind === "pending" ? "pending" : "settled", outcome };
      };
      // Two requesters must not both be the first to hold a name.
      const isAboutClaims = asksForClaims(settings.current().policies, csr);
      return isAboutClaims ? await claimMutex.runExclusive("names", evaluateAll) : await evaluateAll();
    });
  }

  /** Reads the facts and evaluates policies; undefined when the request cannot be parsed. */
  async function evaluate(
    decide: typeof evaluatePolicies,
    csr: CertificateSigningRequest,
    signal: AbortSignal,
  ): Promise<PolicyVerdict | undefined> {
    const request = parseRequest(csr.spec.request);
    if (!request.ok) return undefined;
    const { policies, inventory } = settings.current();
    const about = { csr, request: request.value };
    const from = withNeededClaims(sources, policies, csr);
    const input = await gatherPolicyInput(from, { inventory }, about, findPolicyPermissions(policies, csr), signal);
    return decide(policies, input);
  }

  async function carryOut(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const step = planApprovalStep(name, requests.get(name), verdict, isDryRun);
    switch (step.kind) {
      case "retry":
        if (nodes.isStarting()) return { kind: "requeueAfter", ms: NODE_LIST_WAIT_MS };
        return { kind: "retry", error: new AppError("unreachable", step.message) };
      case "decide": {
        const decided = (step.decision.kind === "approve" ? withApproval : withDenial)(csr, step.decision);
        if (!decided.ok) return DONE;
        index.put(await deps.store.update(decided.value, signal, "approval"));
        break;
      }
      case "keep":
        requeue.fire(requests.set(name, getRequester(csr), step.state));
        if (step.state.kind === "unmatched") {
          logger.debug("CSR is about no policy", { csr: name, signerName: csr.spec.signerName });
        }
    }
    if (step.report !== undefined) {
      logger.info(step.report.log, toLogFields(name, csr, verdict));
      await events.record(csr, step.report.event, signal);
    }
    return step.kind === "keep" ? toOutcome(step.recheck) : DONE;
  }

  /** Denies a request that would be held when there are too many already. */
  async function limitHeld(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict,
  ): Promise<PolicyVerdict> {
    const isHeld = verdict.kind === "pending" && verdict.rule !== undefined && listHoldFaults(verdict.trace).length > 0;
    const request = isHeld ? parseRequest(csr.spec.request) : undefined;
    if (!isHeld || request?.ok !== true) {
      held.requests.release(name);
      return verdict;
    }
    const excess = held.requests.hold(name, listClaimedNames(request.value), await held.findAddress?.(csr));
    if (excess === undefined) return verdict;
    return { ...verdict, kind: "deny", rule: verdict.rule, reason: TOO_MANY_HELD, message: excess };
  }

  async function reportTooMany(csr: CertificateSigningRequest, requester: string, signal: AbortSignal): Promise<void> {
    const clear = `tlsboot approver clear ${shellWord(requester)}`;
    logger.warn("a requester has too many pending requests, further ones are not checked", {
      requester,
      pending: maxPending,
      clear,
    });
    const note = `${maxPending} requests of "${escapeControls(requester)}" stay pending; this one and later ones are ` +
      `not checked until there are fewer. To delete them: ${clear}`;
    await events.record(csr, { type: "Warning", reason: "TooManyRequests", note }, signal, true);
  }

  return {
    deny,
    decide,
    forget(name, settled) {
      held.requests.release(name);
      requeue.fire(requests.forget(name));
      // A certificate that was just issued is evidence for the next requests of its holder.
      if (settled !== undefined && hasCertificate(settled)) requeue.fire(requests.listPending(getRequester(settled)));
    },
    triggers: [
      requeue,
      { changes: nodes.changes, nameFor: () => requests.list("pending", "simulated") },
      {
        changes: settings.changes,
        nameFor: () => [...requests.list("pending", "held", "simulated", "unmatched"), ...deps.listHeld?.() ?? []],
      },
    ],
  };
}

function getRequester({ spec }: CertificateSigningRequest): string {
  return spec.username ?? "";
}

function toOutcome(recheck: Recheck): Outcome {
  switch (recheck.kind) {
    case "onChange":
      return DONE;
    case "after":
      return { kind: "requeueAfter", ms: recheck.ms };
    case "backoff":
      return { kind: "requeueAfter", ms: backoffMs(recheck.refusals) };
  }
}

function toLogFields(
  name: string,
  { spec }: CertificateSigningRequest,
  { policy, rule, message }: PolicyVerdict,
): Readonly<Record<string, unknown>> {
  return { csr: name, signerName: spec.signerName, username: spec.username, policy, rule, why: message };
}
