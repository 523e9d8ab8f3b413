/**
 * Evaluates policies and the two kubelet client rules for a request. The result is a verdict with a trace of every
 * rule. The caller provides all facts.
 */
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../kube/kinds/constants.ts";
import { NODES_GROUP, parseNodeUser } from "../../kube/user.ts";
import {
  type Check,
  checkDeniedNames,
  checkDeniedSubject,
  checkHours,
  checkKey,
  checkLifetime,
  checkNames,
  checkOwned,
  checkPermission,
  checkProof,
  checkRate,
  checkSubject,
  checkUnclaimed,
  checkUsages,
  type PolicyInput,
} from "./checks.ts";
import { formatApprovedReason } from "../conditions.ts";
import { matchesPattern } from "../../lib/linear_text.ts";
import { escapeControls } from "../../lib/printable.ts";
import { type ApprovalRule, KUBELET_CLIENT, type Policy, type RuleMatch } from "../policy.ts";
import { AUTO_APPROVED, type Recognizer, RECOGNIZERS } from "../recognizers.ts";
import { BUILTIN_SIGNERS, type RequestPart } from "../../signing/profile.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";

/** The evaluation of one rule. */
export interface RuleTrace {
  readonly policy: string;
  readonly rule: string;
  /** Why the rule does not apply to the request; undefined when it does. */
  readonly mismatch: string | undefined;
  readonly checks: readonly Check[];
  readonly outcome: "approve" | "deny" | "pending" | "next" | "unknown";
}

/** The verdict of policies on a request. */
export type PolicyVerdict =
  & { readonly policy: string | undefined; readonly trace: readonly RuleTrace[] }
  & (
    | { readonly kind: "approve" | "deny"; readonly rule: string; readonly reason: string; readonly message: string }
    | { readonly kind: "pending"; readonly rule: string | undefined; readonly message: string }
    /** A fact is missing because the API could not be reached; the approver tries again. */
    | { readonly kind: "unknown"; readonly rule: string; readonly message: string }
  );

const POLICY_DENIED = "PolicyDenied";

/**
 * Evaluates every rule with `then: deny` of all policies. They are evaluated before any approval, so their position in
 * a policy does not matter. The verdict is `deny`, `unknown` when a fact is missing, or `pending` without a rule.
 */
export function evaluateDenials(policies: readonly Policy[], input: PolicyInput): PolicyVerdict {
  const trace: RuleTrace[] = [];
  for (const { policy, rule } of findDenialRules(policies, input.csr)) {
    const current = traceRule(policy, rule, input);
    trace.push(current);
    if (current.outcome === "deny" || current.outcome === "unknown") {
      return escapeMessage(toVerdict(policy, rule, current, trace));
    }
  }
  return { kind: "pending", policy: undefined, rule: undefined, trace, message: "no rule denies it" };
}

export function findMatchingRules(
  policies: readonly Policy[],
  csr: CertificateSigningRequest,
): readonly ApprovalRule[] {
  return policies.flatMap(({ rules }) => rules).filter(({ match }) => findMismatch(match, csr) === undefined);
}

/**
 * Checks the proofs that a request needs: those of the rules that match it and allow its subject. Other requirements of
 * these rules are ignored, because a requester could break one on purpose to escape the rule.
 */
export function checkRequiredProofs(policies: readonly Policy[], input: PolicyInput): readonly Check[] {
  return findMatchingRules(policies, input.csr).flatMap(({ require: { attested, subject } }) => {
    const hasOtherSubject = subject !== undefined && checkSubject(subject, input).outcome !== "holds";
    return attested === undefined || hasOtherSubject ? [] : [checkProof(attested, input)];
  });
}

function findDenialRules(
  policies: readonly Policy[],
  csr: CertificateSigningRequest,
): readonly { readonly policy: Policy; readonly rule: ApprovalRule }[] {
  return policies.flatMap((policy) =>
    policy.rules.filter(({ then, match }) => then === "deny" && findMismatch(match, csr) === undefined)
      .map((rule) => ({ policy, rule }))
  );
}

/** Evaluates the rules that deny, then several policies as if their rules were one list. */
export function evaluatePolicies(policies: readonly Policy[], input: PolicyInput): PolicyVerdict {
  const denial = evaluateDenials(policies, input);
  if (denial.kind !== "pending") return denial;
  const trace: RuleTrace[] = [];
  for (const policy of policies) {
    const verdict = evaluatePolicy(policy, input);
    trace.push(...verdict.trace);
    if (verdict.rule !== undefined) return { ...verdict, trace };
  }
  const names = policies.map(({ name }) => `"${name}"`).join(", ");
  const message = policies.length === 0
    ? "there is no policy"
    : `no rule of ${policies.length === 1 ? "policy" : "the policies"} ${names} applies to it`;
  return { kind: "pending", policy: undefined, rule: undefined, trace, message };
}

