/**
 * The verdict on a request. The running approver, `policy explain`, `policy test`, `describe csr`, the page and `sign`
 * all decide here: the stages apply in the order of `STAGES`, and the first one with a verdict decides.
 *
 * This file reads nothing. A stage lists the facts that it needs, the caller supplies them
 * (`core/approval/decide_from_sources.ts`, or a file), and the stage decides.
 */
import { describeTokenProof, readTokenProof } from "../attestation/proof.ts";
import { decideTokenRequest, isLimitedToken, readTokenLimits, readTokenUse } from "../token/bound_token.ts";
import { findTokenId } from "../token/token_secret.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/constants.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { escapeControls } from "../lib/printable.ts";
import { listExtraAttributes } from "../pki/x509/names.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import { isKubeletClientRequest } from "../signing/profile.ts";
import { cannotCheck, type Check, type PolicyInput } from "./rules/checks.ts";
import {
  checkRequiredProofs,
  evaluateDenials,
  evaluateKubeletClient,
  evaluatePolicies,
  findMatchingRules,
  findRequestingNode,
  listRecognizedPermissions,
  type PolicyVerdict,
  type RuleTrace,
} from "./rules/evaluate_policies.ts";
import type { Inventory, NodeNames } from "./evidence/inventory.ts";
import {
  collectNodeClientSettings,
  decideHold,
  findClaimedNode,
  findRequestedNode,
  type Hold,
  listClaimedNames,
} from "./evidence/claims.ts";
import type { Lookup, NameClaim, NodeCertificate } from "./evidence/ownership.ts";
import type { PastApproval } from "./conditions.ts";
import type { ApprovalRule, Policy } from "./policy.ts";

/** The request to decide, and the rules of the operator. */
export interface Question {
  readonly csr: CertificateSigningRequest;
  readonly request: RequestFacts;
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
}

/** A fact that a stage needs. */
export type Need =
  | { readonly kind: Exclude<keyof Known, "now" | "permissions" | "excess"> }
  | { readonly kind: "permission"; readonly permission: string }
  /** Whether the limit of held requests for these names is reached. */
  | { readonly kind: "excess"; readonly names: readonly string[] };

/** The facts about a request that are known so far; each is absent until a stage needs it. */
export interface Known {
  readonly now: Date;
  /** The description of the Revocation that forbids the approval. */
  readonly revocation?: Lookup<string>;
  /** The Secret of the requester's bootstrap token; `gone` when it was deleted, so that its limits are unknown. */
  readonly token?: Lookup<SecretObject> | { readonly kind: "gone" };
  /** The approved requests of the same requester, and the names in its certificates. */
  readonly approvals?: { readonly before: readonly PastApproval[]; readonly held: Lookup<NodeNames> };
  readonly reported?: Lookup<ReadonlyMap<string, NodeNames>>;
  readonly server?: NodeNames;
  readonly certificates?: Lookup<readonly NodeCertificate[]>;
  /** The holders of the names in the request; `absent` where no register of issued certificates is read. */
  readonly claims?: Lookup<readonly NameClaim[]> | { readonly kind: "absent" };
  readonly permissions?: ReadonlyMap<string, Lookup<boolean>>;
  /** Whether the requester is below the limit of pending requests. */
  readonly room?: boolean;
  /** Why the request may not be held. */
  readonly excess?: Lookup<string>;
}

/** The name of the stage that decided. */
export type StageName = "revocation" | "denials" | "token" | "hold" | "kubelet client" | "policies";

/** The write that precedes the decision: the bootstrap token is bound to the key of the request. */
export interface TokenBinding {
  readonly secret: SecretObject;
  readonly key: PublicKeyPin;
}

/** The verdict on a request. */
export type Verdict = PolicyVerdict & VerdictEffects & { readonly stage: StageName };

