/** The part of the approver that asks policies: reads the evidence, lets core decide, writes the verdict and tells it. */
import { withApproval, withDenial } from "../../core/approval/conditions.ts";
import { hasCertificate } from "../../core/csr/phase.ts";
import { parseRequest } from "../../core/csr/request.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import {
  evaluateDenials,
  evaluatePolicies,
  findDenialRules,
  findPolicyPermissions,
  type PolicyVerdict,
} from "../../core/approval/evaluate_policies.ts";
import { collectPolicyNeeds } from "../../core/approval/needs.ts";
import type { CsrStore, Logger } from "../../core/ports.ts";
import { escapeControls } from "../../core/lib/printable.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { CsrIndex } from "./csr_index.ts";
import { createKeyedTurns } from "./keyed_turns.ts";
import { createLeftRequests, MOST_LEFT } from "./left_requests.ts";
import { DONE, type Outcome, type Trigger } from "./loop.ts";
import type { NodeWatch } from "./node_watch.ts";
import { createNudges } from "./nudges.ts";
import { type EvidenceSources, gatherPolicyInput, type PolicySettings } from "./policy_input.ts";
import { backoffMs } from "./rate_limit.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** What policies made of a request. */
export type Judged =
  | { readonly kind: "settled"; readonly outcome: Outcome }
  /** It stays pending; the outcome says when policies want to look again. */
  | { readonly kind: "left"; readonly outcome: Outcome };