/** Evaluates the rules in order. The first rule that applies and does not continue with the next one decides. */
export function evaluatePolicy(policy: Policy, input: PolicyInput): PolicyVerdict {
  const trace: RuleTrace[] = [];
  for (const rule of policy.rules) {
    const current = traceRule(policy, rule, input);
    trace.push(current);
    if (current.mismatch !== undefined || current.outcome === "next") continue;
    return escapeMessage(toVerdict(policy, rule, current, trace));
  }
  const message = `no rule of policy "${policy.name}" applies to it`;
  return { kind: "pending", policy: policy.name, trace, rule: undefined, message };
}

/** Finds the name of the requesting node; undefined when the requester is not a node. */
export function findRequestingNode({ spec }: CertificateSigningRequest): string | undefined {
  const { username, groups = [] } = spec;
  return groups.includes(NODES_GROUP) ? parseNodeUser(username) : undefined;
}

function traceRule(policy: Policy, rule: ApprovalRule, input: PolicyInput): RuleTrace {
  const mismatch = findMismatch(rule.match, input.csr);
  const place = { policy: policy.name, rule: rule.name };
  if (mismatch !== undefined) return { ...place, mismatch, checks: [], outcome: "next" };
  const checks = runChecks(policy, rule, input);
  // A fact that could not be read is not a refusal.
  if (checks.some(({ outcome }) => outcome === "unknown")) {
    return { ...place, mismatch, checks, outcome: "unknown" };
  }
  const holds = checks.every(({ outcome }) => outcome === "holds");
  return { ...place, mismatch, checks, outcome: holds ? rule.then : rule.otherwise };
}

function runChecks(
  policy: Policy,
  { name, then, require: wanted }: ApprovalRule,
  input: PolicyInput,
): readonly Check[] {
  const { subject, names, usages, keys, lifetime, hours, rate, permission, attested } = wanted;
  const checks: Check[] = [];
  if (subject !== undefined) {
    checks.push(then === "deny" ? checkDeniedSubject(subject, input) : checkSubject(subject, input));
  }
  if (then === "deny" && names !== undefined) checks.push(checkDeniedNames(names, input));
  // A rule that approves covers all names: it refuses those that it does not list.
  else if (names !== undefined || then === "approve") checks.push(checkNames(names, input));
  if (names?.owned === true) checks.push(checkOwned(findRequestingNode(input.csr), policy.evidence, input));
  if (names?.unclaimed === true) checks.push(checkUnclaimed(input));
  if (usages !== undefined) checks.push(checkUsages(usages, input));
  if (keys !== undefined) checks.push(checkKey(keys, input));
  if (lifetime !== undefined) checks.push(checkLifetime(lifetime, input));
  if (hours !== undefined) checks.push(checkHours(hours, input));
  if (rate !== undefined) checks.push(checkRate(rate, { policy: policy.name, rule: name }, input));
  if (attested !== undefined) checks.push(checkProof(attested, input));
  if (permission !== undefined) checks.push(checkPermission(permission, input));
  return checks;
}

function toVerdict(policy: Policy, rule: ApprovalRule, current: RuleTrace, trace: readonly RuleTrace[]): PolicyVerdict {
  const base = { policy: policy.name, rule: rule.name, trace };
  const by = `rule "${rule.name}" of policy "${policy.name}"`;
  const seen = current.checks.map(({ what, saw }) => `${what} ${saw}`).join(", ");
  const faults = current.checks.filter(({ outcome }) => outcome !== "holds").map(({ fault }) => fault).join("; ");
  switch (current.outcome) {
    case "approve":
      return {
        ...base,
        kind: "approve",
        reason: formatApprovedReason(base),
        message: `Approved by ${by}: ${seen}.`,
      };
    case "deny": {
      const why = faults === "" ? "it denies every request that it matches" : faults;
      return { ...base, kind: "deny", reason: POLICY_DENIED, message: `Denied by ${by}: ${why}.` };
    }
    case "unknown":
      return { ...base, kind: "unknown", message: `${by}: ${faults}` };
    default:
      return { ...base, kind: "pending", message: faults === "" ? `${by} leaves it to a person` : `${by}: ${faults}` };
  }
}

/** Escapes control characters, because the client chooses the names in a request. */
function escapeMessage(verdict: PolicyVerdict): PolicyVerdict {
  return { ...verdict, message: escapeControls(verdict.message) };
}

