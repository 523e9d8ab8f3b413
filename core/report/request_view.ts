/**
 * Everything that an approver needs to know about one request, in texts that a terminal and a page can show. The view
 * contains only known facts and no secrets; it is plain data that survives JSON. Its texts contain input from clients,
 * so each user interface escapes them.
 *
 * This file creates the parts about approval rules and signer rules; `create_request_view.ts` creates the rest.
 */
import type { PolicyVerdict, RuleTrace } from "../approval/rules/evaluate_policies.ts";
import type { CsrState } from "./request_summary.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../signing/profile.ts";

/** The view of one request. Times are in RFC 3339. */
export interface RequestView {
  readonly name: string;
  /** Empty for a request that was never stored, as is `resourceVersion`. */
  readonly uid: string;
  readonly resourceVersion: string;
  readonly state: CsrState;
  /** The state with its reason: `pending`, `denied: PolicyDenied: Denied by rule …`. */
  readonly stateText: string;
  /** The whole request in one sentence without a full stop: `node n7, with the token abc123 that was made 120m ago, …`. */
  readonly sentence: string;
  /** The holder or the names of the certificate in a few words, as in a list. */
  readonly for: string;
  readonly createdAt?: string;
  /** The end of the issued certificate. */
  readonly expiresAt?: string;
  /** Warnings for the approver, the most serious first, each a sentence without a full stop. */
  readonly warnings: readonly string[];
  readonly requester: RequesterView;
  readonly requested: RequestedView;
  /** The verdict of the approval rules; absent when the request cannot be read, or when no rules were evaluated. */
  readonly verdict?: VerdictView;
  /** The origin of the approval rules, in words. */
  readonly origin?: string;
  /** Each rule with its evidence, in the order in which they apply. */
  readonly rules: readonly RuleView[];
  /** The changes that would alter the verdict, each in words. */
  readonly changes: readonly string[];
  /** The built-in policies that apply to the request, unless the approver's policies are known to decide it. */
  readonly otherPolicies: readonly string[];
  /** The rules of the signer, checked against the request. */
  readonly signerRules: readonly SignerRuleView[];
  /** The certificate that the same machine or user had before, from the same signer. Absent when none is known. */
  readonly lastCertificate?: EarlierCertificateView;
  /** The differences of the request from that certificate, if any. Absent when there is no certificate to compare. */
  readonly difference?: readonly DifferenceView[];
  /** Other open requests for the same identity or for one of the same names. Absent when requests could not be listed. */
  readonly others?: readonly OtherRequestView[];
  /** The rights of the certificate's holder, the most powerful first. */
  readonly allows: readonly string[];
  readonly conditions: readonly ConditionView[];
  /** The decision in the server's own record, whose user is authenticated; a condition may contain any user. */
  readonly decision?: DecisionView;
  readonly certificate?: CertificateView;
  /** Why an approved request has no certificate, or cannot get one, and what to do. */
  readonly unsigned?: string;
}

/** The user that sent the request, as the server authenticated it. */
export interface RequesterView {
  /** In words: `node n7`, `the holder of token abc123`, `user jane`. */
  readonly text: string;
  /** The user name; empty when there is none. */
  readonly user: string;
  readonly groups: readonly string[];
  readonly token?: TokenView;
  /** The proof for which the requester got its token, in words; it is kept longer than the token. */
  readonly proof?: string;
  /** The address from which the request was created, and the program that sent it. */
  readonly address?: string;
  readonly userAgent?: string;
}

/** The bootstrap token that the requester had. The other fields are absent when the token could not be read. */
export interface TokenView {
  readonly id: string;
  readonly createdAt?: string;
  readonly createdBy?: string;
  /** Also absent for a token that never expires. */
  readonly expiresAt?: string;
  readonly description?: string;
  /** The proof for which the holder got it, in words. */
  readonly proof?: string;
  /** The only node that the token may be used for. */
  readonly node?: string;
  /** For how many more keys the token may be used; also absent for a token without such a limit. */
  readonly usesLeft?: number;
  /** The token no longer exists, because it has expired or was deleted. */
  readonly isGone?: true;
}

/** The certificate that is requested. All but the signer, the usages and the lifetime are empty when it cannot be read. */
export interface RequestedView {
  readonly signerName: string;
  /** Why the request cannot be read. */
  readonly unreadable?: string;
  /** The subject as text, such as `CN=system:node:n7,O=system:nodes`. */
  readonly subject: string;
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** Other attributes of the subject, such as an earlier common name, which some signers copy: `2.5.4.3=admin`. */
  readonly otherAttributes: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emails: readonly string[];
  readonly usages: readonly string[];
  /** The type of the key, such as `ECDSA P-256`. */
  readonly key: string;
  /** SHA-256 (hex) of the public key as DER of SubjectPublicKeyInfo. */
  readonly keyFingerprint: string;
  readonly signatureAlgorithm: string;
  /** Why the signature does not prove that the requester has the key; absent when it does. */
  readonly signatureFault?: string;
  /** The requested extensions by OID, such as `2.5.29.17 (critical)`. */
  readonly extensions: readonly string[];
  /** The requested lifetime in words: `one year`; absent when it is left to the signer. */
  readonly lifetime?: string;
  readonly expirationSeconds?: number;
}

/** The verdict of the approval rules on the request as it is now. */
interface VerdictView {
  readonly kind: "approve" | "deny" | "pending" | "unknown";
  readonly message: string;
  /** The verdict with its message: `left pending: no rule of policy "web" applies to it`. */
  readonly text: string;
}