/** The effects of a verdict in addition to the decision. */
export interface VerdictEffects {
  readonly binding?: TokenBinding;
  /** The reason why a pending request is held for a person, and the names by which held requests are counted. */
  readonly hold?: Hold & { readonly names: readonly string[] };
  /** The requester has too many pending requests, so the policies were not evaluated. */
  readonly isWaiting?: true;
}

/** The result of a stage. Without a verdict the next stage follows. */
interface Step extends VerdictEffects {
  readonly trace?: readonly RuleTrace[];
  readonly verdict?: PolicyVerdict;
}

interface Stage {
  readonly name: StageName;
  /** Lists the facts that the stage needs. The list may grow as more of them become known. */
  needs(question: Question, known: Known): readonly Need[];
  decide(question: Question, known: Known): Step;
}

const STAGES: readonly Stage[] = [
  { name: "revocation", needs: () => [{ kind: "revocation" }], decide: decideByRevocation },
  {
    name: "denials",
    needs: ({ policies, csr }) =>
      listRuleNeeds(findMatchingRules(policies, csr).filter(({ then }) => then === "deny"), csr),
    decide: decideByDenials,
  },
  {
    name: "token",
    needs: ({ csr }) => findTokenId(csr.spec.username ?? "") === undefined ? [] : [{ kind: "token" }],
    decide: decideByToken,
  },
  { name: "hold", needs: listHoldNeeds, decide: decideByHold },
  { name: "kubelet client", needs: listKubeletClientNeeds, decide: decideByKubeletClient },
  { name: "policies", needs: listPolicyNeeds, decide: decideByPolicies },
];

/** The policy name in the trace of stages without policies. */
const ALWAYS = "always";

/** Decides a request, or lists the facts that are still missing. */
export function decideRequest(
  question: Question,
  known: Known,
): Verdict | { readonly kind: "needs"; readonly needs: readonly Need[] } {
  const traces = new Map<StageName, readonly RuleTrace[]>();
  let effects: VerdictEffects = {};
  for (const { name, needs, decide } of STAGES) {
    const missing = needs(question, known).filter((need) => !isKnown(need, known));
    if (missing.length > 0) return { kind: "needs", needs: missing };
    const { trace = [], verdict, ...own } = decide(question, known);
    effects = { ...effects, ...own };
    // The trace of the policies already contains the rules that deny.
    if (name === "policies") traces.delete("denials");
    traces.set(name, trace);
    if (verdict !== undefined) return { ...verdict, ...effects, stage: name, trace: [...traces.values()].flat() };
  }
  throw new Error("the last stage has a verdict on every request");
}

/** Decides a request. It calls `answer` for each fact that it needs. */
export async function decideWith(
  question: Question,
  start: Known,
  answer: (need: Need) => Partial<Known> | Promise<Partial<Known>>,
): Promise<Verdict> {
  let known = start;
  while (true) {
    const verdict = decideRequest(question, known);
    if (verdict.kind !== "needs") return verdict;
    for (const need of verdict.needs) {
      const { permissions = [], ...part } = await answer(need);
      known = { ...known, ...part, permissions: new Map([...known.permissions ?? [], ...permissions]) };
      if (!isKnown(need, known)) throw new Error(`no answer about ${need.kind}`);
    }
  }
}

/** Lists the locks under which a request is decided: its requester, its node, and names, always in this order. */
export function listLocks({ csr, request, policies }: Question): readonly string[] {
  const rules = findMatchingRules(policies, csr);
  const node = findRequestedNode(csr, request);
  return [
    // A rate depends on the previous decision.
    ...(rules.some(({ require: { rate } }) => rate !== undefined) ? [`requester ${csr.spec.username ?? ""}`] : []),
    // Two requests with different keys must not both be approved.
    ...(node === undefined ? [] : [`node ${node}`]),
    // Two requesters must not both be the first to hold a name.
    ...(rules.some(({ require: { names } }) => names?.unclaimed === true) ? ["names"] : []),
  ];
}