/** Decides by policies. */
export interface PolicyApprover {
  /**
   * Asks the rules that deny, before anything may approve. Undefined when none of them decides: other rules may go on.
   */
  deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined>;
  judge(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged>;
  /** A request is gone, or settled: then it is handed in. */
  forget(name: string, settled?: CertificateSigningRequest): void;
  /** What calls for another look at the requests that were left pending. */
  readonly triggers: readonly Trigger[];
}

/** What it needs. */
export interface PolicyApproverDeps {
  readonly store: Pick<CsrStore, "update">;
  readonly index: CsrIndex;
  readonly nodes: NodeWatch;
  readonly sources: Omit<EvidenceSources, "approvedOf" | "reported">;
  /** As they are now; they may be read anew while it runs. */
  readonly settings: {
    current(): PolicySettings;
    /** Yields, whatever, after each change. */
    changes: Trigger["changes"];
  };
  readonly events: VerdictEvents;
  readonly logger: Logger;
  /** Says what would be done, and writes nothing into requests. */
  readonly isDryRun: boolean;
  /** How many left requests of one requester are looked at. */
  readonly mostLeft?: number;
}

/** Checks that look at the clock are asked again by the clock. */
const LOOK_AGAIN_MS = 60_000;
/** While the nodes are being listed for the first time. */
const STARTING_MS = 250;

/** Makes it; its triggers belong to the controller that runs it. */
export function createPolicyApprover(deps: PolicyApproverDeps): PolicyApprover {
  const { settings, events, logger, index, nodes, mostLeft = MOST_LEFT } = deps;
  const left = createLeftRequests(mostLeft);
  const turns = createKeyedTurns();
  const nudges = createNudges();
  /** What was said last of each request. */
  const said = new Map<string, string>();
  const looks = new Map<string, number>();
  /** Looked at again when policies change, but no reason to worry about their requester. */
  const unmatched = new Set<string>();
  const foretold = new Set<string>();
  const sources: EvidenceSources = {
    ...deps.sources,
    approvedOf: (username) => index.approvedOf(username),
    reported: () => collectPolicyNeeds(settings.current().policies).nodes ? nodes.reported() : { kind: "none" },
  };

  /** However many requests of its requester wait: a denial settles one, and the rules that approve have no such limit. */
  async function deny(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Outcome | undefined> {
    const { policies } = settings.current();
    if (findDenialRules(policies, csr).length === 0) return undefined;
    return await turns.run(csr.spec.username ?? "", async () => {
      const verdict = await ask(csr, evaluateDenials, signal);
      return verdict === undefined || verdict.kind === "leave" ? undefined : await act(name, csr, verdict, signal);
    });
  }

  /** One at a time for each requester, so that counts and rates know what is just being decided. */
  async function judge(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged> {
    const requester = csr.spec.username ?? "";
    return await turns.run(requester, async () => {
      const admission = left.admit(name, requester);
      if (admission.kind === "look") return await decide(name, csr, signal);
      if (admission.isFirst) await tellBreaker(csr, requester, signal);
      return { kind: "left", outcome: DONE };
    });
  }

  async function decide(name: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<Judged> {
    const verdict = await ask(csr, evaluatePolicies, signal);
    if (verdict === undefined) return { kind: "left", outcome: DONE };
    if (verdict.kind === "leave") return { kind: "left", outcome: await leave(name, csr, verdict, signal) };
    return { kind: "settled", outcome: await act(name, csr, verdict, signal) };
  }

  /** Undefined when the request cannot be read. */
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
    if (nodes.isStarting()) return { kind: "requeueAfter", ms: STARTING_MS };
    return { kind: "retry", error: new AppError("unreachable", verdict.message) };
  }

  async function settle(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict & { readonly kind: "approve" | "deny" },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const isApproval = verdict.kind === "approve";
    const fields = fieldsOf(name, csr, verdict);
    if (deps.isDryRun) {
      foretold.add(name);
      if (!isNews(name, verdict)) return DONE;
      logger.info(isApproval ? "CSR would be approved" : "CSR would be denied", fields);
      const note = `Dry run, nothing was written. ${verdict.message}`;
      const reason = isApproval ? "WouldApprove" : "WouldDeny";
      await events.tell(csr, { type: "Normal", reason, note }, signal);
      return DONE;
    }
    const decided = (isApproval ? withApproval : withDenial)(csr, verdict);
    if (!decided.ok) return DONE;
    index.put(await deps.store.update(decided.value, signal, "approval"));
    logger.info(isApproval ? "CSR approved" : "CSR denied", fields);
    const type = isApproval ? "Normal" : "Warning";
    await events.tell(csr, { type, reason: verdict.reason, note: verdict.message }, signal);
    return DONE;
  }

  async function leave(
    name: string,
    csr: CertificateSigningRequest,
    verdict: PolicyVerdict,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (verdict.rule === undefined) {
      nudges.nudge(left.forget(name));
      unmatched.add(name);
      logger.debug("CSR is about no policy", { csr: name, signerName: csr.spec.signerName });
      return DONE;
    }
    left.leave(name, csr.spec.username ?? "");
    if (isNews(name, verdict)) {
      logger.info("CSR left pending", fieldsOf(name, csr, verdict));
      const note = `Left pending: ${verdict.message}. Ask why with: tlsboot approver explain ${
        shellWord(name)
      }, and this approver's --policy and --inventory`;
      await events.tell(csr, { type: "Normal", reason: "PolicyLeftPending", note }, signal);
    }
    return lookAgain(name, verdict);
  }

  /** Time passes and permissions are granted without anybody touching what is watched. */
  function lookAgain(name: string, verdict: PolicyVerdict): Outcome {
    const failing = verdict.trace.flatMap(({ checks }) => checks).filter(({ outcome }) => outcome === "fails");
    if (failing.some(({ what }) => what === "permission")) {
      const count = looks.get(name) ?? 0;
      looks.set(name, count + 1);
      return { kind: "requeueAfter", ms: backoffMs(count) };
    }
    const isTimely = failing.some(({ what }) => what === "hours" || what === "rate");
    return isTimely ? { kind: "requeueAfter", ms: LOOK_AGAIN_MS } : DONE;
  }

  async function tellBreaker(csr: CertificateSigningRequest, requester: string, signal: AbortSignal): Promise<void> {
    const clear = `tlsboot approver clear ${shellWord(requester)}`;
    logger.warn("a requester has too many requests that stay pending, its further ones are not looked at", {
      requester,
      pending: mostLeft,
      clear,
    });
    const note =
      `${mostLeft} requests of "${
        escapeControls(requester)
      }" stay pending; this one and those that follow are not looked at ` +
      `until there are fewer. To delete them: ${clear}`;
    await events.tell(csr, { type: "Warning", reason: "TooManyRequests", note }, signal, true);
  }

  function isNews(name: string, { kind, message }: PolicyVerdict): boolean {
    const words = `${kind}\n${message}`;
    if (said.get(name) === words) return false;
    said.set(name, words);
    return true;
  }

  return {
    deny,
    judge,
    forget(name, settled) {
      said.delete(name);
      looks.delete(name);
      unmatched.delete(name);
      foretold.delete(name);
      nudges.nudge(left.forget(name));
      // A certificate that was just issued is evidence for what its holder asks next.
      if (settled !== undefined && hasCertificate(settled)) nudges.nudge(left.namesOf(settled.spec.username ?? ""));
    },
    triggers: [
      nudges,
      { changes: nodes.changes, nameFor: () => [...left.names(), ...foretold] },
      { changes: settings.changes, nameFor: () => [...left.names(), ...foretold, ...unmatched] },
    ],
  };
}

function fieldsOf(
  name: string,
  { spec }: CertificateSigningRequest,
  { policy, rule, message }: PolicyVerdict,
): Readonly<Record<string, unknown>> {
  return { csr: name, signerName: spec.signerName, username: spec.username, policy, rule, why: message };
}