/** The decision of one rule, with the checks that led to it. */
export interface RuleView extends Omit<RuleTrace, "mismatch"> {
  /** The outcome in words: `approves`, `does not apply: signer example.com/web does not match`. */
  readonly text: string;
  /** Why the rule does not apply to the request; absent when it does. */
  readonly mismatch?: string;
}

/** One requirement or remark of the signer. */
export interface SignerRuleView {
  /** `unknown`: the signer is not built in, so its own profile decides. */
  readonly outcome: "ok" | "refused" | "note" | "unknown";
  readonly sentence: string;
  readonly fault?: string;
}

/** A certificate that the same machine or user had before. */
export interface EarlierCertificateView {
  readonly serialNumber?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly state: "valid" | "expired" | "not yet valid" | "revoked" | "unknown";
  /** Whether the request is for the same key; absent when the key of the certificate is not known. */
  readonly isSameKey?: boolean;
  /** The user that requested it, in words, and the address it came from. */
  readonly requestedBy?: string;
  readonly address?: string;
}

/** One difference between the request and the last certificate. */
export interface DifferenceView {
  /** The part that differs, such as `names`, `key` or `address`. */
  readonly what: string;
  readonly before: string;
  readonly now: string;
}

/** Another open request that concerns the same identity or one of the same names. */
export interface OtherRequestView {
  readonly name: string;
  readonly state: CsrState;
  readonly createdAt?: string;
  /** The requester in words, as in the view of that request. */
  readonly requestedBy: string;
  /** The identity or name that both requests are for, in words: `node n7`, `10.0.0.7`. */
  readonly shares: string;
  readonly sameKey: boolean;
}

export interface ConditionView {
  readonly type: string;
  readonly status: string;
  readonly since?: string;
  readonly reason: string;
  readonly message: string;
}

/** The decision as the server recorded it. */
export interface DecisionView {
  readonly type: string;
  readonly user: string;
  readonly address?: string;
  readonly time?: string;
}

/** The certificate that the signer has issued. */
export interface CertificateView {
  /** Why the certificate cannot be read; then the other fields are empty. */
  readonly unreadable?: true;
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

const OUTCOMES: Readonly<Record<RuleTrace["outcome"], string>> = {
  approve: "approves",
  deny: "denies",
  pending: "leaves it pending",
  next: "passes it on",
  unknown: "cannot decide now, and is retried",
};

export function toRuleViews(trace: readonly RuleTrace[]): readonly RuleView[] {
  return trace.map(({ mismatch, ...rule }) =>
    mismatch === undefined
      ? { ...rule, text: OUTCOMES[rule.outcome] }
      : { ...rule, text: `does not apply: ${mismatch}`, mismatch }
  );
}

export function toVerdictView({ kind, message }: PolicyVerdict): VerdictView {
  return { kind, message, text: `${VERDICTS[kind]}: ${message}` };
}

const VERDICTS: Readonly<Record<PolicyVerdict["kind"], string>> = {
  approve: "approved",
  deny: "denied",
  pending: "left pending",
  unknown: "undecided, and retried",
};

/**
 * Lists the changes that would alter a verdict: the fixes of the failed checks, in the rule that decided or else in the
 * last applicable rule of each policy, and the built-in policies that would approve the request. A request that the
 * rules approve needs no change.
 */
export function listChanges(verdict: PolicyVerdict, others: readonly PolicyVerdict[]): readonly string[] {
  if (verdict.kind === "approve") return [];
  const applying = verdict.trace.filter(({ mismatch }) => mismatch === undefined);
  const deciding = applying.filter(({ policy, rule }) => policy === verdict.policy && rule === verdict.rule);
  const last = [...new Map(applying.map((rule) => [rule.policy, rule])).values()];
  const fixes = (deciding.length > 0 ? deciding : last)
    .flatMap(({ checks }) => checks)
    .filter(({ outcome }) => outcome !== "holds")
    .map(({ fix }) => fix)
    .filter((fix) => fix !== undefined);
  const policies = others.filter(({ kind }) => kind === "approve")
    .map(({ policy = "" }) =>
      `the built-in policy "${policy}" would approve this request; add it to the approver's policies`
    );
  return [...new Set([...fixes, ...policies])];
}

/** Checks a request against the rules of its signer. `profiles` has the custom signers by signer name. */
export function toSignerRuleViews(
  { spec }: CertificateSigningRequest,
  facts: RequestFacts,
  profiles: ReadonlyMap<string, SigningProfile>,
): readonly SignerRuleView[] {
  const profile = BUILTIN_SIGNERS.get(spec.signerName) ?? profiles.get(spec.signerName);
  if (profile === undefined) {
    return [{ outcome: "unknown", sentence: "not a built-in signer: its own profile decides" }];
  }
  const { rules, remarks = [] } = profile;
  if (rules.length === 0) return [{ outcome: "unknown", sentence: "this signer guarantees nothing" }];
  const verdicts = rules.map((rule): SignerRuleView => {
    const fault = rule.check(facts, spec.usages ?? [], spec.expirationSeconds);
    return fault === undefined
      ? { outcome: "ok", sentence: rule.sentence }
      : { outcome: "refused", sentence: rule.sentence, fault };
  });
  return [...verdicts, ...remarks.map((sentence): SignerRuleView => ({ outcome: "note", sentence }))];
}