function isKnown(need: Need, known: Known): boolean {
  return need.kind === "permission" ? known.permissions?.has(need.permission) === true : known[need.kind] !== undefined;
}

const NOT_READ = { kind: "failed", message: "it has not been read" } as const;

/**
 * Creates the input of rules. A missing fact gets a placeholder that no rule reads, because a stage lists every fact
 * that its rules use.
 */
function toInput({ csr, request, inventory }: Question, known: Known): PolicyInput {
  const { now, token, approvals, reported = NOT_READ, server, certificates = NOT_READ, claims, permissions } = known;
  return {
    csr,
    request,
    now,
    permissions: permissions ?? new Map(),
    approvedBefore: approvals?.before ?? [],
    proof: token?.kind === "found" ? readTokenProof(token.value) : undefined,
    evidence: {
      inventory,
      held: approvals?.held ?? NOT_READ,
      reported,
      server: server ?? { dns: [], ips: [] },
      certificates,
      ...(claims === undefined || claims.kind === "absent" ? {} : { claims }),
    },
  };
}

/** The reason of the conditions Denied and Failed of a revoked request. */
export const REVOKED = "Revoked";
/** The reason of the condition Denied when too many requests for the same name are held. */
const TOO_MANY_HELD = "TooManyHeldRequests";

function decideByRevocation(_question: Question, { revocation }: Known): Step {
  switch (revocation?.kind) {
    case "found": {
      const message = revocation.value;
      const check: Check = { what: "revocation", saw: "revoked", outcome: "fails", fault: message };
      return settle("deny", "revocation", check, { reason: REVOKED, message });
    }
    case "failed":
      return leave("revocation", cannotCheck("revocation", "", revocation.message));
    default:
      return {};
  }
}

function decideByDenials(question: Question, known: Known): Step {
  const verdict = evaluateDenials(question.policies, toInput(question, known));
  const { trace } = verdict;
  return verdict.kind === "pending" ? { trace } : { trace, verdict };
}

/**
 * Applies the limits of a bootstrap token (`core/token/bound_token.ts`). tlsboot's own API server enforced them when
 * the request was created; kube-apiserver does not know them. A token that was created with `--approve`, or issued for
 * a proof, approves the request, unless a policy requires a different proof.
 */
function decideByToken(question: Question, known: Known): Step {
  const { csr, request, policies } = question;
  const { token } = known;
  const saw = findTokenId(csr.spec.username ?? "") ?? "";
  const what = "token";
  switch (token?.kind) {
    case "gone": {
      const fault = `bootstrap token "${saw}" is gone, so its limits are unknown`;
      const fix = "find out which machine sent the request; then deny it, or approve it by hand: tlsboot approve";
      return leave(what, { what, saw, outcome: "fails", fault, fix });
    }
    case "failed":
      return leave(what, cannotCheck(what, "", token.message));
    case "found":
      break;
    default:
      return {};
  }
  const secret = token.value;
  if (!isLimitedToken(secret)) return {};
  const { subject } = request;
  const key = publicKeyPin(request);
  const decision = decideTokenRequest(secret, { signerName: csr.spec.signerName, subject, key });
  if (decision.kind === "refused") {
    const fault = decision.refusal.message;
    const message = `Token "${saw}": ${fault}.`;
    return settle("deny", what, { what, saw, outcome: "fails", fault }, { reason: "TokenRefused", message });
  }
  const check: Check = { what, saw, outcome: "holds" };
  const limits = readTokenLimits(secret);
  // The next stage holds a request whose subject has other attributes.
  const isClient = isKubeletClientRequest(request, csr.spec.usages ?? []) && listExtraAttributes(subject).length === 0;
  const isApproval = limits.ok && limits.value.isApproval && isClient;
  const unproven = isApproval
    ? checkRequiredProofs(policies, toInput(question, known)).find(({ outcome }) => outcome === "fails")
    : undefined;
  return {
    ...(isApproval && unproven === undefined
      ? settle("approve", what, check, { reason: "TokenApproved", message: describeApproval(saw, secret) })
      : pass(what, unproven ?? check)),
    ...(decision.kind === "bind" ? { binding: { secret, key } } : {}),
  };
}

