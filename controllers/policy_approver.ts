/** Decides requests by policies: reads the evidence, lets core decide, writes the verdict and records it as an Event. */
import { withApproval, withDenial } from "../core/approval/conditions.ts";
import { hasCertificate } from "../core/csr/phase.ts";
import { parseRequest } from "../core/csr/request.ts";
import { AppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import {
  evaluateDenials,
  evaluatePolicies,
  findDenialRules,
  findPolicyPermissions,
  type PolicyVerdict,
} from "../core/approval/evaluate_policies.ts";
import { collectPolicyNeeds } from "../core/approval/needs.ts";
import type { CsrStore, Logger } from "../core/ports.ts";
import { escapeControls } from "../core/lib/printable.ts";
import { shellWord } from "../core/lib/shell_word.ts";
import {
  type CsrIndex,
  type EvidenceSources,
  gatherPolicyInput,
  type NodeWatch,
  type PolicySettings,
} from "./evidence.ts";
import { createKeyedMutex } from "../core/lib/keyed_mutex.ts";
import { createPendingRequests, MAX_PENDING } from "./pending_requests.ts";
import { createManualTrigger, DONE, type Outcome, type Trigger } from "./loop.ts";
import { backoffMs } from "./queue.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** The result of asking the policies about a request. */
export type Judged =
  | { readonly kind: "settled"; readonly outcome: Outcome }
  /** It stays pending; the outcome says when the policies are asked again. */
  | { readonly kind: "pending"; readonly outcome: Outcome };

/** Decides requests by the configured policies. */
export interface PolicyApprover {
  /**
   * Asks the rules that deny, before anything may approve. Undefined when none of them decides, so that other rules go on.
   */
  deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined>;
  /** Asks all rules. Requests of the same requester are judged one at a time. */
  judge(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged>;
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

/** How often checks that depend on the time of day are repeated. */
const RECHECK_MS = 60_000;
/** How long a request waits while the nodes are being listed for the first time. */
const NODE_LIST_WAIT_MS = 250;

/** Creates the policy approver. The controller that runs it must also use its triggers. */
export function createPolicyApprover(deps: PolicyApproverDeps): PolicyApprover {
  const { settings, events, logger, index, nodes, maxPending = MAX_PENDING } = deps;
  const pending = createPendingRequests(maxPending);
  const mutex = createKeyedMutex();
  const requeue = createManualTrigger();
  /** The last verdict reported for each request. */
  const lastReported = new Map<string, string>();
  const failedChecks = new Map<string, number>();
  /** Requests that no policy is about: checked again when policies change, and not counted against their requester. */
  const unmatched = new Set<string>();
  const reportedInDryRun = new Set<string>();
  const sources: EvidenceSources = {
    ...deps.sources,
    listApproved: (username) => index.listApproved(username),
    reported: () => collectPolicyNeeds(settings.current().policies).nodes ? nodes.reported() : { kind: "none" },
  };

  /** Has no limit for each requester, because a denial settles the request. */
  async function deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined> {
    const { policies } = settings.current();
    if (findDenialRules(policies, csr).length === 0) return undefined;
    return await mutex.runExclusive(csr.spec.username ?? "", async () => {
      const verdict = await ask(csr, evaluateDenials, signal);
      return verdict === undefined || verdict.kind === "leave" ? undefined : await act(name, csr, verdict, signal);
    });
  }

  /** Judges one request at a time for each requester, so that counts and rates include the one just decided. */
  async function judge(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged> {
    const requester = csr.spec.username ?? "";
    return await mutex.runExclusive(requester, async () => {
      const admission = pending.admit(name, requester);
      if (admission.kind === "check") return await decide(name, csr, signal);
      if (admission.isFirst) await reportTooMany(csr, requester, signal);
      return { kind: "pending", outcome: DONE };
    });
  }

  async function decide(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged> {
    const verdict = await ask(csr, evaluatePolicies, signal);
    if (verdict === undefined) return { kind: "pending", outcome: DONE };
    if (verdict.kind === "leave") return { kind: "pending", outcome: await keepPending(name, csr, verdict, signal) };
    return { kind: "settled", outcome: await act(name, csr, verdict, signal) };
  }

  /** Evaluates policies for a request; undefined when the request cannot be parsed. */
  async function ask(
    csr: CertificateSigningRequest,
    evaluate: typeof evaluatePolicies,
    signal: AbortSignal,
  ): Promise<PolicyVerdict | undefined> {
    const request = parseRequest(csr.spec.request);
    if (!request.ok) return undefined;
    const { policies, inventory } = settings.current();
    const about = { csr, request: request.value };
    const input = await gatherPolicyInput(sources, { inventory }, about, findPolicyPermissions(policies, csr), signal);
    return evaluate(policies, input);
  }

  async function act(
    name: string,
    csr: CertificateSigningRequest,
    verdict: Exclude<PolicyVerdict, { readonly kind: "leave" }>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (verdict.kind !== "unknown") return await settle(name, csr, verdict, signal);
    if (nodes.isStarting()) return { kind: "requeueAfter", ms: NODE_LIST_WAIT_MS };
    return { kind: "retry", error: new AppError("unreachable", verdict.message) };
  }

  async function settle(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict & { readonly kind: "approve" | "deny" },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const isApproval = verdict.kind === "approve";
    const fields = toLogFields(name, csr, verdict);
    if (deps.isDryRun) {
      reportedInDryRun.add(name);
      if (!isUnreported(name, verdict)) return DONE;
      logger.info(isApproval ? "CSR would be approved" : "CSR would be denied", fields);
      const note = `Dry run, nothing was written. ${verdict.message}`;
      const reason = isApproval ? "WouldApprove" : "WouldDeny";
      await events.record(csr, { type: "Normal", reason, note }, signal);
      return DONE;
    }
    const decided = (isApproval ? withApproval : withDenial)(csr, verdict);
    if (!decided.ok) return DONE;
    index.put(await deps.store.update(decided.value, signal, "approval"));
    logger.info(isApproval ? "CSR approved" : "CSR denied", fields);
    const type = isApproval ? "Normal" : "Warning";
    await events.record(csr, { type, reason: verdict.reason, note: verdict.message }, signal);
    return DONE;
  }

  async function keepPending(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (verdict.rule === undefined) {
      requeue.fire(pending.forget(name));
      unmatched.add(name);
      logger.debug("CSR is about no policy", { csr: name, signerName: csr.spec.signerName });
      return DONE;
    }
    pending.add(name, csr.spec.username ?? "");
    if (isUnreported(name, verdict)) {
      logger.info("CSR left pending", toLogFields(name, csr, verdict));
      const note = `Left pending: ${verdict.message}. Ask why with: tlsboot approver explain ${
        shellWord(name)
      }, and this approver's --policy and --inventory`;
      await events.record(csr, { type: "Normal", reason: "PolicyLeftPending", note }, signal);
    }
    return planNextCheck(name, verdict);
  }

  /** Repeats checks of time and permissions, which change without any change to a watched object. */
  function planNextCheck(name: string, verdict: PolicyVerdict): Outcome {
    const failing = verdict.trace.flatMap(({ checks }) => checks).filter(({ outcome }) => outcome === "fails");
    if (failing.some(({ what }) => what === "permission")) {
      const count = failedChecks.get(name) ?? 0;
      failedChecks.set(name, count + 1);
      return { kind: "requeueAfter", ms: backoffMs(count) };
    }
    const isTimely = failing.some(({ what }) => what === "hours" || what === "rate");
    return isTimely ? { kind: "requeueAfter", ms: RECHECK_MS } : DONE;
  }

  async function reportTooMany(csr: CertificateSigningRequest, requester: string, signal: AbortSignal): Promise<void> {
    const clear = `tlsboot approver clear ${shellWord(requester)}`;
    logger.warn("a requester has too many pending requests, further ones are not checked", {
      requester,
      pending: maxPending,
      clear,
    });
    const note =
      `${maxPending} requests of "${
        escapeControls(requester)
      }" stay pending; this one and later ones are not checked ` +
      `until there are fewer. To delete them: ${clear}`;
    await events.record(csr, { type: "Warning", reason: "TooManyRequests", note }, signal, true);
  }

  function isUnreported(name: string, { kind, message }: PolicyVerdict): boolean {
    const words = `${kind}\n${message}`;
    if (lastReported.get(name) === words) return false;
    lastReported.set(name, words);
    return true;
  }

  return {
    deny,
    judge,
    forget(name, settled) {
      lastReported.delete(name);
      failedChecks.delete(name);
      unmatched.delete(name);
      reportedInDryRun.delete(name);
      requeue.fire(pending.forget(name));
      // A certificate that was just issued is evidence for the next requests of its holder.
      if (settled !== undefined && hasCertificate(settled)) requeue.fire(pending.namesFor(settled.spec.username ?? ""));
    },
    triggers: [
      requeue,
      { changes: nodes.changes, nameFor: () => [...pending.names(), ...reportedInDryRun] },
      { changes: settings.changes, nameFor: () => [...pending.names(), ...reportedInDryRun, ...unmatched] },
    ],
  };
}

function toLogFields(
  name: string,
  { spec }: CertificateSigningRequest,
  { policy, rule, message }: PolicyVerdict,
): Readonly<Record<string, unknown>> {
  return { csr: name, signerName: spec.signerName, username: spec.username, policy, rule, why: message };
}