function findMismatch(
  { signerNames, users, groups }: RuleMatch,
  { spec }: CertificateSigningRequest,
): string | undefined {
  const { signerName, username = "", groups: own = [] } = spec;
  if (!signerNames.some((pattern) => matchesSigner(signerName, pattern))) return `signer ${signerName} does not match`;
  if (users !== undefined && !users.some((pattern) => matchesPattern(username, pattern))) {
    return `requester ${username === "" ? "(without a name)" : username} does not match`;
  }
  const missing = groups?.find((group) => !own.includes(group));
  return missing === undefined ? undefined : `requester is not in group ${missing}`;
}

/** Reports whether a signer name matches a pattern, which is an exact name or `domain/*`. */
export function matchesSigner(signerName: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? signerName.startsWith(pattern.slice(0, -1)) : signerName === pattern;
}

/**
 * Evaluates the two kubelet client rules in order. The first one whose checks hold approves; if none does, the
 * policies decide.
 *
 * @param proofs the results of `checkRequiredProofs`
 */
export function evaluateKubeletClient(input: PolicyInput, proofs: readonly Check[]): PolicyVerdict {
  const trace: RuleTrace[] = [];
  for (const recognizer of RECOGNIZERS) {
    const current = traceRecognizer(recognizer, input, proofs);
    trace.push(current);
    const base = { policy: KUBELET_CLIENT, rule: recognizer.permission, trace };
    if (current.outcome === "approve") {
      return { ...base, kind: "approve", reason: AUTO_APPROVED, message: recognizer.message };
    }
    if (current.outcome === "unknown") {
      const fault = current.checks.find(({ outcome }) => outcome === "unknown")?.fault ?? "";
      return { ...base, kind: "unknown", message: `rule "${recognizer.permission}": ${fault}` };
    }
  }
  return { kind: "pending", policy: KUBELET_CLIENT, rule: undefined, message: "no rule approves it", trace };
}

/** Lists the permissions of the rules that recognize a request, in the order in which they are tried. */
export function listRecognizedPermissions(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
): readonly Recognizer["permission"][] {
  return RECOGNIZERS.filter((recognizer) => recognizer.recognizes(csr, facts)).map(({ permission }) => permission);
}

function traceRecognizer(
  { permission, recognizes }: Recognizer,
  input: PolicyInput,
  proofs: readonly Check[],
): RuleTrace {
  const { csr, request } = input;
  const place = { policy: KUBELET_CLIENT, rule: permission };
  if (csr.spec.signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) {
    return { ...place, mismatch: `signer ${csr.spec.signerName} does not match`, checks: [], outcome: "next" };
  }
  const shape = checkShape(permission, input);
  if (!recognizes(csr, request)) return { ...place, mismatch: undefined, checks: shape, outcome: "next" };
  const decisive = [...proofs, checkPermission(permission, input)];
  const failing = decisive.find(({ outcome }) => outcome !== "holds");
  const outcome = failing === undefined ? "approve" : failing.outcome === "unknown" ? "unknown" : "next";
  return { ...place, mismatch: undefined, checks: [...shape, ...decisive], outcome };
}

/** Checks the requirements of the signer; for `selfnodeclient` also that the requester is the node itself. */
function checkShape(permission: Recognizer["permission"], { csr, request }: PolicyInput): readonly Check[] {
  const usages = csr.spec.usages ?? [];
  const rules = BUILTIN_SIGNERS.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER)?.rules ?? [];
  const checks = rules.map(({ name, check }): Check => {
    const fault = check(request, usages);
    const saw = formatActualValue(name, request, usages);
    if (fault === undefined) return { what: name, saw, outcome: "holds" };
    return { what: name, saw, outcome: "fails", fault, fix: "request it as a kubelet does: tlsboot bootstrap" };
  });
  if (permission !== "selfnodeclient") return checks;
  const username = csr.spec.username ?? "";
  const isSelf = username === request.subject.commonName;
  return [
    ...checks,
    isSelf ? { what: "requester", saw: username, outcome: "holds" } : {
      what: "requester",
      saw: username,
      outcome: "fails",
      fault: `the requester is not "${request.subject.commonName}", the requested user`,
      fix: "renew with the node's own certificate; rule nodeclient is for first certificates",
    },
  ];
}

function formatActualValue(rule: RequestPart, { subject, ...names }: RequestFacts, usages: readonly string[]): string {
  const lists: Readonly<Partial<Record<RequestPart, readonly string[]>>> = {
    organization: subject.organizations,
    commonName: [subject.commonName],
    dnsNames: names.dnsNames,
    emailAddresses: names.emailAddresses,
    ipAddresses: names.ipAddresses,
    uris: names.uris,
    usages,
  };
  const list = lists[rule] ?? [];
  return list.length === 0 ? "none" : list.join(", ");
}