function describeApproval(tokenId: string, secret: SecretObject): string {
  const { createdBy } = readTokenUse(secret);
  const limits = readTokenLimits(secret);
  const node = limits.ok ? limits.value.node ?? "" : "";
  const proof = readTokenProof(secret);
  if (proof !== undefined) {
    return `Approved by bootstrap token "${tokenId}", which node "${node}" got for its proof: ` +
      `${describeTokenProof(proof)}.`;
  }
  const by = createdBy === undefined ? "an unknown user" : `user "${escapeControls(createdBy)}"`;
  return `Approved by bootstrap token "${tokenId}", which ${by} created to approve node "${node}".`;
}

function listHoldNeeds(question: Question, known: Known): readonly Need[] {
  const { csr, request, policies } = question;
  const isClaim = findClaimedNode(csr, request) !== undefined;
  if (isClaim && collectNodeClientSettings(policies).reissue !== "allow" && known.certificates === undefined) {
    return [{ kind: "certificates" }];
  }
  return findHold(question, known).kind === "found" ? [{ kind: "excess", names: listHeldNodes(question) }] : [];
}

/** Holds a request for a node's client certificate for a person before any rule may approve it. */
function decideByHold(question: Question, known: Known): Step {
  const node = findRequestedNode(question.csr, question.request);
  if (node === undefined) return {};
  const hold = findHold(question, known);
  const what = "machine";
  switch (hold.kind) {
    case "none":
      return pass(what, { what, saw: node, outcome: "holds" });
    case "failed":
      return leave(what, cannotCheck(what, "", hold.message));
    case "found": {
      const { saw, fault, fix } = hold.value;
      const step = leave(what, { what, saw, outcome: "fails", fault, fix });
      return holdOrDeny(step, hold.value, listHeldNodes(question), known);
    }
  }
}

function findHold(question: Question, known: Known): Lookup<Hold> {
  return decideHold(collectNodeClientSettings(question.policies), toInput(question, known));
}

function listHeldNodes({ csr, request }: Question): readonly string[] {
  return [`node ${findRequestedNode(csr, request) ?? ""}`];
}

/** Holds a pending request, or denies it when too many for its names are already held. */
function holdOrDeny(step: Step, hold: Hold, names: readonly string[], { excess }: Known): Step {
  const { verdict } = step;
  if (excess?.kind !== "found" || verdict?.rule === undefined) return { ...step, hold: { ...hold, names } };
  const { policy, rule, trace } = verdict;
  return { ...step, verdict: { policy, rule, trace, kind: "deny", reason: TOO_MANY_HELD, message: excess.value } };
}

function listKubeletClientNeeds({ csr, request }: Question, { permissions }: Known): readonly Need[] {
  // The second permission is needed only when the first one is refused.
  const open = listRecognizedPermissions(csr, request).find((permission) => {
    const answer = permissions?.get(permission);
    return answer?.kind !== "none" && !(answer?.kind === "found" && !answer.value);
  });
  return open === undefined ? [] : [{ kind: "permission", permission: open }];
}

function decideByKubeletClient(question: Question, known: Known): Step {
  const input = toInput(question, known);
  const verdict = evaluateKubeletClient(input, checkRequiredProofs(question.policies, input));
  const { trace } = verdict;
  return verdict.kind === "pending" ? { trace } : { trace, verdict };
}

function listPolicyNeeds(question: Question, known: Known): readonly Need[] {
  const { csr, request, policies } = question;
  const rules = findMatchingRules(policies, csr);
  if (rules.length === 0) return [];
  if (known.room === undefined) return [{ kind: "room" }];
  if (!known.room) return [];
  const needs = listRuleNeeds(rules, csr);
  const canBeHeld = rules.some(({ require: { names } }) => names?.unclaimed === true);
  if (!canBeHeld || needs.some((need) => !isKnown(need, known))) return needs;
  const hold = findNameHold(evaluatePolicies(policies, toInput(question, known)));
  return hold === undefined ? [] : [{ kind: "excess", names: listClaimedNames(request) }];
}

function decideByPolicies(question: Question, known: Known): Step {
  const { csr, policies, request } = question;
  if (known.room === false) {
    const message = "its requester has too many pending requests";
    return { isWaiting: true, verdict: { kind: "pending", policy: undefined, rule: undefined, trace: [], message } };
  }
  const input = toInput(question, known);
  const verdict = evaluatePolicies(policies, input);
  const { trace } = verdict;
  const hold = findNameHold(verdict);
  if (hold !== undefined) return holdOrDeny({ trace, verdict }, hold, listClaimedNames(request), known);
  // When no policy applies, the reason of the kubelet client rules is more useful.
  const isRefused = verdict.kind === "pending" && verdict.rule === undefined &&
    csr.spec.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER;
  const unproven = checkRequiredProofs(policies, input).find(({ outcome }) => outcome === "fails");
  const message = unproven?.fault ?? "the requester has no permission for it";
  return { trace, verdict: isRefused ? { ...verdict, message } : verdict };
}

/** Finds the hold of a request that a policy leaves pending because another machine has one of its names. */
function findNameHold(verdict: PolicyVerdict): Hold | undefined {
  if (verdict.kind !== "pending" || verdict.rule === undefined) return undefined;
  const check = verdict.trace.flatMap(({ checks }) => checks)
    .find(({ what, outcome }) => what === "holder" && outcome === "fails");
  if (check === undefined) return undefined;
  return { kind: "NameClaimed", saw: check.saw, fault: check.fault ?? "", fix: check.fix ?? "" };
}

function listRuleNeeds(rules: readonly ApprovalRule[], csr: CertificateSigningRequest): readonly Need[] {
  const wanted = rules.map((rule) => rule.require);
  const isOwned = wanted.some(({ names }) => names?.owned) && findRequestingNode(csr) !== undefined;
  const isUnclaimed = wanted.some(({ names }) => names?.unclaimed);
  const isRated = wanted.some(({ rate }) => rate !== undefined);
  const permissions = new Set(wanted.flatMap(({ permission }) => permission ?? []));
  return [
    ...[...permissions].map((permission) => ({ kind: "permission", permission }) as const),
    ...(isOwned || isRated ? [{ kind: "approvals" } as const] : []),
    ...(isOwned ? [{ kind: "reported" } as const] : []),
    ...(isUnclaimed ? [{ kind: "claims" } as const] : []),
    ...(isOwned || isUnclaimed ? [{ kind: "server" } as const] : []),
  ];
}

/** Decides a request in a stage without policies. */
function settle(
  kind: "approve" | "deny",
  rule: string,
  check: Check,
  text: { readonly reason: string; readonly message: string },
): Step {
  const trace = createTrace(rule, check, kind);
  return { trace, verdict: { kind, policy: ALWAYS, rule, trace, ...text } };
}

/** Leaves a request undecided in a stage without policies, until a fact can be read or a person decides. */
function leave(rule: string, check: Check): Step {
  const kind = check.outcome === "unknown" ? "unknown" : "pending";
  const trace = createTrace(rule, check, kind);
  return { trace, verdict: { kind, policy: ALWAYS, rule, trace, message: escapeControls(check.fault ?? "") } };
}

/** Passes a request on to the next stage. */
function pass(rule: string, check: Check): Step {
  return { trace: createTrace(rule, check, "next") };
}

function createTrace(rule: string, check: Check, outcome: RuleTrace["outcome"]): readonly RuleTrace[] {
  return [{ policy: ALWAYS, rule, mismatch: undefined, checks: [check], outcome }];
}
